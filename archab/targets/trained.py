"""A network that was trained before, read from a file, as the one function to learn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archab.errors import ArchabError, explain
from archab.networks.noise import unfused
from archab.networks.probe import fitting


class Trained:
    """What a network answers in evaluation mode, with the weights of a file.

    Args:
        network: the network, or what builds it.
        file: its `state_dict`, as torch.save wrote it; nothing in it is executed.
        name: what a verdict calls it; the file's own name by default.

    Raises:
        ArchabError: if the file cannot be read, or does not fit the network.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> line = nn.Linear(2, 1)
        >>> with TemporaryDirectory() as folder:
        ...     torch.save(line.state_dict(), f"{folder}/line.pt")
        ...     again = Trained(nn.Linear(2, 1), f"{folder}/line.pt")
        >>> bool((again(torch.ones(3, 2)) == line(torch.ones(3, 2))).all())
        True
    """

    def __init__(self, network: nn.Module | Callable[[], nn.Module], file: str, name: str = "") -> None:
        self.name = name or Path(file).stem
        if not Path(file).is_file():
            raise ArchabError(f"target.file={file}: no such file, seen from {Path.cwd()}")
        try:
            state: Any = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:
            raise ArchabError(
                f"target.file={file}: no state_dict that torch.load(weights_only=True) reads ({explain(error)})"
            ) from error
        self.network = network if isinstance(network, nn.Module) else network()
        if not isinstance(self.network, nn.Module):
            raise ArchabError(f"target.network: a {type(self.network).__name__}; an nn.Module is needed")
        try:
            self.network.load_state_dict(state, strict=True)
        except Exception as error:
            raise ArchabError(f"target.file={file}: does not fit the network: {explain(error)}") from error
        self.network.eval()

    def __call__(self, x: Tensor) -> Tensor:
        """Inputs (n, *input_shape) to outputs (n, …)."""
        with torch.no_grad(), unfused():
            answered: Tensor = self.network(fitting(self.network, x))
        return answered
