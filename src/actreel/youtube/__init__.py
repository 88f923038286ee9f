"""From a YouTube link to a local file."""
