"""A mixture of experts, of which each input passes one: more parameters than work (Fedus et al. 2021)."""

import torch
from torch import Tensor, nn

from archab.space.architectures.units import Size, flat, uniform


class Experts(nn.Module):
    """Perceptrons of one hidden layer, and a router that sends each input to one of them.

    Switch routing (Fedus et al. 2021, arXiv:2101.03961, equations 1 and 2): the output is that of the likeliest expert
    times its probability. All experts are computed and all but one are multiplied by 0, which gives the same function;
    `active` counts what one input needs.

    Args:
        inputs, outputs: the shape of one input and of one output, of one axis.
        hidden: width of each expert.
        experts: how many there are.
    """

    def __init__(self, inputs: Size, outputs: Size, hidden: int, experts: int = 10) -> None:
        super().__init__()
        given, wanted = flat(inputs, outputs)
        self.router = nn.Linear(given, experts)
        self.up = nn.Parameter(uniform(experts, given, hidden, fan_in=given))
        self.up_bias = nn.Parameter(uniform(experts, 1, hidden, fan_in=given))
        self.down = nn.Parameter(uniform(experts, hidden, wanted, fan_in=hidden))
        self.down_bias = nn.Parameter(uniform(experts, 1, wanted, fan_in=hidden))

    def gate(self, x: Tensor) -> Tensor:
        """The weight of each expert, shape (n, experts): the largest probability, and 0."""
        probability = self.router(x).softmax(-1)
        return probability * (probability == probability.amax(-1, keepdim=True))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, inputs) to (n, outputs)."""
        hidden = torch.relu(x @ self.up + self.up_bias)
        found = hidden @ self.down + self.down_bias
        return (self.gate(x).T[..., None] * found).sum(0)

    def active(self) -> int:
        """Parameters that one input passes: those of the router and of one expert."""
        experts = self.up, self.up_bias, self.down, self.down_bias
        return sum(p.numel() for p in self.router.parameters()) + sum(p[0].numel() for p in experts)
