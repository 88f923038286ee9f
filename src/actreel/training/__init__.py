"""From stored clips to a trained, calibrated and exported model."""
