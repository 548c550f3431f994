"""A progress bar for people at a terminal: the step under way, how far Spark is with it, and the time it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from segengine.session import active_session, task_counts
from segengine.steps import Step

__all__ = ["ProgressBar"]

POLL_SECONDS = 0.3


class ProgressBar:
    """Draws the steps of a run while it works; use as a context manager. Draws nothing when not on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", justify="left"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._number, self._total = 0, 1
        self._stop = threading.Event()
        self._poller = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        if self._console.is_terminal:
            self._poller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._poller.is_alive():
            self._poller.join(2)
        self._progress.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bar off the screen while something is asked."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def started(self, what: str, number: int, total: int) -> None:
        self._number, self._total = number, total
        if self._task is None:
            self._task = self._progress.add_task(what, total=1.0)
        self._progress.update(self._task, description=what, completed=(number - 1) / total)

    def finished(self, step: Step) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=self._number / self._total)
        if self._console.is_terminal:
            rows = "" if step.rows_out is None else f", {step.rows_out:,} rows"
            self._progress.console.print(f"[green]✓[/green] {step.what}{rows} [dim]{step.seconds:.1f} s[/dim]")

    def _poll(self) -> None:
        """Move the bar within a step by the share of Spark's tasks that are done."""
        within = 0.0
        step = 0
        while not self._stop.wait(POLL_SECONDS):
            if self._number != step:
                step, within = self._number, 0.0
            session = active_session()
            if session is None or self._task is None:
                continue
            done, known = task_counts(session)
            # Stages come one after another, so the share within a step only ever creeps towards the end.
            share = done / known if known else 0.0
            within = max(within, min(0.95, within + 0.05 * share))
            self._progress.update(self._task, completed=(step - 1 + within) / self._total)
            time.sleep(0)
