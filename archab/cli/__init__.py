"""The command lines: arguments in, printing out."""
