"""Proposes which clips belong to one group: by their names, by what the files say, and by what the frames show."""
