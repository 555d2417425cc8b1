"""A run in MLflow: its address, its experiment, how it gets there and is read back."""

import os

# MLflow reads some of them when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # or MLflow calls home
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
