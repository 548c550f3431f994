"""Delta publications: every table commits, `publications` records all versions last, what is not recorded is undone."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from segengine.beside import beside
from segengine.io.files import Store
from segengine.publish import delta_log
from segengine.publish.carry import carried_frame, carried_rows, read_parquet_file
from segengine.publish.frames import frame_of
from segengine.publish.record import GOLD, Checkpoint, Publication, publications_row
from segengine.publish.shape import Rows, made, types_of
from segengine.session import with_settings
from segengine.tables import TABLES, by_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["last_recorded", "publish_delta", "read_version", "recover"]

log = logging.getLogger(__name__)

PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
    "delta.logRetentionDuration": "interval 520 weeks",
    "delta.deletedFileRetentionDuration": "interval 520 weeks",
}
"""Power BI reads neither deletion vectors nor mapped columns. Recorded versions must stay readable, for longer than
Delta's 30 and 7 days: until somebody vacuums with a shorter retention on purpose."""

WRITERS = 4
"""Tables that commit at a time: most of a commit of few rows is planning and waiting, on any cluster."""

LOCAL_SETTINGS = {"spark.databricks.delta.snapshotPartitions": "1"}
"""Delta reads a table's log with 50 tasks; these logs are tiny."""


def last_recorded(store: Store) -> Publication | None:
    """The newest complete publication; None before the first. Needs no Spark: the log of `publications` says it."""
    return delta_log.last_publication(store, _folder("publications"))


def read_version(spark: SparkSession, store: Store, name: str, version: int | None) -> DataFrame:
    """A table as of a version; the newest when None."""
    reader = spark.read.format("delta")
    return (reader if version is None else reader.option("versionAsOf", version)).load(store.uri(_folder(name)))


def publish_delta(
    store: Store,
    spark: SparkSession,
    tables: Mapping[str, Rows],
    rows: Mapping[str, int],
    publication: Publication,
    *,
    still_ours: Callable[[], None],
    done: Checkpoint,
    replaced: dt.datetime | None = None,
) -> Publication:
    """Undo what an interrupted publication left, commit the tables side by side, record all versions last.

    `replaced`: a moment whose rows go from the tables of moments, whether there are new ones of it or not.
    When it fails, the tables committed so far are put back.
    """
    with with_settings(spark, LOCAL_SETTINGS):
        previous = last_recorded(store)
        recover(store, spark, previous)
        done("recovered")
        try:
            versions = {}

            def commit(name: str, new: Rows) -> int:
                frame = made(new, name, publication.publication_id)
                return _commit(store, spark, name, frame, rows.get(name), publication, previous, replaced)

            with beside(spark, WRITERS) as submit:
                commits = {name: submit(partial(commit, name, new)) for name, new in tables.items()}
                for name, committed in commits.items():
                    versions[name] = committed.result()
                    done(f"written {name}")
            still_ours()
            publication = replace(publication, table_versions=versions)
            _commit(store, spark, "publications", publications_row(publication), None, publication, previous)
        except BaseException:
            _put_back(store, spark, publication, previous)
            raise
    done("visible")
    return publication


def recover(store: Store, spark: SparkSession, recorded: Publication | None) -> None:
    """Restore every table that has commits of a publication that was never recorded; needs the lock."""
    names = [table.name for table in TABLES if table.name != "publications"]
    with beside(spark, WRITERS) as submit:
        versions = recorded.table_versions if recorded else {}
        for restored in [submit(partial(_restore, store, spark, name, versions.get(name))) for name in names]:
            restored.result()


def _restore(store: Store, spark: SparkSession, name: str, version: int | None) -> None:
    """Put a table back to a version, if it has commits of ours after it; without one it was not there before."""
    folder = _folder(name)
    if not delta_log.unrecorded_commits(store, folder, version):
        return
    if version is None:
        store.delete(folder)
        log.warning("table %s of an interrupted first publication deleted", name)
        return
    spark.sql(f"RESTORE TABLE delta.`{store.uri(folder)}` TO VERSION AS OF {version}")
    log.warning("table %s put back to version %d, as an interrupted publication had changed it", name, version)


def _put_back(store: Store, spark: SparkSession, publication: Publication, previous: Publication | None) -> None:
    try:
        recorded = last_recorded(store)
        if recorded is None or recorded.publication_id != publication.publication_id:
            recover(store, spark, previous)
    except Exception as error:  # noqa: BLE001 - the failure that brought us here matters more; the next run recovers
        log.warning("tables could not be put back, the next run does it: %s", type(error).__name__)


def _commit(
    store: Store,
    spark: SparkSession,
    name: str,
    new: DataFrame | pa.Table,
    expected: int | None,
    publication: Publication,
    previous: Publication | None,
    replaced: dt.datetime | None = None,
) -> int:
    """Overwrite one table in one commit, check it; its new version."""
    folder = _folder(name)
    before = delta_log.latest_version(store, folder)
    if by_name(name).replaced_by and previous is not None and before is not None:
        new, expected = _with_carried(store, spark, name, new, before, replaced), None
    if isinstance(new, pa.Table):
        expected = new.num_rows
    frame = frame_of(spark, new)
    told = _metadata(store, folder, before, frame, publication)
    writer = frame.coalesce(1 if isinstance(new, pa.Table) else delta_log.files_for(expected, len(frame.columns)))
    writing = writer.write.format("delta").mode("overwrite").option("userMetadata", json.dumps(told))
    if before is None or told["added"] or told["removed"]:
        writing = writing.option("overwriteSchema", "true").options(**PROPERTIES)
    writing.save(store.uri(folder))
    empty = expected == 0 or (expected is None and frame.isEmpty())
    if empty and before is not None and delta_log.latest_version(store, folder) == before:
        return before  # no rows replaced no rows: Delta makes no commit of it
    return delta_log.check_commit(store, folder, before, publication.publication_id, expected)


def _with_carried(
    store: Store, spark: SparkSession, name: str, new: DataFrame | pa.Table, before: int, replaced: dt.datetime | None
) -> DataFrame | pa.Table:
    """The new rows and those published so far that stay; without Spark where both are small files of ours."""
    table, folder = by_name(name), _folder(name)
    files = delta_log.files_written(store, folder, before)
    if isinstance(new, pa.Table) and files is not None:
        return carried_rows(new, pa.concat_tables(read_parquet_file(store, path) for path in files), table, replaced)
    return carried_frame(frame_of(spark, new), read_version(spark, store, name, None), table, replaced)


def _metadata(
    store: Store, folder: str, before: int | None, frame: DataFrame, publication: Publication
) -> dict[str, Any]:
    """What the commit says of itself; a change of columns is told there and in the log."""
    columns = types_of(frame)
    old = delta_log.columns_at(store, folder, before) if before is not None else columns
    added = [f"{name} {kind}" for name, kind in columns.items() if old.get(name) != kind]
    removed = [f"{name} {kind}" for name, kind in old.items() if columns.get(name) != kind]
    if added or removed:
        log.warning(
            "columns of %s change: added %s; removed %s",
            folder,
            ", ".join(added) or "none",
            ", ".join(removed) or "none",
        )
    return {**publication.as_json(), "columns": columns, "added": added, "removed": removed}


def _folder(name: str) -> str:
    return f"{GOLD}/{name}"
