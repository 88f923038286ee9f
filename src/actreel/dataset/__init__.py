"""From a source of videos to clips that a model can learn from: sources, index, splits, expectations, store."""
