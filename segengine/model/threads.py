"""A pool whose threads calculate on one core each: many small fits side by side, the same on any machine."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no stubs

__all__ = ["one_core", "pool_of_single_threads"]

_TURN = threading.RLock()
"""BLAS and filters of warnings belong to the whole process: one thread at a time sets them, and puts them back."""

_POOLED = threading.local()


@contextmanager
def one_core() -> Iterator[None]:
    """Calculate on one core in this thread, after other threads that do so. That k-means finds fewer centres than asked
    for is no warning here. In a thread of the pool below, nothing is left to be limited."""
    if getattr(_POOLED, "limited", False):
        yield
        return
    with _TURN, threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@contextmanager
def pool_of_single_threads() -> Iterator[ThreadPoolExecutor]:
    """As many threads as there are cores, each limited to one.

    OpenMP counts threads for each thread that calls it: a limit set outside of the pool does not hold inside, and
    threads that wait for each other in many small fits cost most of the time on a busy machine.
    """
    with one_core(), ThreadPoolExecutor(os.cpu_count() or 1, initializer=_limit_this_thread) as pool:
        yield pool


def _limit_this_thread() -> None:
    threadpool_limits(limits=1)
    _POOLED.limited = True
