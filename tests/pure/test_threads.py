"""Limits of the whole process are set by one thread at a time and put back, whatever other threads calculate."""

from __future__ import annotations

import threading
import warnings

from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info  # type: ignore[import-untyped]  # has no stubs

from segengine.model.threads import one_core, pool_of_single_threads


def threads_of() -> list[int]:
    return [library["num_threads"] for library in threadpool_info()]


def test_another_thread_calculates_after_this_one_and_all_limits_are_put_back():
    before, filters = threads_of(), list(warnings.filters)
    assert len(before) > 1
    begun, seen = threading.Event(), []

    def calculate() -> None:
        begun.set()
        with one_core():
            seen.append(threads_of())

    other = threading.Thread(target=calculate)
    with one_core():
        with one_core():  # within itself it need not wait
            other.start()
            assert begun.wait(60)
            other.join(0.2)
        assert seen == []
        assert threads_of() == [1] * len(before)
        assert any(one[0] == "ignore" and one[2] is ConvergenceWarning for one in warnings.filters)
    other.join(60)
    assert seen == [[1] * len(before)]
    assert threads_of() == before
    assert warnings.filters == filters


def test_what_runs_in_the_pool_may_ask_for_one_core_too():
    def calculate(number: int) -> int:
        with one_core():
            return number + 1

    with pool_of_single_threads() as pool:
        assert list(pool.map(calculate, range(8))) == list(range(1, 9))
