"""Tell the configured MLflow server of a model that was trained, and of a champion that was changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from segengine.mlops.tracking import mirror, noted, require, track

if TYPE_CHECKING:
    from segengine.config import Config
    from segengine.io.files import Store
    from segengine.job import Job

__all__ = ["mirrored", "require", "tracked"]


@contextmanager
def tracked(job: Job, version: str) -> Iterator[None]:
    """Track a saved version when the block is through, in which it becomes champion or is refused.

    What goes wrong on the server is a note of the run and costs nothing else.
    """
    try:
        yield
    finally:
        if job.config.tracking is not None:
            with job.steps.step("Tracking the model"):
                inputs, seconds = job.record.get("inputs", ()), sum(step.seconds for step in job.steps.done)
                note = noted(
                    job.config,
                    f"tracking {version}",
                    lambda: track(job.config, job.store, version, inputs=inputs, seconds=seconds),
                )
            job.notes += [note] if note else []


def mirrored(config: Config, store: Store) -> str | None:
    """Repeat on the server who is champion; what went wrong, as a note."""
    return noted(config, "repeating who is champion", lambda: mirror(config, store))
