"""From stored clips to a fitted model, exported as it is served."""
