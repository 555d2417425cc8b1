"""All comparisons that come with archab, each asked at its own settings, and one table of verdicts: the gallery."""
