"""What every room stands on: paths, whole files, cache keys, the terminal."""
