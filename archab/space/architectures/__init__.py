"""The families of networks that come with archab, one a file."""
