"""What the service is asked against what the model learned from."""
