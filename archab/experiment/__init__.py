"""A whole run, from its configuration to rows on disk, a run in the store and a verdict."""
