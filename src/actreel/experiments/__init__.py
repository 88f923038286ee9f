"""Many models compared: cross-validation, nested choice, tuning, leakage, and runs side by side."""
