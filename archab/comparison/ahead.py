"""Each part drawn while the one before it trains: programs leave Python and most cores to whoever draws."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

P = TypeVar("P")
D = TypeVar("D")
F = TypeVar("F")


def ahead(
    parts: Iterable[P], draw: Callable[[P], D], train: Callable[[D], F], stop: Callable[[], None]
) -> Generator[F, None, None]:
    """What each part gives, in this order; whatever has been trained is given, also where the next cannot be drawn.

    Args:
        parts: of the work.
        draw: called in the caller's thread.
        train: called in another one.
        stop: makes `train` end; called where the caller is interrupted, or asks for no more.
    """
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as beside:
        training: Future[F] | None = None
        try:
            for part in parts:
                try:
                    drawn = draw(part)
                except Exception:
                    if training is not None:
                        yield training.result()
                    raise
                before, training = training, beside.submit(train, drawn)
                if before is not None:
                    yield before.result()
            if training is not None:
                yield training.result()
        except BaseException:
            stop()
            raise
