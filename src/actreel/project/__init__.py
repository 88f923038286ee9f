"""One project as a whole: where it stands, what to run next, and whether the machine has what it needs."""
