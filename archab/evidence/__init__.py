"""What rows say: statistics, verdicts and figures, computed from the table of rows alone."""
