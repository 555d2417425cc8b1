"""What a run says of itself in the store: its tags, where it is at work, and its configuration on one level."""

import hashlib
import json
import re
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from archab import __version__
from archab.comparison.comparison import Comparison
from archab.comparison.study import longer, member_names
from archab.evidence.notes import Note, kept
from archab.experiment.job import Job


def tags_of(comparison: Comparison, job: Job, notes: Sequence[Note]) -> dict[str, str]:
    """The tags of its run: what the analysis reads besides the rows."""
    # What the shards of one run share: by another plan they would be cut elsewhere.
    plan = {key: value for key, value in comparison.plan.to_dict().items() if key != "made_by"}
    return {
        "archab.kind": "run",
        "archab.seed": str(comparison.seed),
        "archab.fingerprint": job.fingerprint,
        "archab.space": job.space,
        "archab.shard": str(job.shard or ""),
        "archab.plan": hashlib.blake2b(json.dumps(plan, sort_keys=True).encode(), digest_size=8).hexdigest(),
        "archab.protocol": comparison.protocol_name,
        "archab.version": __version__,
        "archab.torch": str(comparison.plan.made_by["torch"]),
        "archab.names": json.dumps({side: space.name for side, space in comparison.spaces.items()}),
        "archab.members": json.dumps(member_names(comparison)),
        "archab.notes": json.dumps([note.text for note in notes]),
        "archab.note_kinds": json.dumps(kept(notes)),
        "archab.contrast": json.dumps([astuple(one) for one in comparison.contrast]),
        "archab.scope": comparison.scope,
        "archab.overlap": f"{comparison.overlap:.6g}",
        "archab.again": job.again,
        "archab.longer": longer(comparison, job.own),
        "mlflow.source.git.commit": _commit(job.folder),
    }


def here(folder: Path) -> dict[str, str]:
    """Tags that say where a run is at work: only one process can be, in one folder of one machine."""
    return {"archab.host": socket.gethostname(), "archab.folder": hashlib.sha256(bytes(folder)).hexdigest()[:16]}


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
