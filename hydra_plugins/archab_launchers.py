"""Hydra launchers joblib and submitit as a sweep needs them: what a killed job takes with it is said, and no more."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest.mock import patch

from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher


class Joblib(Launcher):
    """Joblib's own, which gives the whole sweep up where one worker is killed: that is said in one message."""

    def __init__(self, **given: Any) -> None:
        from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher

        self.launcher = JoblibLauncher(**given)

    def setup(self, **given: Any) -> None:
        """Take what Hydra gives to every launcher."""
        self.launcher.setup(**given)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run these jobs; a CompactHydraException where a worker was killed."""
        from joblib.externals.loky import BrokenProcessPool

        try:
            return self.launcher.launch(job_overrides, initial_job_idx)
        except BrokenProcessPool:
            raise CompactHydraException(
                f"archab: a worker was killed (out of memory?), and joblib gave up all {len(job_overrides)} jobs; "
                "the same command goes on from what is finished"
            ) from None


class _Submitit(Launcher):
    """Submitit's own, which would stop waiting, or submitting, at the first job that was killed."""

    cluster: ClassVar[str]

    def __init__(self, **given: Any) -> None:
        from hydra_plugins.hydra_submitit_launcher import submitit_launcher

        self.launcher = getattr(submitit_launcher, self.cluster)(**given)

    def setup(self, **given: Any) -> None:
        """Take what Hydra gives to every launcher."""
        self.launcher.setup(**given)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run these jobs to the last one; a job that was killed returns nothing."""
        with _every_job_awaited():
            return self.launcher.launch(job_overrides, initial_job_idx)


class SubmititLocal(_Submitit):
    """On this machine."""

    cluster = "LocalLauncher"


class SubmititSlurm(_Submitit):
    """On a SLURM cluster."""

    cluster = "SlurmLauncher"


@contextmanager
def _every_job_awaited() -> Iterator[None]:
    from submitit.core.core import Job
    from submitit.core.utils import FailedJobError, UncompletedJobError

    results = Job.results

    def awaited(job: Any) -> list[JobReturn]:
        try:
            return results(job)
        except (FailedJobError, UncompletedJobError):
            return [JobReturn(status=JobStatus.COMPLETED, _return_value=None)]

    with patch.object(Job, "results", awaited):
        yield
