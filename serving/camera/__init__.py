"""The visitor's camera."""
