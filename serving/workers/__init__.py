"""A worker process: its scratch folder, and how it ends."""
