"""Many networks of one family: drawn from their streams, held together, and known for what they are."""
