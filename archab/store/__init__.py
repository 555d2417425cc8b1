"""A run in MLflow: its address, its experiment, how it gets there and is read back."""
