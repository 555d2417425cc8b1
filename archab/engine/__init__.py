"""How students train together: random streams, batching over replicates, the plain loop, and what `auto` decides."""
