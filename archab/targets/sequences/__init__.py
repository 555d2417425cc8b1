"""Tasks on sequences, generated as they are needed: tokens in, labels or numbers out, with a difficulty to set."""
