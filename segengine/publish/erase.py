"""Take one customer out of Parquet files; the id is in no plan.

What is looked for travels to the workers inside a function, and what is found are names of files and numbers of rows.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from segengine.io.files import FileEntry, Store
from segengine.io.inputs import is_local

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Erased", "Hits", "Person", "counted", "erase_parquet", "matching", "parquet_folders", "without"]

log = logging.getLogger(__name__)

IDS = ("customer_id", "_customer_id")
KEYS = ("customer_key",)


@dataclass(frozen=True)
class Person:
    """Who is looked for: the published id, and the keys that were published for it."""

    customer_id: str
    keys: frozenset[int] = frozenset()


@dataclass
class Erased:
    """What was done: rows taken out, files written anew, files deleted; paths are relative to the store.

    `made_anew`: folders that were deleted and that the next run makes again.
    """

    rows: int = 0
    rewritten: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    made_anew: list[str] = field(default_factory=list)

    def add(self, other: Erased) -> None:
        self.rows += other.rows
        self.rewritten += other.rewritten
        self.removed += other.removed
        self.made_anew += other.made_anew


def parquet_folders(store: Store, below: str) -> dict[str, list[FileEntry]]:
    """Folders below a folder that hold Parquet files, with these; those of Delta tables are not among them."""
    found: dict[str, list[FileEntry]] = {}
    for entry in store.walk(below):
        if entry.name.endswith(".parquet") and "/_delta_log/" not in entry.path:
            found.setdefault(entry.path.rsplit("/", 1)[0], []).append(entry)
    return {folder: files for folder, files in found.items() if not store.exists(f"{folder}/_delta_log")}


def erase_parquet(
    store: Store,
    spark: SparkSession,
    folder: str,
    files: Sequence[FileEntry],
    person: Person,
    *,
    row: str | None = None,
) -> Erased:
    """Rewrite the files of a folder that have rows of the person; each file is replaced as a whole.

    `row`: a column of JSON, or raw text, whose rows are looked into as well (quarantine), the name of the id in it
    being that of the key of the mapping. Spark finds the files; only those with such rows come to the driver, one at a
    time.
    """
    rows = spark.read.parquet(*(store.uri(entry.path) for entry in files))
    hit = matching(rows.columns, person, row)
    if hit is None:
        return Erased()
    from pyspark.sql import functions as F

    named = rows.select("*", F.col("_metadata.file_path").alias("_file"))
    places = [row[0] for row in named.mapInArrow(_files_with(hit), "file string").distinct().collect()]
    erased = Erased()
    for place in sorted({_relative(store, str(place)) for place in places}):
        table = pq.read_table(io.BytesIO(store.read_bytes(place)))
        keep = pa.array([not hit_ for batch in table.to_batches() for hit_ in hit(batch)], pa.bool_())
        left = table.filter(keep)
        sink = io.BytesIO()
        pq.write_table(left, sink, compression="snappy")
        store.write_atomic(place, sink.getvalue())
        erased.rows += table.num_rows - left.num_rows
        erased.rewritten.append(place)
    return erased


def _relative(store: Store, uri: str) -> str:
    root = store.uri().rstrip("/")
    plain, base = (unquote(urlsplit(text).path) if is_local(root) else unquote(text) for text in (uri, root))
    return plain.removeprefix(base).lstrip("/")


Hits = Callable[[Any], list[bool]]


def matching(columns: Iterable[str], person: Person, row: str | None) -> Hits | None:
    """From a batch to which of its rows are of the person, by value; None when no column could say."""
    present = set(columns)
    ids = [name for name in IDS if name in present]
    keys = [name for name in KEYS if name in present]
    texts = ["row"] if row is not None and "row" in present else []
    if not (ids or keys or texts):
        return None
    wanted, numbers = person.customer_id, set(person.keys)

    def hits(batch: Any) -> list[bool]:
        import json as json_
        import re

        blanks = re.compile(r"^[\x00-\x20\x7f-\xa0\u200b-\u200f\ufeff]+|[\x00-\x20\x7f-\xa0\u200b-\u200f\ufeff]+$")
        whole_word = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)")

        def is_wanted(value: Any) -> bool:
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            return value is not None and blanks.sub("", str(value)) == wanted

        def in_row(text: Any) -> bool:
            try:
                content = json_.loads(text or "")
            except ValueError:
                return bool(whole_word.search(str(text)))
            if not isinstance(content, dict):
                return bool(whole_word.search(str(text)))
            return is_wanted(content.get(row)) if row in content else any(is_wanted(v) for v in content.values())

        found = [False] * batch.num_rows
        names = batch.schema.names
        tests: list[tuple[str, Callable[[Any], bool]]] = [(name, is_wanted) for name in ids]
        tests += [(name, lambda key: key in numbers) for name in keys] + [(name, in_row) for name in texts]
        for name, test in tests:
            values = batch.column(names.index(name)).dictionary_encode()
            which = [test(value) for value in values.dictionary.to_pylist()]
            if any(which):
                for place, index in enumerate(values.indices.to_pylist()):
                    found[place] = found[place] or (index is not None and which[index])
        return found

    return hits


def _files_with(hits: Hits) -> Callable[[Iterable[Any]], Iterator[Any]]:
    def look(batches: Iterable[Any]) -> Iterator[Any]:
        import pyarrow as arrow

        for batch in batches:
            found = hits(batch)
            if any(found):
                files = batch.column(batch.schema.names.index("_file")).to_pylist()
                names = sorted({file for file, hit in zip(files, found, strict=True) if hit})
                yield arrow.RecordBatch.from_arrays([arrow.array(names, arrow.string())], names=["file"])

    return look


def without(rows: DataFrame, hits: Hits) -> DataFrame:
    """The rows that are not of the person."""

    def keep(batches: Iterable[Any]) -> Iterator[Any]:
        import pyarrow as arrow

        for batch in batches:
            yield batch.filter(arrow.array([not hit for hit in hits(batch)], arrow.bool_()))

    return rows.mapInArrow(keep, rows.schema)


def counted(rows: DataFrame, hits: Hits) -> int:
    """How many rows are of the person."""

    def count(batches: Iterable[Any]) -> Iterator[Any]:
        import pyarrow as arrow

        for batch in batches:
            number = arrow.array([sum(hits(batch))], arrow.int64())
            yield arrow.RecordBatch.from_arrays([number], names=["rows"])

    found = rows.mapInArrow(count, "rows bigint").groupBy().sum("rows").collect()
    return int(found[0][0] or 0)
