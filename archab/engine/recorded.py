"""The engine that a run was begun with, read back from its plan: the same programs, chunks and threads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from archab.engine.plan import Candidate, Compiled, Method, programs
from archab.errors import ArchabError


@dataclass(frozen=True)
class Recorded:
    """Trains by what `Method.to_dict` gave, whatever this machine would choose.

    Attributes:
        memory: `engine.memory` of the run.
        kept: one such description a candidate.
        workers: `engine.workers` of now: no row hangs on it.
    """

    memory: int
    kept: tuple[dict[str, Any], ...]
    workers: int | None = None

    def methods(self, candidates: Sequence[Candidate]) -> list[Method]:
        """As they were recorded.

        Raises:
            ArchabError: if this machine cannot train so.
        """
        pairs = list(zip(candidates, self.kept, strict=True))
        made = programs([c if kept["engine"] == "compiled" else None for c, kept in pairs])
        return [self._method(c, kept, program) for (c, kept), (program, _) in zip(pairs, made, strict=True)]

    def _method(self, candidate: Candidate, kept: dict[str, Any], program: Any) -> Method:
        engine = Compiled(self.memory, kept["chunk"])
        method = engine.loop(candidate, kept["why"]) if kept["engine"] == "loop" else engine.method(candidate, program)
        if method.engine != kept["engine"]:
            raise ArchabError(
                f"this run was begun with engine={kept['engine']} for {candidate.sample.space.name}, which is not to "
                f"be had here ({method.why or 'no C++ compiler'}): its rows would differ. rerun=true trains it anew"
            )
        return replace(method, threads=kept["threads"])
