"""Verdicts on metrics of any runs, shown: in the terminal, as a page, a figure and words for a paper."""
