"""Recognises while a video runs: `watch` for what happens now, `annotate` for answers drawn into a copy."""
