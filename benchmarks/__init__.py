"""Benchmarks, each against what a user would do instead."""
