"""What a model is worth on clips from groups that it has not seen."""
