"""Look into the audit trail of an output: is it whole, and what does it tell. Needs Spark for remote stores only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from segengine.config import Config, load
from segengine.io.files import Store, store_for
from segengine.io.inputs import is_local
from segengine.mlops.anchor import MLFLOW, anchored
from segengine.mlops.audit import Entry, read_chain
from segengine.mlops.verify import Verified
from segengine.mlops.verify import verify as recompute
from segengine.session import open_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["history", "open_output", "verify"]


@contextmanager
def open_output(config: Config, spark: SparkSession | None) -> Iterator[tuple[Store, SparkSession | None]]:
    """The output folder, with a session where it, or the anchor, lies on a store that needs one."""
    anchor = config.audit.anchor
    remote = [path for path in (config.output.path, anchor) if path and not path.startswith(MLFLOW)]
    with contextlib.ExitStack() as opened:
        if spark is None and not all(is_local(path) for path in remote):
            spark = opened.enter_context(open_session(config))
        yield store_for(config.output.path, spark), spark


def verify(config: Config | str | Path, *, spark: SparkSession | None = None) -> Verified:
    """Recompute the audit chain and every hash in it, and compare its head with the anchor."""
    if not isinstance(config, Config):
        config = load(config)
    with open_output(config, spark) as (store, session):
        anchor = config.audit.anchor
        head = anchored(anchor, config.name, session) if anchor is not None else None
        return recompute(store, head, has_anchor=anchor is not None)


def history(config: Config | str | Path, *, spark: SparkSession | None = None) -> list[Entry]:
    """The records of the audit trail, oldest first."""
    if not isinstance(config, Config):
        config = load(config)
    with open_output(config, spark) as (store, _):
        return read_chain(store)
