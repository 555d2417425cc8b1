"""Hydra sweeper `until_decided`: batches of seeds, through any launcher, until the anytime rule decides."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import CompactHydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from archab.errors import ArchabError


@dataclass
class UntilDecidedConfig:
    """How many seeds, and by which rule a sweep ends.

    Attributes:
        max_seeds: the most that are run.
        batch: how many are run between two looks at the evidence.
        first: the first seed; those behind it follow.
        alpha: error rate of the rule.
        margin: ratio of errors that matters.
        max_batch_size: the most that run at once; launchers that can only run so many set it.
    """

    _target_: str = "hydra_plugins.archab_until_decided.UntilDecided"
    max_seeds: int = 40
    batch: int = 4
    first: int = 0
    alpha: float = 0.05
    margin: float = 1.10
    max_batch_size: int | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="until_decided", node=UntilDecidedConfig, provider="archab")


class UntilDecided(Sweeper):
    """Runs seeds first, first + 1, … in batches, and asks after each whether there is a verdict."""

    def __init__(
        self, max_seeds: int, batch: int, first: int, alpha: float, margin: float, max_batch_size: int | None
    ) -> None:
        self.most, self.batch, self.first = max_seeds, min(batch, max_batch_size or batch), first
        self.rule = {"rule": "anytime", "alpha": alpha, "margin": margin, "planned": None}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives to every sweeper."""
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Launch batches until decided, until every job of a batch failed, or until `max_seeds`."""
        assert self.config is not None
        assert self.launcher is not None
        self._check(arguments)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        returned: list[Any] = []
        for first in range(0, self.most, self.batch):
            seeds = range(self.first + first, self.first + min(first + self.batch, self.most))
            jobs = self.launcher.launch([[*arguments, f"seed={seed}"] for seed in seeds], initial_job_idx=first)
            values = [job.return_value for job in jobs]
            returned += values
            finished = [value for value in values if value]
            if not finished:
                raise CompactHydraException("every job of the last batch failed; the sweep ends here")
            if self._decided(finished[-1], first + len(seeds)):
                break
        return returned

    def _check(self, arguments: list[str]) -> None:
        swept = [o for o in OverridesParser.create().parse_overrides(arguments) if o.is_sweep_override()]
        if swept or any(argument.startswith("seed=") for argument in arguments):
            named = swept[0].input_line if swept else next(a for a in arguments if a.startswith("seed="))
            raise CompactHydraException(
                f"{named}: hydra/sweeper=until_decided chooses the seeds itself and sweeps nothing else; "
                "hydra.sweeper.first=N sets the first one"
            )
        if self.most < 1 or self.batch < 1:
            raise CompactHydraException(f"hydra.sweeper: max_seeds={self.most}, batch={self.batch}: at least 1")

    def _decided(self, job: dict[str, str], used: int) -> bool:
        """Say what the evidence is over all seeds of this configuration in the store."""
        from archab.cli.compare import verdict_of

        try:
            verdict = verdict_of(job["store"], job["experiment"], job["fingerprint"], self.rule)
        except ArchabError as error:
            raise CompactHydraException(f"hydra/sweeper=until_decided: {error}") from error
        decided = verdict.verdict != "undecided"
        print(f"\narchab: after {used} of {self.most} seeds of this sweep: {verdict.sentence()}")
        if decided:
            print(f"archab: {self.most - used} seeds saved against the fixed plan of {self.most}.")
        sys.stdout.flush()
        return decided
