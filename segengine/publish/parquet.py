"""Parquet publications: a whole new folder, checked, then one small file that points to it is replaced."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from segengine.beside import beside
from segengine.errors import PublicationError, SegengineError
from segengine.io.files import Store
from segengine.io.inputs import is_local, local_path
from segengine.publish.carry import carried_frame, carried_rows, read_parquet_file
from segengine.publish.record import GOLD, Checkpoint, Publication, publications_row
from segengine.publish.shape import Rows, made, types_of
from segengine.tables import by_name

__all__ = ["CURRENT", "publish_parquet", "read_pointer"]

log = logging.getLogger(__name__)

CURRENT = f"{GOLD}/current.json"
PUBLICATIONS_FOLDER = f"{GOLD}/publications"
WRITERS = 4
"""Long tables that are written at a time; there are three."""
FILE_BYTES = 128 * 2**20
"""A good size for a Parquet file: large enough to read fast, small enough to spread over a cluster."""
VALUE_BYTES = 8
"""Numbers and short texts, before compression; only to choose how many files to write."""


def read_pointer(store: Store) -> Publication | None:
    """The publication that `current.json` points to; None before the first. PublicationError when it is damaged."""
    try:
        return Publication.from_json(store.read_bytes(CURRENT))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise PublicationError(
            "The file that says which publication is current cannot be read.",
            where=store.uri(CURRENT),
            found=f"{type(error).__name__}: {error}",
            todo="Restore it: publication_id and folder of one of the folders in gold/publications.",
        ) from error


def publish_parquet(
    store: Store,
    tables: Mapping[str, Rows],
    rows: Mapping[str, int],
    publication: Publication,
    *,
    keep: int,
    still_ours: Callable[[], None],
    done: Checkpoint,
    replaced: dt.datetime | None = None,
) -> Publication:
    """Write all tables, check them, make them visible together; until then the previous publication is current.

    `replaced`: a moment whose rows go from the tables of moments, whether there are new ones of it or not.
    """
    previous = read_pointer(store)
    kept = previous.kept if previous else ()
    if publication.publication_id in kept:
        raise PublicationError(
            "There is a publication of that id already.", where=PUBLICATIONS_FOLDER, found=publication.publication_id
        )
    _sweep(store, kept)
    done("swept")
    folder = f"publications/{publication.publication_id}"
    publication = replace(publication, folder=folder, kept=(publication.publication_id, *kept)[: max(keep, 2)])
    try:
        _write_and_check(
            store,
            {**tables, "publications": publications_row(publication)},
            rows,
            publication,
            previous,
            done,
            replaced,
        )
        still_ours()
        store.write_atomic(CURRENT, json.dumps(publication.as_json(), indent=2).encode())
    except BaseException:
        _clean_up(store, publication)
        raise
    done("visible")
    try:
        _sweep(store, publication.kept)
    except (SegengineError, OSError) as error:
        log.warning("older publications could not be deleted, the next run tries again: %s", type(error).__name__)
    done("old ones deleted")
    return publication


def _write_and_check(
    store: Store,
    tables: Mapping[str, Rows],
    rows: Mapping[str, int],
    publication: Publication,
    previous: Publication | None,
    done: Checkpoint,
    replaced: dt.datetime | None,
) -> None:
    """Long tables are written side by side, as each is one task or few; small ones, some of which are made only now,
    meanwhile."""
    written: dict[str, tuple[DataFrame | pa.Table, int]] = {}

    def folder(name: str) -> str:
        return f"{GOLD}/{publication.folder}/{name}"

    frames = {name: new for name, new in tables.items() if not callable(new) and not isinstance(new, pa.Table)}
    spark = next((frame.sparkSession for frame in frames.values()), None)
    with beside(spark, WRITERS) as submit:
        long: dict[str, tuple[DataFrame, Future[int]]] = {}
        for name, new in frames.items():
            frame = _with_carried(store, name, new, previous, replaced)
            expected = rows.get(name) if frame is new else None
            long[name] = frame, submit(partial(_write_long, store, folder(name), frame, expected))
        for name, new in tables.items():
            if name not in long:
                data = _with_carried(store, name, made(new, name, publication.publication_id), previous, replaced)
                written[name] = data, _write_small(store, folder(name), data)
                done(f"written {name}")
        for name, (frame, writing) in long.items():
            written[name] = frame, writing.result()
            done(f"written {name}")
    for name, (data, expected) in written.items():
        _check(store, folder(name), data, expected)
    done("checked")


def _with_carried(
    store: Store, name: str, new: DataFrame | pa.Table, previous: Publication | None, replaced: dt.datetime | None
) -> DataFrame | pa.Table:
    """The new rows, and for a cumulative table those of the previous publication that stay."""
    table = by_name(name)
    if not table.replaced_by or previous is None:
        return new
    old = f"{GOLD}/{previous.folder}/{name}"
    files = [e for e in store.walk(old) if e.name.endswith(".parquet")]
    if not files:
        return new
    if isinstance(new, pa.Table):
        parts = [read_parquet_file(store, e.path) for e in files]
        return carried_rows(new, pa.concat_tables(parts), table, replaced)
    return carried_frame(new, new.sparkSession.read.parquet(store.uri(old)), table, replaced)


def _write_small(store: Store, folder: str, data: pa.Table) -> int:
    """Write a table into a folder of its own; how many rows it has."""
    sink = io.BytesIO()
    pq.write_table(data, sink, compression="snappy")
    store.write_atomic(f"{folder}/part-00000.parquet", sink.getvalue())
    return int(data.num_rows)


def _write_long(store: Store, folder: str, data: DataFrame, expected: int | None) -> int:
    """Write a table into a folder of its own, through Spark; how many rows it should have."""
    expected = data.count() if expected is None else expected
    files = max(1, math.ceil(expected * len(data.columns) * VALUE_BYTES / FILE_BYTES))
    writer = data.coalesce(files).write.mode("error")
    writer.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false").parquet(store.uri(folder))
    return expected


def _check(store: Store, folder: str, data: DataFrame | pa.Table, expected: int) -> None:
    """Read back columns, types and number of rows. PublicationError when they are not what was meant."""
    files = [e for e in store.walk(folder) if e.name.endswith(".parquet")]
    if not files:
        raise PublicationError("A table has no files after it was written.", where=store.uri(folder))
    if is_local(store.root):
        footers = [pq.ParquetFile(f"{local_path(store.root)}/{e.path}") for e in files]
        found, types = sum(f.metadata.num_rows for f in footers), types_of(footers[0].schema_arrow)
    elif isinstance(data, pa.Table):
        parts = [read_parquet_file(store, e.path) for e in files]
        found, types = sum(p.num_rows for p in parts), types_of(parts[0].schema)
    else:
        back = data.sparkSession.read.parquet(store.uri(folder))
        found, types = back.count(), types_of(back)
    if found != expected or types != types_of(data):
        raise PublicationError(
            "A table is not what was written.",
            where=store.uri(folder),
            found=f"{found} rows where {expected} were meant" if found != expected else f"types {types}",
            todo="Check the disk; then run again. The previous publication is untouched.",
        )


def _clean_up(store: Store, publication: Publication) -> None:
    """Remove a folder that did not become visible. When that cannot be told it stays: the next run sweeps it."""
    try:
        pointer = read_pointer(store)
        if pointer is None or pointer.publication_id != publication.publication_id:
            store.delete(f"{GOLD}/{publication.folder}")
    except (SegengineError, OSError) as error:
        log.warning("the unfinished publication could not be removed, the next run does it: %s", type(error).__name__)


def _sweep(store: Store, kept: tuple[str, ...]) -> None:
    """Delete the folders of publications that are not kept: old ones, and those of runs that crashed. Needs the lock.

    The one before the current stays until the next run, even with keep_publications 1: readers may be in it.
    """
    for entry in store.list(PUBLICATIONS_FOLDER):
        if entry.name not in kept:
            store.delete(entry.path)
            log.info("publication folder %s deleted", entry.name)
