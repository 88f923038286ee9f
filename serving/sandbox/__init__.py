"""Decoder processes: the only place where visitors' videos are opened."""
