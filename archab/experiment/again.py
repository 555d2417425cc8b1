"""A run that has finished before: shown again from its rows, and brought into a store that has lost it."""

from functools import partial

from archab.evidence.verdict import judge
from archab.experiment.job import Job, Watch
from archab.runs.log import Record
from archab.store.desk import Desk
from archab.store.history import studied
from archab.store.upload import asked, delivered


def shown_again(job: Job, watch: Watch) -> bool:
    """Whether this very run has finished before: say so, and bring it into the store if that has lost it.

    Raises:
        ArchabError: if the store does not answer.
    """
    folder, store = job.run_folder, Desk(job.address.uri, job.address.artifacts)
    record = Record.read(folder.record)
    if record is None or not folder.whole():
        if folder.results.exists():
            watch.say(f"  ! {folder.folder}: what a run left there is damaged, and is made anew")
        return False
    by = "" if record.engine == job.engine else f" by engine={record.engine}"
    watch.say(f"{job.name}: finished before{by}; rerun=true trains it anew\n")
    tables = folder.tables()
    if job.shard:
        watch.share(job.shard, len(tables[0]), job.compare)
    else:
        redrawn = sum(int(value) for name, value, _, _ in record.points if name == "redrawn")
        watch.verdict(judge(studied(record.tags, *tables), order=[job.config["seed"]]), redrawn)
    if record.experiment != job.experiment:  # as a store that lacks it
        record.experiment = job.experiment
        record.runs.pop(store.shown, None)
    holds = partial(asked, store, partial(store.holds, record), watch.say, job.patience)
    page = holds()
    if store.shown not in record.delivered or page is None:
        delivered(store, record, folder.files(), watch.say, job.patience)
        watch.say(f"  its rows were brought to {store.shown}, which lacked them")
        record.write(folder.record)
        page = holds()
    watch.where(job.where(page or ""))
    return True
