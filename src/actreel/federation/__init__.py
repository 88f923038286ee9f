"""Learning from clips in several places that stay there: sums over their clips, models from these, and forgetting."""
