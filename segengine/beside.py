"""Work of Spark that runs beside other work of the same run, in threads that know its session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from segengine.connect import is_connect
from segengine.session import known_to_thread

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Submit", "beside"]

T = TypeVar("T")


class Submit(Protocol):
    """Starts work; its future has the result, or the error."""

    def __call__(self, work: Callable[[], T]) -> Future[T]: ...


@contextmanager
def beside(spark: SparkSession | None, threads: int = 1) -> Iterator[Submit]:
    """A function that starts work in a thread; the block ends when all of it has ended. Where the block fails, work
    that waits for a thread is dropped.

    Without a session, and over Spark Connect, work is done at once in the calling thread.
    """
    if spark is None or is_connect(spark):
        yield _at_once
        return
    with ThreadPoolExecutor(threads) as pool:

        def submit(work: Callable[[], T]) -> Future[T]:
            return pool.submit(known_to_thread(spark, work))

        try:
            yield submit
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _at_once(work: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001  whoever asks for the result gets it, as from a thread
        future.set_exception(error)
    return future
