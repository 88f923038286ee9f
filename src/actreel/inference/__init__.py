"""What uses a trained model; nothing here trains."""
