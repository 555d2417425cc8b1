"""What stands in for torch's random functions and its attention: the same functions of the same noise, from a counter.

Each is called as torch's own is, and says `NotImplemented` where torch's own is to be called: where it draws nothing,
where it would refuse its arguments, and for the few that are not spelled out here.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

Shape = tuple[int, ...]
StandIn = Callable[..., Any]

# Of SELU, as torch has them in its alpha dropout.
_ALPHA = 1.7580993408473766
_INTEGERS = 2**24  # more different integers than a uniform number tells apart
_LEAST = 2.0**-25  # the mean of the exponential numbers that would be 0: their logarithm is taken


class Noise(Protocol):
    """Where stand-ins draw."""

    def uniform(self, shape: Shape, like: Tensor) -> Tensor:
        """Numbers in [0, 1) in multiples of 2^-24, of the type of `like`, or float32 where that is coarser."""


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`F.scaled_dot_product_attention`, spelled out: a query that may see nothing gets 0."""
    if attn_mask is not None and (is_causal or attn_mask.dtype not in (torch.bool, torch.float32, query.dtype)):
        return NotImplemented
    if enable_gqa:
        heads = query.shape[-3]
        if heads % key.shape[-3] or heads % value.shape[-3]:
            return NotImplemented
        key, value = (t.repeat_interleave(heads // t.shape[-3], -3) for t in (key, value))
    weight = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    blind = None
    if is_causal:
        attn_mask = torch.ones(weight.shape[-2:], dtype=torch.bool, device=query.device).tril()
    elif attn_mask is not None:
        hidden = ~attn_mask if attn_mask.dtype == torch.bool else attn_mask == -math.inf
        blind = hidden.all(-1, True)
    if attn_mask is not None:
        minus_infinity = torch.zeros((), dtype=weight.dtype, device=weight.device) - math.inf
        shift = torch.where(attn_mask, 0.0, minus_infinity) if attn_mask.dtype == torch.bool else attn_mask
        weight = (weight + shift).to(weight.dtype)
    shown = weight if blind is None else weight.masked_fill(blind, 0.0)
    weight = shown.softmax(-1) if blind is None else shown.softmax(-1).masked_fill(blind, 0.0)
    return (torch.dropout(weight, dropout_p, True) if dropout_p else weight) @ value


def _dropout(features: bool, alpha: bool, inplace: bool) -> StandIn:
    """One of torch's eight: of elements or whole channels, to 0 or to the value that keeps mean and variance."""

    def drop(noise: Noise, input: Tensor, p: float, train: bool) -> Tensor:
        if not train or not 0 < p < 1 or not input.numel() or (features and input.dim() < 2):
            return NotImplemented
        if not (input.is_floating_point() or input.is_complex()):
            return NotImplemented
        shape = input.shape[:2] + (1,) * (input.dim() - 2) if features else input.shape
        kept = (noise.uniform(shape, input) >= p).to(input.dtype)
        if not alpha:
            kept = kept / (1 - p)
            return input.mul_(kept) if inplace else input * kept
        gain = ((_ALPHA**2 * p + 1) * (1 - p)) ** -0.5
        kept, shift = kept * gain, (kept - 1) * (_ALPHA * gain) + _ALPHA * gain * p
        return input.mul_(kept).add_(shift) if inplace else input * kept + shift

    return drop


def _rrelu(inplace: bool) -> StandIn:
    """Slopes of the negative part that are drawn between two bounds."""

    def rrelu(
        noise: Noise, input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False
    ) -> Tensor:
        if not training or not input.is_floating_point():
            return NotImplemented
        slope = lower + (upper - lower) * noise.uniform(input.shape, input).to(input.dtype)
        slope = torch.where(input.detach() <= 0, slope, torch.ones_like(slope))
        return input.mul_(slope) if inplace else input * slope

    return rrelu


def bernoulli(noise: Noise, input: Tensor, p: float | Tensor | None = None) -> Tensor:
    """1 with probability `p`, or each with that which stands in the input."""
    if p is None and not input.is_floating_point():
        return NotImplemented
    drawn = _happens(noise, input, input if p is None else p)
    return drawn if drawn is NotImplemented else _cut(drawn.to(input.dtype), *([input] if p is None else []))


def _bernoulli_(noise: Noise, self: Tensor, p: float | Tensor = 0.5) -> Tensor:
    drawn = _happens(noise, self, p)
    return drawn if drawn is NotImplemented else self.copy_(drawn)


def _happens(noise: Noise, like: Tensor, p: float | Tensor) -> Tensor:
    # As dropout has it, that keeps with 1 - p what is not below p.
    if isinstance(p, Tensor):
        uniform = noise.uniform(like.shape, like)
        return uniform >= 1 - p.detach().to(uniform.dtype)
    return noise.uniform(like.shape, like) >= 1 - p if 0 <= p <= 1 else NotImplemented


def rand(noise: Noise, *size: Any, **options: Any) -> Tensor:
    """Uniform in [0, 1)."""
    return _filled(_uniform, noise, _floating(_empty(*size, **options)))


def randn(noise: Noise, *size: Any, **options: Any) -> Tensor:
    """Of the standard normal distribution."""
    return _filled(_normal, noise, _floating(_empty(*size, **options)))


def randint(noise: Noise, *given: Any, **named: Any) -> Tensor:
    """Integers from `low`, 0 unless it is given, to `high` - 1."""
    *bounds, size = (*given, *(named.pop(key) for key in ("low", "high", "size") if key in named))
    made = _empty(size, **{"dtype": torch.int64, **named})
    return _filled(_integers(*_both(bounds)), noise, made)


def randperm(noise: Noise, n: int, **options: Any) -> Tensor:
    """An order of n things."""
    made = _empty(n, **{"dtype": torch.int64, **options})
    return made if made is NotImplemented else noise.uniform((n,), made.to(torch.float64)).argsort().to(made.dtype)


def rand_like(noise: Noise, input: Tensor, **options: Any) -> Tensor:
    """As `rand`."""
    return _filled(_uniform, noise, _floating(_empty_like(input, **options)))


def randn_like(noise: Noise, input: Tensor, **options: Any) -> Tensor:
    """As `randn`."""
    return _filled(_normal, noise, _floating(_empty_like(input, **options)))


def randint_like(noise: Noise, input: Tensor, *given: int, **named: Any) -> Tensor:
    """As `randint`."""
    bounds = [*given, *(named.pop(key) for key in ("low", "high") if key in named)]
    return _filled(_integers(*_both(bounds)), noise, _empty_like(input, **named))


def normal(noise: Noise, mean: Any, std: Any = 1.0, size: Any = None, **options: Any) -> Tensor:
    """Of the normal distributions of these means and spreads."""
    given = [t for t in (mean, std) if isinstance(t, Tensor)]
    if bool(given) == (size is not None) or (not isinstance(std, Tensor) and std < 0):
        return NotImplemented
    if size is not None:
        made = _empty(size, **options)
        return made if made is NotImplemented else mean + std * _normal(noise, made).to(made.dtype)
    like = given[0].expand(torch.broadcast_shapes(*(t.shape for t in given)))
    centre, spread = (t.detach() if isinstance(t, Tensor) else t for t in (mean, std))
    return _cut(centre + spread * _normal(noise, like).to(like.dtype), *given)


def multinomial(noise: Noise, input: Tensor, num_samples: int, replacement: bool = False) -> Tensor:
    """Indices, with probabilities in proportion to the input; without replacement the first of a race."""
    if not input.is_floating_point() or not 1 <= input.dim() <= 2 or not 1 <= num_samples <= 2**15:
        return NotImplemented
    weight = input.detach()
    if not replacement or num_samples == 1:
        if num_samples > input.shape[-1]:
            return NotImplemented
        return (weight / _exponential(noise, weight)).topk(num_samples).indices
    below = weight.cumsum(-1)[..., :-1] / weight.sum(-1, True)
    at = noise.uniform((*input.shape[:-1], num_samples), weight)
    return (below.unsqueeze(-2) <= at.unsqueeze(-1)).sum(-1)


def _recurrent(name: str) -> StandIn:
    """Torch's stacked recurrent layers, one layer after another, with the dropout between them."""

    def run(noise: Noise, *given: Any) -> tuple[Tensor, ...]:
        packed = not isinstance(given[3], bool)  # then the sizes of the batches come second
        x, *sizes = given[: 1 + packed]
        state, weights, bias, layers, dropout, train, both, *rest = given[1 + packed :]
        if not train or not 0 < dropout < 1 or layers == 1:
            return NotImplemented
        first = rest[:1] == [True]
        x = x.transpose(0, 1) if first else x
        states = [state] if isinstance(state, Tensor) else list(state)
        each, directions, ends = len(weights) // layers, 1 + both, []
        for layer in range(layers):
            here = [s[layer * directions : (layer + 1) * directions] for s in states]
            own = weights[layer * each : (layer + 1) * each]
            start = here[0] if isinstance(state, Tensor) else here
            options = (own, bias, 1, 0.0, train, both, *([False] if rest else []))
            x, *end = getattr(torch._VF, name)(x, *sizes, start, *options)
            ends.append(end)
            if layer < layers - 1:
                x = torch.dropout(x, dropout, True)
        return (x.transpose(0, 1) if first else x, *(torch.cat(parts) for parts in zip(*ends, strict=True)))

    return run


# In place


def _uniform_(noise: Noise, self: Tensor, *bounds: float, to: float = 1.0, **named: float) -> Tensor:
    low, high = (*bounds, to)[:2] if bounds else (named.get("from", 0.0), to)
    return _written(lambda noise, like: low + (high - low) * _uniform(noise, like), noise, self)


def _normal_(noise: Noise, self: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    return _written(lambda noise, like: mean + std * _normal(noise, like), noise, self) if std >= 0 else NotImplemented


def _exponential_(noise: Noise, self: Tensor, lambd: float = 1.0) -> Tensor:
    return _written(lambda noise, like: _exponential(noise, like) / lambd, noise, self) if lambd > 0 else NotImplemented


def _geometric_(noise: Noise, self: Tensor, p: float) -> Tensor:
    """The number of the first success."""

    def of(noise: Noise, like: Tensor) -> Tensor:
        return (torch.log1p(-noise.uniform(like.shape, like)) / math.log1p(-p)).floor() + 1

    return _written(of, noise, self, integers=True) if 0 < p < 1 else NotImplemented


def _log_normal_(noise: Noise, self: Tensor, mean: float = 1.0, std: float = 2.0) -> Tensor:
    if std <= 0:
        return NotImplemented
    return _written(lambda noise, like: (mean + std * _normal(noise, like)).exp(), noise, self)


def _cauchy_(noise: Noise, self: Tensor, median: float = 0.0, sigma: float = 1.0) -> Tensor:
    def of(noise: Noise, like: Tensor) -> Tensor:
        angle = math.pi * (noise.uniform(like.shape, like) - 0.5)
        return median + sigma * angle.sin() / angle.cos()

    return _written(of, noise, self) if sigma > 0 else NotImplemented


def _random_(noise: Noise, self: Tensor, *bounds: int) -> Tensor:
    if len(bounds) not in (1, 2):  # all that the type holds
        return NotImplemented
    return _written(_integers(*_both(bounds)), noise, self, integers=True)


FUNCTIONS: dict[str, StandIn] = {
    **{
        f"{'feature_' * features}{'alpha_' * alpha}dropout{'_' * inplace}": _dropout(features, alpha, inplace)
        for features in (False, True)
        for alpha in (False, True)
        for inplace in (False, True)
    },
    "rrelu": _rrelu(False),
    "rrelu_": _rrelu(True),
    "bernoulli": bernoulli,
    "rand": rand,
    "randn": randn,
    "randint": randint,
    "randperm": randperm,
    "rand_like": rand_like,
    "randn_like": randn_like,
    "randint_like": randint_like,
    "normal": normal,
    "multinomial": multinomial,
    **{name: _recurrent(name) for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")},
}
METHODS: dict[str, StandIn] = {
    "bernoulli": bernoulli,
    "multinomial": multinomial,
    "bernoulli_": _bernoulli_,
    "uniform_": _uniform_,
    "normal_": _normal_,
    "exponential_": _exponential_,
    "geometric_": _geometric_,
    "log_normal_": _log_normal_,
    "cauchy_": _cauchy_,
    "random_": _random_,
}


# Distributions: numbers of the shape of `like`, in the precision in which they are drawn


def _uniform(noise: Noise, like: Tensor) -> Tensor:
    uniform = noise.uniform(like.shape, like)
    step = torch.finfo(like.dtype).eps / 2
    return uniform - uniform % step if step > 2**-24 else uniform  # rounded up, it would be 1


def _normal(noise: Noise, like: Tensor) -> Tensor:
    """Box and Muller's."""
    radius = (-2 * (1 - noise.uniform(like.shape, like)).log()).sqrt()
    return radius * (2 * math.pi * noise.uniform(like.shape, like)).cos()


def _exponential(noise: Noise, like: Tensor) -> Tensor:
    return (-torch.log1p(-noise.uniform(like.shape, like))).clamp(min=_LEAST)


def _integers(low: int, high: int) -> Callable[[Noise, Tensor], Tensor]:
    def of(noise: Noise, like: Tensor) -> Tensor:
        if not 0 < high - low <= _INTEGERS:
            return NotImplemented
        wide = torch.empty((), dtype=torch.float64, device=like.device)
        return (noise.uniform(like.shape, wide) * (high - low)).floor() + low

    return of


def _filled(of: Callable[[Noise, Tensor], Tensor], noise: Noise, made: Tensor) -> Tensor:
    """Numbers of a distribution, of type and strides of a tensor that was made for them."""
    if made is NotImplemented or (found := of(noise, made)) is NotImplemented:
        return NotImplemented
    found = found.to(made.dtype)
    return found if made.is_contiguous() else torch.zeros_like(made) + found


def _written(of: Callable[[Noise, Tensor], Tensor], noise: Noise, self: Tensor, integers: bool = False) -> Tensor:
    if not (self.is_floating_point() or (integers and not self.is_complex())):
        return NotImplemented
    found = of(noise, self)
    return found if found is NotImplemented else self.copy_(found)


def _empty(*size: Any, **options: Any) -> Tensor:
    """A tensor for real numbers as these options want it."""
    if options.get("requires_grad") or options.get("names") or options.get("layout") not in (None, torch.strided):
        return NotImplemented
    made = torch.empty(*size, **options)
    return NotImplemented if made.is_complex() else made


def _empty_like(input: Tensor, **options: Any) -> Tensor:
    if options.get("requires_grad") or input.layout != torch.strided:
        return NotImplemented
    made = torch.empty_like(input, **options)
    return NotImplemented if made.is_complex() else made


def _floating(made: Tensor) -> Tensor:
    return made if made is NotImplemented or made.is_floating_point() else NotImplemented


def _both(bounds: Sequence[int]) -> tuple[int, int]:
    """A lower and an upper bound, of which the lower may be missing."""
    low, high = (0, *bounds)[-2:]
    return low, high


def _cut(drawn: Tensor, *sources: Tensor) -> Tensor:
    """What was drawn by the numbers of others, to which it passes a gradient of 0."""
    for source in sources:
        if source.requires_grad:
            drawn = drawn + 0 * source
    return drawn
