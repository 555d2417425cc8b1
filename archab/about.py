"""What a run says of itself in the store: its tags, notes, the names of its members, and its configuration."""

import hashlib
import json
import re
import socket
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archab.evidence.notes import Note, kept

if TYPE_CHECKING:
    import pandas as pd

    from archab.comparison import Comparison
    from archab.evidence.study import Study
    from archab.job import Job


def notes_of(comparison: "Comparison") -> list[Note]:
    """What must stand with every verdict of this configuration."""
    from archab.space.routine import settings

    a, b = (
        [settings(s.routine_of(m)).get("lr") for m in range(len(s))] for s in (comparison.a, comparison.spaces["b"])
    )
    tuned = "Shared learning rate, not tuned." if a == b else "Learning rates set by hand, not tuned."
    return [
        Note("not tuned", tuned),
        *(Note("sizes", _sentence(note)) for note in comparison.survey.notes),
        *(Note("unequal training", _sentence(note)) for note in comparison.survey.unequal),
    ]


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."


def member_names(comparison: "Comparison") -> list[str]:
    """What a member is called: side A's own arguments, such as "rank 2"."""
    plain = [
        ", ".join(f"{key} {value}" for key, value in member.items() if isinstance(value, int | float | str))
        for member in comparison.a.arguments
    ]
    return [name or f"member {i}" for i, name in enumerate(plain)]


def longer(comparison: "Comparison", own: Collection[str] = ()) -> str:
    """The overrides that double the epochs of both sides, such as `routine.epochs=20`; empty where they have none.

    Args:
        comparison: whose routines they are.
        own: the sides that have a routine of their own, where that is known.
    """
    from archab.space.routine import settings

    epochs: dict[str, list[Any]] = {
        side: [settings(comparison.spaces[side].routine_of(m)).get("epochs") for m in range(len(comparison.a))]
        for side in ("a", "b")
    }
    known = {side: [2 * n for n in values] for side, values in epochs.items() if all(type(n) is int for n in values)}
    apart = len({tuple(values) for values in known.values()}) > 1 and not own
    keys = {side: f"space.{side}.routine.epochs" if apart or side in own else "routine.epochs" for side in known}
    shown = {side: str(v[0]) if len(set(v)) == 1 else str(v).replace(" ", "") for side, v in known.items()}
    return " ".join(dict.fromkeys(f"{keys[side]}={shown[side]}" for side in known))


def study_of(
    comparison: "Comparison",
    rows: "pd.DataFrame",
    control: "pd.DataFrame | None",
    curves: "pd.DataFrame | None",
    own: Collection[str] = (),
    command: str = "",
) -> "Study":
    """The study of a comparison that has been trained; for `own` see `longer`."""
    from archab.evidence.study import Study

    spaces = comparison.spaces
    return Study(
        rows,
        names=(spaces["a"].name, spaces["b"].name),
        member_names=member_names(comparison),
        order=[comparison.seed],
        control=control,
        control_name=spaces["reference"].name if "reference" in spaces else "",
        curves=curves,
        longer=longer(comparison, own),
        notes=notes_of(comparison),
        command=command,
    )


def tags_of(comparison: "Comparison", job: "Job", identity: str, notes: Sequence[Note]) -> dict[str, str]:
    """The tags of its run: what the analysis reads besides the rows."""
    from archab import __version__

    return {
        "archab.kind": "run",
        "archab.seed": str(comparison.seed),
        "archab.fingerprint": identity,
        "archab.space": job.space,
        "archab.shard": str(job.shard or ""),
        "archab.plan": _digest(comparison.plan.to_dict()),
        "archab.protocol": comparison.protocol_name,
        "archab.version": __version__,
        "archab.torch": str(comparison.plan.made_by["torch"]),
        "archab.names": json.dumps({side: space.name for side, space in comparison.spaces.items()}),
        "archab.members": json.dumps(member_names(comparison)),
        "archab.notes": json.dumps([note.text for note in notes]),
        "archab.note_kinds": json.dumps(kept(notes)),
        "archab.again": job.again,
        "archab.longer": longer(comparison, job.own),
        "mlflow.source.git.commit": _commit(job.folder),
    }


def here(folder: Path) -> dict[str, str]:
    """Tags that say where a run is at work: only one process can be, in one folder of one machine."""
    return {"archab.host": socket.gethostname(), "archab.folder": hashlib.sha256(bytes(folder)).hexdigest()[:16]}


def _digest(plan: dict[str, Any]) -> str:
    """What the shards of one run share: by another plan they would be cut elsewhere."""
    shared = {key: value for key, value in plan.items() if key != "made_by"}
    return hashlib.blake2b(json.dumps(shared, sort_keys=True).encode(), digest_size=8).hexdigest()


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested values as one level of dotted keys; a mapping whose keys are no names stays one value."""
    if not isinstance(values, dict) or not values or not all(re.fullmatch(r"\w+", str(key)) for key in values):
        return {prefix: values}
    return {k: v for key, item in values.items() for k, v in flat(item, f"{prefix}.{key}" if prefix else key).items()}


def _commit(folder: Path) -> str:
    """The git commit of a folder, empty outside a repository."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
