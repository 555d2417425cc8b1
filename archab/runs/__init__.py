"""A run on disk: what makes it the same experiment, its folder, its log, and who is at it."""
