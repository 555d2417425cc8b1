"""From one network's graph to a program of the machine, in which every number is a vector over students."""
