"""The contrasts: what is known, from where, and by which command of the gallery it is asked.

A contrast stays here whatever comes out; settings that a first attempt changed are named in docs/known.md.
"""

from dataclasses import dataclass

from archab.gallery.entries import CONTROL


@dataclass(frozen=True)
class Contrast:
    """One of them.

    Attributes:
        name: what it is called.
        known: `a` or `b`, the side that the source says is better; `none` where no difference is there to be found.
        claim: what is known, in words.
        source: who found it.
        typed: the overrides of the command that asks for it.
    """

    name: str
    known: str
    claim: str
    source: str
    typed: tuple[str, ...]


CONTRASTS = (
    Contrast(
        "residual", "a", "a deep network learns better with residual connections than without",
        "He et al. 2016, arXiv:1512.03385, figure 6", ("+space=residual",),
    ),
    Contrast(
        "layer_norm", "a", "LayerNorm in residual branches lets deep networks train better than none",
        "Xiong et al. 2020, arXiv:2002.04745", ("+space=layer_norm",),
    ),
    Contrast(
        "siren", "a", "sines learn high frequencies better than ReLU",
        "Sitzmann et al. 2020, arXiv:2006.09661", ("+space=siren",),
    ),
    Contrast(
        "gru", "a", "a GRU remembers longer than a recurrent network of tanh",
        "Hochreiter and Schmidhuber 1997, experiment 4; Chung et al. 2014, arXiv:1412.3555", ("+space=gru",),
    ),
    Contrast(
        "equivariant", "a", "attention learns functions of sets better than a flat perceptron",
        "Zaheer et al. 2017, arXiv:1703.06114", ("+space=equivariant",),
    ),
    Contrast(
        "flat", "b", "a flat perceptron learns functions without that symmetry better than attention",
        "the same, theorem 2: such attention cannot represent them", ("+space=flat",),
    ),
    Contrast(
        "gated", "a", "SwiGLU learns better than ReLU, here gated functions",
        "Shazeer 2020, arXiv:2002.05202, table 1", ("+space=gated",),
    ),
    Contrast(
        "recall", "a", "softmax attention recalls more than linear attention",
        "Arora et al. 2023, arXiv:2312.04927, figure 2", ("+space=recall",),
    ),
    Contrast(
        "kan", "a", "Kolmogorov-Arnold networks learn formulas better than perceptrons",
        "Liu et al. 2024, arXiv:2404.19756, figure 3.1", ("+space=kan",),
    ),
    Contrast(
        "linear", "a", "beyond linear targets ReLU learns better than a linear map",
        "closed form: the linear side can give none of the rest", ("+space=linear",),
    ),
    Contrast(
        "trees", "a", "trees learn steps along the axes better than perceptrons",
        "Grinsztajn et al. 2022, arXiv:2207.08815, finding 3", ("+space=trees",),
    ),
    Contrast(
        "SwiGLU again", "none", "SwiGLU against itself, initialised anew", "negative control",
        ("+space=swiglu", *CONTROL),
    ),
    Contrast(
        "n-diagonal again", "none", "banded matrices against themselves, initialised anew", "negative control",
        ("+space=n_diagonal", *CONTROL),
    ),
)  # fmt: skip
