"""Verdicts on metrics that people already have: from the runs of any table or store to which side is better."""
