"""Sequence models that differ in how positions are mixed and told apart, and in where what is normalised."""

from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from archab.space.architectures.attention import WEIGHTS, Attention
from archab.space.architectures.positions import POSITIONS, Learnt, Rotary, Sinusoidal

RECURRENT = {"gru": nn.GRU, "rnn": nn.RNN, "lstm": nn.LSTM}
NORMS: dict[str, Callable[[int], nn.Module]] = {"layer_norm": nn.LayerNorm, "rms_norm": nn.RMSNorm}


class Recurrent(nn.Module):
    """A recurrent layer of torch as a mixer: `gru`, `rnn` (tanh) or `lstm`."""

    def __init__(self, d_model: int, mixer: str) -> None:
        super().__init__()
        self.layer = RECURRENT[mixer](d_model, d_model, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, length, d_model) to the same."""
        mixed: Tensor = self.layer(x)[0]
        return mixed


class Across(nn.Module):
    """A perceptron across positions, one for all features (MLP-Mixer: Tolstikhin et al. 2021, arXiv:2105.01601)."""

    def __init__(self, length: int, hidden: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(length, hidden), nn.Linear(hidden, length)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, length, d_model) to the same."""
        return self.down(F.gelu(self.up(x.transpose(1, 2)))).transpose(1, 2)


class Layer(nn.Module):
    """A mixer and, position by position, a perceptron; each behind a norm and beside a residual path (pre-norm)."""

    def __init__(self, mixer: nn.Module, d_model: int, d_ff: int, norm: str) -> None:
        super().__init__()
        self.mixer, self.norm_mixer, self.norm_forward = mixer, NORMS[norm](d_model), NORMS[norm](d_model)
        self.up, self.down = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, length, d_model) to the same."""
        x = x + self.mixer(self.norm_mixer(x))
        return x + self.down(F.gelu(self.up(self.norm_forward(x))))


class PostNorm(Layer):
    """The same with each norm behind its residual sum (Xiong et al. 2020, arXiv:2002.04745, figure 1a)."""

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, length, d_model) to the same."""
        x = self.norm_mixer(x + self.mixer(x))
        return self.norm_forward(x + self.down(F.gelu(self.up(x))))


ORDERS: dict[str, Callable[[nn.Module, int, int, str], nn.Module]] = {"pre": Layer, "post": PostNorm}
MIXERS = (*WEIGHTS, *RECURRENT, "mlp")


class SequenceModel(nn.Module):
    """Tokens or vectors in; an output at every position, or one, read at the last.

    Args:
        inputs: the shape of one input: (length,) of tokens, or (length, features).
        outputs: of one output: (length, k), or (k,).
        d_model: width.
        layers: how many.
        mixer: `attention` (softmax), `linear_attention`, `cubic_attention`, `gru`, `rnn`, `lstm`, or `mlp` across
            positions, which is not causal.
        heads: of attention.
        d_ff: width of the perceptrons, those across positions included.
        vocabulary: how many tokens there are, at most.
        causal: whether attention sees a position's own past alone.
        positions: `learnt` or `sinusoidal`, which are added, `rotary`, by which queries and keys turn, or `none`:
            attention that is not causal then maps sets.
        norm: `layer_norm` or `rms_norm`.
        order: `pre`, norms before each branch and before the head, or `post`, behind each residual sum.

    Raises:
        ValueError: if a name is none of these, or a mixer cannot do what is asked of it.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        d_model: int = 16,
        layers: int = 2,
        mixer: str = "attention",
        heads: int = 2,
        d_ff: int = 32,
        vocabulary: int = 64,
        causal: bool = True,
        positions: str = "learnt",
        norm: str = "layer_norm",
        order: str = "pre",
    ) -> None:
        super().__init__()
        _one_of("mixer", mixer, MIXERS)
        _one_of("positions", positions, POSITIONS)
        _one_of("norm", norm, NORMS)
        _one_of("order", order, ORDERS)
        if mixer == "mlp" and causal:
            raise ValueError("mixer=mlp: sees all positions; causal=false is needed")
        if positions == "rotary" and mixer not in WEIGHTS:
            raise ValueError(f"positions=rotary: turns queries and keys, which mixer={mixer} has not")

        def mixing() -> nn.Module:
            if mixer == "mlp":
                return Across(inputs[0], d_ff)
            if mixer in RECURRENT:
                return Recurrent(d_model, mixer)
            rotary = Rotary(inputs[0], d_model // heads) if positions == "rotary" else None
            return Attention(d_model, heads, mixer, causal, rotary)

        tokens = len(inputs) == 1
        self.embedding = nn.Embedding(vocabulary, d_model) if tokens else nn.Linear(inputs[1], d_model)
        added = {"learnt": Learnt, "sinusoidal": Sinusoidal}.get(positions)
        self.position = added(inputs[0], d_model) if added else nn.Identity()
        self.layers = nn.Sequential(*(ORDERS[order](mixing(), d_model, d_ff, norm) for _ in range(layers)))
        self.norm = NORMS[norm](d_model) if order == "pre" else nn.Identity()
        self.head = nn.Linear(d_model, outputs[-1])
        self.last = len(outputs) == 1

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, *inputs) to (n, *outputs)."""
        x = self.layers(self.position(self.embedding(x)))
        return self.head(self.norm(x[:, -1] if self.last else x))


def _one_of(name: str, value: str, known: Iterable[str]) -> None:
    names = list(known)
    if value not in names:
        raise ValueError(f"{name}={value}: one of {', '.join(names)}")
