"""What is fast, measured against what a user would do instead."""
