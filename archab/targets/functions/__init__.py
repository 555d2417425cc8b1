"""Priors over functions of the inputs that are no networks: each draws one, and gives its outputs at all inputs."""
