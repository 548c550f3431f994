"""Make tables visible, all at once or not at all; and find what is visible now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from segengine.errors import PublicationError, SegengineError
from segengine.io.files import Store, store_for
from segengine.publish.delta import last_recorded, publish_delta, read_version
from segengine.publish.lock import publication_lock, require_lock
from segengine.publish.parquet import CURRENT, publish_parquet, read_pointer
from segengine.publish.record import GOLD, Checkpoint, Publication
from segengine.publish.shape import Rows, checked
from segengine.tables import TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from segengine.config import Output

__all__ = ["HISTORY", "Publication", "current", "publish", "read_current"]


HISTORY = ("segment_kpis", "moves", "lanes", "bridge")
"""Tables that say how things stood as of a moment. `membership` does so too, and is always handed over as a whole."""


def _without_history(tables: Mapping[str, Rows]) -> dict[str, Rows]:
    return {
        name: rows.slice(0, 0) if name in HISTORY and isinstance(rows, pa.Table) else rows
        for name, rows in tables.items()
    }


def _nothing(step: str) -> None:
    return None


def publish(
    tables: Mapping[str, Rows],
    *,
    output: Output,
    spark: SparkSession | None,
    publication_id: str,
    run_id: str,
    now: dt.datetime,
    as_of: dt.datetime,
    model_version: str,
    rows: Mapping[str, int] | None = None,
    store: Store | None = None,
    done: Checkpoint = _nothing,
    keeps_history: bool = False,
) -> Publication:
    """Publish every table of segengine/tables but `publications`, which is written here.

    Tables that are functions are made when long ones are being written already.
    `rows`: how many rows each DataFrame has, where the caller knows; counted otherwise. `now` and `as_of` are aware.
    `keeps_history`: what is published as of that moment already stays as it is in the tables of HISTORY.
    `done` is told each step taken. Raises LockedError when somebody else publishes, PublicationError for all else that
    goes wrong before the tables are visible: the previous publication is then untouched. Spark is only needed for
    DataFrames, for Delta and for stores that Hadoop serves.
    """
    store = store or store_for(output.path, spark)
    try:
        with publication_lock(store, run_id=run_id) as lock:
            done("locked")
            _check_tables(tables, publication_id)
            _require_format(store, output.format)
            previous = _find(store, output.format)
            published_at = max(now, previous.published_at + dt.timedelta(microseconds=1)) if previous else now
            tables, replaced = (_without_history(tables), None) if keeps_history else (tables, as_of)
            made = Publication(
                publication_id, run_id, output.format, published_at.astimezone(dt.UTC), as_of, model_version
            )
            if output.format == "parquet":
                return publish_parquet(
                    store, tables, rows or {}, made, keep=output.keep_publications,
                    still_ours=lambda: require_lock(store, lock), done=done, replaced=replaced,
                )  # fmt: skip
            if spark is None:
                raise PublicationError("Delta tables are written through Spark, and there is no session.")
            return publish_delta(
                store, spark, tables, rows or {}, made,
                still_ours=lambda: require_lock(store, lock), done=done, replaced=replaced,
            )  # fmt: skip
    except SegengineError:
        raise
    except Exception as error:
        raise PublicationError(
            "The tables could not be published; the previous publication is untouched.",
            where=store.uri(GOLD),
            found=_reason(error),
            todo="Check space and access of the output, and run again.",
        ) from error


def current(output: Output, spark: SparkSession | None = None) -> Publication | None:
    """What is visible now; None before the first publication. Spark is only needed for stores that Hadoop serves."""
    return _find(store_for(output.path, spark), output.format)


def read_current(spark: SparkSession, output: Output, table: str) -> DataFrame:
    """A table of the current publication; a publication made meanwhile does not change what this DataFrame reads.

    Raises PublicationError when nothing is published, or not this table.
    """
    store = store_for(output.path, spark)
    found = _find(store, output.format)
    if found is None:
        raise PublicationError(
            "Nothing is published yet.", where=store.uri(GOLD), todo="Run `segengine run CONFIG` first."
        )
    if found.format == "parquet":
        folder = f"{GOLD}/{found.folder}/{table}"
        if not store.exists(folder):
            raise _no_such_table(table, found, store)
        return spark.read.parquet(store.uri(folder))
    if table != "publications" and table not in found.table_versions:
        raise _no_such_table(table, found, store)
    return read_version(spark, store, table, found.table_versions.get(table))


def _no_such_table(table: str, found: Publication, store: Store) -> PublicationError:
    return PublicationError(
        f"The current publication has no table {table!r}.",
        where=store.uri(GOLD),
        found=f"publication {found.publication_id}",
    )


def _find(store: Store, form: str) -> Publication | None:
    return read_pointer(store) if form == "parquet" else last_recorded(store)


def _require_format(store: Store, form: str) -> None:
    """An output holds publications of one format: both keep something else in gold/publications."""
    other = "delta" if form == "parquet" else "parquet"
    if store.exists(f"{GOLD}/publications/_delta_log" if form == "parquet" else CURRENT):
        raise PublicationError(
            f"The output already holds publications in format {other}.",
            where=store.uri(GOLD),
            found=f"output.format: {form}",
            todo=f"Set output.format to {other}, or choose another output.path.",
        )


def _check_tables(tables: Mapping[str, Rows], publication_id: str) -> None:
    expected = [table.name for table in TABLES if table.name != "publications"]
    if sorted(tables) != sorted(expected):
        raise PublicationError(
            "Not the tables that make a publication.",
            found=f"missing: {sorted(set(expected) - set(tables))}; unknown: {sorted(set(tables) - set(expected))}",
        )
    for name, rows in tables.items():
        if not callable(rows):
            checked(rows, name, publication_id)


def _reason(error: Exception) -> str:
    """The first line of what went wrong at the bottom of it: Spark wraps a failed task many times."""
    java = getattr(error, "java_exception", None)
    while java is not None and java.getCause() is not None:
        java = java.getCause()
    lines = str(java.toString() if java is not None else error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
