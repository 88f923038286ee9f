"""From a source of videos to clips ready for training: sources, index, splits, validation, store."""
