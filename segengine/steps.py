"""What a run tells while it works: one log line a step, and events for whoever draws a progress bar."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Listener", "Silent", "Step", "Steps"]

log = logging.getLogger(__name__)


class Listener(Protocol):
    """Hears when a step starts and ends. `total` is how many steps the run expects to take."""

    def started(self, what: str, number: int, total: int) -> None: ...

    def finished(self, step: Step) -> None: ...


class Silent:
    """A listener that draws nothing."""

    def started(self, what: str, number: int, total: int) -> None:
        return None

    def finished(self, step: Step) -> None:
        return None


@dataclass
class Step:
    """A step under way or done. `rows_in` and `rows_out` stay None where a step has no rows to tell of."""

    what: str
    rows_in: int | None = None
    rows_out: int | None = None
    seconds: float = 0.0


class Steps:
    """The steps of one run, in order."""

    def __init__(self, run_id: str, total: int, listener: Listener | None = None) -> None:
        self.run_id = run_id
        self.total = total
        self.done: list[Step] = []
        self._listener = listener or Silent()

    @contextmanager
    def step(self, what: str) -> Iterator[Step]:
        """Time a step and log it; the caller fills in its rows. A step that fails is logged and its error goes on."""
        step = Step(what)
        self._listener.started(what, len(self.done) + 1, max(self.total, len(self.done) + 1))
        begun = time.perf_counter()
        try:
            yield step
        except BaseException:
            log.info("%s: stopped after %.1f s, run %s", what, time.perf_counter() - begun, self.run_id)
            raise
        step.seconds = time.perf_counter() - begun
        self.done.append(step)
        log.info("%s:%s %.1f s, run %s", what, _rows(step), step.seconds, self.run_id)
        self._listener.finished(step)


def _rows(step: Step) -> str:
    text = ""
    if step.rows_in is not None:
        text += f" {step.rows_in:,} rows in,"
    if step.rows_out is not None:
        text += f" {step.rows_out:,} rows out,"
    return text
