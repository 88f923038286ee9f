"""A new action, or a correction, learned by a new last layer on a registered version: a draft beside the champion."""
