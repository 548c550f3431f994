"""A pool whose threads calculate on one core each: many small fits side by side, the same on any machine."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no stubs

__all__ = ["one_core", "pool_of_single_threads"]


class _ForAllThreads:
    """What holds for the whole process, from the first thread that asks for it to the last one that needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0
        self._held = ExitStack()

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            if not self._asked:
                self._held.enter_context(threadpool_limits(limits=1, user_api="blas"))
                self._held.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore", ConvergenceWarning)
            self._asked += 1
        try:
            yield
        finally:
            with self._lock:
                self._asked -= 1
                if not self._asked:
                    self._held.close()


_FOR_ALL = _ForAllThreads()


@contextmanager
def one_core() -> Iterator[None]:
    """Calculate on one core in this thread. That k-means finds fewer centres than asked for is no warning here.

    BLAS and warnings know no threads: they are told once, however many threads calculate at a time. OpenMP counts
    threads for each thread that calls it.
    """
    with _FOR_ALL.held(), threadpool_limits(limits=1, user_api="openmp"):
        yield


@contextmanager
def pool_of_single_threads() -> Iterator[ThreadPoolExecutor]:
    """As many threads as there are cores, each limited to one.

    A limit of OpenMP that is set outside of the pool does not hold inside, and threads that wait for each other in many
    small fits cost most of the time on a busy machine.
    """
    with (
        one_core(),
        ThreadPoolExecutor(os.cpu_count() or 1, initializer=threadpool_limits, initargs=(1, "openmp")) as pool,
    ):
        yield pool
