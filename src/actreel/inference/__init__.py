"""Uses trained models; nothing here trains."""
