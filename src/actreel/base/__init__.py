"""Shared basics: paths, atomic writes, cache keys, terminal output."""
