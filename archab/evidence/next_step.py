"""What a verdict tells the user to do: how many more targets, and the seeds to type, or to train for longer."""

import math
import shlex

from archab.evidence import words as words
from archab.evidence.design import Design
from archab.evidence.e_process import Forecast
from archab.evidence.estimate import Figures
from archab.evidence.fields import MoreTargets, Verdict
from archab.evidence.power import more_blocks


def more_targets(design: Design, whole: Figures, alpha: float, overlap: float = 0.0) -> MoreTargets:
    """Further targets a member with which a fixed test finds the observed effect, at 80 and 90% power."""
    if overlap:  # further splits do not stand for further data
        return MoreTargets(None, None)
    needed = [more_blocks(whole.estimate, whole.per_member, power, alpha) for power in (0.8, 0.9)]
    return MoreTargets(*(None if n is None else n * targets_a_block(design) for n in needed))


def targets_a_block(design: Design) -> int:
    """Targets of a member in one block: a crossed block is a pair."""
    return 2 if design.kind == "crossed" else 1


def next_step(verdict: Verdict, ahead: Forecast, have_need: tuple[int, int], command: str) -> str:
    """The sentence that ends an undecided verdict, with the seeds to add; empty where more targets would not help."""
    design = verdict.data
    if design.holes and verdict.rule != "fixed":
        seeds = ",".join(map(str, design.holes))
        again = f", or run it again: {command} 'seed={seeds}'" if command else "."
        return f"Rounds wait for a seed that has not finished; let it finish{again}"
    have, need = have_need
    planned = verdict.settings.rounds
    rounds: int | None = None
    why = ""
    if have < need:
        rounds, why = need - have, "to the first verdict that is possible"
    elif verdict.rule == "hybrid":
        if len(design.rounds) >= planned:
            return f"The planned {planned} rounds are used up: further seeds do not count under this plan."
        rounds, why = planned - len(design.rounds), f"to the planned {planned} rounds"
    elif verdict.rule == "anytime":
        rounds, why = ahead.point80, "if the future is like the past (80% of resampled futures; indicative)"
    elif verdict.more_targets.power80 is not None:
        rounds = math.ceil(verdict.more_targets.power80 / targets_a_block(design))
        why = "for 80% power at the observed effect (the fixed rule allows one look: plan it anew)"
    if not rounds:
        return "No number of further targets is in sight that would decide."
    more = words.counted(rounds * targets_a_block(design), "more target")
    step = f"About {more} a member {why}"
    return f"{step}: {_seeds(design, rounds, command)}" if command else f"{step}."


def train_longer(verdict: Verdict, command: str = "") -> str:
    """The sentence for students that had not learnt all that they would; empty where nothing says so.

    Args:
        verdict: with its notes.
        command: what the overrides and the same seeds are appended to; where it is empty, the overrides alone are said.
    """
    said = {note.kind: note.command for note in verdict.notes if note.kind in _LEARNING}
    if not said:
        return ""
    kind = next(kind for kind in _LEARNING if kind in said)
    longer = said[kind]
    if not (command and longer):
        return f"{_LEARNING[kind]}{f': {longer}' if longer else ''}."
    keys = [override.split("=")[0] for override in longer.split()]
    kept = [word for word in shlex.split(command) if word.split("=")[0] not in keys]
    seeds = words.seeds(verdict.data.students["seed"].unique().tolist())
    return f"{_LEARNING[kind]}: {shlex.join([*kept, *longer.split(), seeds])}"


_LEARNING = {
    "diverged": "Most students of a side diverged; train at a lower learning rate (routine.lr)",
    "linear fit": "Neither side beats a linear fit; train longer (routine.epochs, routine.lr), or on more samples",
    "still falling": "Training had not ended; train longer",
}


def _seeds(design: Design, rounds: int, command: str) -> str:
    """Further seeds that hold so many rounds, each with as many as the fullest seed so far."""
    draws = int(design.students.groupby(["seed", "member", "side"])["draw"].nunique().max())
    return f"{command} 'seed=range({design.next_seed},{design.next_seed + math.ceil(rounds / draws)})'"
