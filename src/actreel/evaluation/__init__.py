"""How good a model is on clips from groups that it was not trained on."""
