"""Rows of a database or a query, read once and kept as Parquet while a run lasts, so that every scan sees the same.

The files lie below the output, in `work/<run_id>/<table>`, and are deleted when the run ends, however it ends. What a
killed run left is deleted by a later one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from segengine.errors import SegengineError
from segengine.io.files import Store
from segengine.io.inputs import FileSet, find_files, inputs_for
from segengine.io.parquet import read_parquet
from segengine.io.source import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Snapshot", "take_snapshot", "working_folder"]

log = logging.getLogger(__name__)

WORK = "work"
ABANDONED_SECONDS = 48 * 3600
"""No run writes nothing for so long and still needs its snapshot."""


@dataclass(frozen=True)
class Snapshot:
    """The rows as they were read, and how many the footers of the files promise."""

    rows: DataFrame
    rows_expected: int
    files: FileSet


def take_snapshot(
    spark: SparkSession,
    rows: DataFrame,
    folder: str,
    name: str,
    location: str,
    explain: Callable[[Exception], Exception],
) -> Snapshot:
    """Read the rows, once, into Parquet files at `folder`, and give them back from there.

    `location` is where they come from, for messages; `explain` makes an error of ours of what reading raises.
    InputError when there are no rows.
    """
    try:
        _storable(rows).write.mode("overwrite").parquet(folder)
    except Exception as error:  # py4j and pyspark raise many types for what a source throws
        raise explain(error) from error
    inputs = inputs_for(spark, folder)
    found = replace(find_files(inputs, folder, name), location=location)
    kept, expected = read_parquet(spark, inputs, found, name, "UTC")
    return Snapshot(kept, expected, found)


def _storable(rows: DataFrame) -> DataFrame:
    """Intervals, variants and columns of nothing but null become text: Parquet has no type for them."""
    stored = {
        field.name: F.col(quoted(field.name)).cast("string")
        for field in rows.schema.fields
        if isinstance(field.dataType, T.NullType) or "interval" in field.dataType.simpleString()
    }
    return rows.withColumns(stored) if stored else rows


@contextmanager
def working_folder(store: Store, run_id: str) -> Iterator[None]:
    """Delete what killed runs left in `work`, and this run's folder when the block ends."""
    _sweep(store)
    try:
        yield
    finally:
        try:
            store.delete(f"{WORK}/{run_id}")
            if not store.list(WORK):
                store.delete(WORK)
        except (SegengineError, OSError) as error:
            log.warning("%s could not be deleted: %s", store.uri(f"{WORK}/{run_id}"), type(error).__name__)


def _sweep(store: Store) -> None:
    for folder in store.list(WORK):
        newest = max((file.modified_us for file in store.walk(folder.path)), default=0)
        if time.time() - newest / 1e6 > ABANDONED_SECONDS:
            log.warning("snapshots of a run that was killed are deleted: %s", store.uri(folder.path))
            store.delete(folder.path)
