"""Whether a comparison can be made at all, found from what was given, before any network is built."""

import math
from typing import Any

from archab.comparison import budget, tuning
from archab.comparison.protocol import PROTOCOLS
from archab.engine import loss
from archab.engine.plan import device_named
from archab.errors import ArchabError
from archab.space.space import ArchitecturalSpace

MOST = {"targets": 10_000_000, "restarts": 1_000_000, "heldout_samples": 10_000_000, "seed": 2**53}
_COUNTS = (
    ("targets", 1, "target a member"),
    ("restarts", 1, "student a side and target"),
    ("heldout_samples", 2, "held-out samples"),
    ("seed", 0, "as a whole number"),
)


def check(comparison: Any) -> None:
    """Raise an ArchabError if the sides cannot be compared so; what needs a network to be built is found later.

    Args:
        comparison: an `archab.comparison.comparison.Comparison`, of whose fields nothing is known yet.
    """
    for name in ("a", "b", "reference"):
        value = getattr(comparison, name)
        if not isinstance(value, ArchitecturalSpace) and (value is not None or name != "reference"):
            raise ArchabError(f"{name}={value!r}: an ArchitecturalSpace is needed")
    for name, least, unit in _COUNTS:
        value = getattr(comparison, name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ArchabError(f"{name}={value!r}: a whole number is needed, at least {least}")
        if value < least:
            raise ArchabError(f"{name}={value}: at least {least} {unit} {'are' if least > 1 else 'is'} needed")
        if value > MOST[name]:
            raise ArchabError(f"{name}={value}: at most {MOST[name]:,}")
    if comparison.samples is not None and (not isinstance(comparison.samples, int) or comparison.samples < 1):
        raise ArchabError(f"samples={comparison.samples!r}: a whole number of at least 1, or null for the default")
    if comparison.samples_per_measure is not None and not 0 < comparison.samples_per_measure < math.inf:
        raise ArchabError(
            f"samples_per_measure={comparison.samples_per_measure!r}: more than 0 is needed, or null for the default"
        )
    if not hasattr(comparison.engine, "methods"):
        raise ArchabError(f"engine={comparison.engine!r}: an object is needed, such as archab.engine.plan.Loop()")
    if not callable(comparison.inputs):
        raise ArchabError(f"inputs={comparison.inputs!r}: an object is needed, such as archab.space.inputs.Normal()")
    loss.check(comparison.loss)
    if not isinstance(comparison.noise, int | float) or not 0 <= comparison.noise < math.inf:
        raise ArchabError(f"noise={comparison.noise!r}: a number of at least 0 is needed")
    if comparison.noise >= 1 and loss.kind(comparison.loss) != "numbers":
        raise ArchabError(f"noise={comparison.noise}: of labels a share below 1 is wrong")
    if not 0 <= comparison.size_tolerance < 1:
        raise ArchabError(f"size_tolerance={comparison.size_tolerance}: a share from 0 to below 1 is needed")
    _check_protocol(comparison)
    _check_spaces(comparison)
    if comparison.tune is not None:
        if comparison.rules.twins:
            raise ArchabError(
                f"tune.{next(iter(comparison.tune.grid), 'lr')}: protocol=aa compares a side with itself, which leaves "
                "nothing to tune; tune=null trains by the routine's own values"
            )
        tuning.check(comparison.tune, comparison.spaces)
    if comparison.budget is not None and comparison.rules.twins:
        raise ArchabError("budget=auto: protocol=aa compares a side with itself, at any length; null is needed")
    budget.check(comparison.budget, comparison.budget_limit, comparison.spaces)
    if comparison.budget is not None and {"epochs", "steps"} & comparison.tuned_by.names:
        raise ArchabError("tune.epochs: budget=auto chooses how long both sides train; one of the two is null")
    device_named(comparison.device)


def _check_protocol(comparison: Any) -> None:
    if comparison.protocol is not None and comparison.protocol not in PROTOCOLS:
        raise ArchabError(f"protocol={comparison.protocol}: one of {', '.join(PROTOCOLS)}, or null")
    if comparison.target:
        _check_target(comparison)
    elif comparison.protocol == "reference" and comparison.reference is None:
        raise ArchabError(
            "protocol=reference: this space has no third network; give one, a target, or protocol=crossed"
        )
    elif loss.kind(comparison.loss) != "numbers":
        raise ArchabError(
            f"loss: {comparison.loss.name} is of labels, and networks draw numbers; give a target with labels, such as "
            "+target=digits"
        )
    if comparison.rules.divided and comparison.targets % 2:
        raise ArchabError(
            f"targets={comparison.targets}: protocol={comparison.protocol_name} draws them in pairs, one from either "
            f"side; give an even number, such as targets={comparison.targets + 1}"
        )


def _check_target(comparison: Any) -> None:
    names = ", ".join(task.name for task in comparison.target)
    if comparison.reference is not None:
        raise ArchabError(
            f"target={names}: the reference {comparison.reference.name} would draw targets, too; one of them is null"
        )
    if len({task.rows is None for task in comparison.target}) > 1:
        raise ArchabError(
            f"target={names}: splits of a data set are judged by a rule of their own; compare them and the others apart"
        )
    if comparison.protocol not in (None, "reference", "aa"):
        raise ArchabError(
            f"protocol={comparison.protocol}: the target {names} takes the place of the sides' own; reference or aa "
            "is needed, or null"
        )
    if len(comparison.target) not in (1, len(comparison.a)):
        raise ArchabError(
            f"target: there are {len(comparison.target)} of them and {len(comparison.a)} members of "
            f"{comparison.a.name}; one is needed, or one a member"
        )


def _check_spaces(comparison: Any) -> None:
    a, b = comparison.a, comparison.spaces["b"]
    if len(a) != len(b):
        raise ArchabError(
            f"members: {a.name} has {len(a)} and {b.name} has {len(b)}; networks are paired at equal index"
        )
    if (kind_a := _kind(a)) != (kind_b := _kind(b)):
        raise ArchabError(f"measure: {a.name} is measured by {kind_a} and {b.name} by {kind_b}; give both the same")
    for name, space in comparison.spaces.items():
        if space.input_shape != a.input_shape:
            raise ArchabError(
                f"input_shape: {a.name} has {list(a.input_shape)} and {space.name} ({name}) has "
                f"{list(space.input_shape)}; both must take the same inputs"
            )
    if comparison.reference is not None and len(comparison.reference) not in (1, len(a)):
        raise ArchabError(
            f"members: the reference {comparison.reference.name} has {len(comparison.reference)}; one is needed, or "
            f"{len(a)}"
        )


def _kind(space: ArchitecturalSpace) -> str:
    return space.measure if isinstance(space.measure, str) else "numbers given by the user"
