"""From bytes to frames."""
