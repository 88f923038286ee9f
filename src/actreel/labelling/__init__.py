"""Segments that people marked in long videos, on the page or in other programs, cut into clips to learn from."""
