"""Everything that turns bytes into frames."""
