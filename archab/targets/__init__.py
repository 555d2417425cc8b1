"""What is learnt: functions drawn from a prior, with their samples."""
