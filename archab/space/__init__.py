"""What is compared: a space of networks, with their prior, their measure and their training routine."""

from archab.space.space import ArchitecturalSpace

__all__ = ["ArchitecturalSpace"]
