"""A run that builds on earlier ones: it reads new files, and takes the rest from what those kept."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pyspark.sql import functions as F

from segengine import contract
from segengine.config.times import microseconds
from segengine.contract import CheckedLines
from segengine.errors import InputError
from segengine.features.aggregate import with_house_lines
from segengine.features.measures import PIECES, Scope, bucket_of, compact, fold, narrow_lines, stand, torn_buckets
from segengine.io.inputs import FileSet, InputFile, find_files, inputs_for
from segengine.io.read import Source, SourceFacts, frame_table, plain_path, plain_uri, read_table
from segengine.io.source import COUNTED, quoted
from segengine.state import manifest
from segengine.state.manifest import Part, State

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from segengine.job import Job

__all__ = ["Night", "check_night", "check_rows"]

log = logging.getLogger(__name__)

LINES_PER_BUCKET = 250_000
FEWEST_BUCKETS, FEWEST_OF_STREAMS, MOST_BUCKETS = 8, 64, 20_000
OUTGROWN = 8
"""A bucket with so many times LINES_PER_BUCKET is too much for a worker: files are read again, into more buckets. Rows
that were handed in cannot be; they begin with more buckets, as their first batch says nothing of what is to come."""
MOST_RANGES = 100
MOST_PARTS = 31
LARGEST_SHARE_OF_NIGHTS = 0.25
"""When more of the lines lie in later parts than in the first one, or there are more parts, they become one."""
AS_PIECES = {"compression": "none", "parquet.block.size": str(16 << 20), "parquet.page.size.row.check.min": "1"}
"""Pieces are compressed bytes of some megabytes: few of them make a row group, which is left out by its buckets."""
EVERYTHING = 2**63 - 1
OTHER_CONFIGURATION = "the configuration reads or judges lines in another way than before"


@dataclass
class Night:
    """The checked lines of all runs together, and the way from there to measures of customers.

    `checked.lines` are those of the new files.
    """

    job: Job
    source: Source
    checked: CheckedLines
    files: FileSet
    earlier: State | None
    seen: str | None
    """The run whose record was there when this one began, whether it builds on it or not."""
    written: tuple[Part, ...] = ()
    touched: DataFrame | None = None
    """Customers to measure (customer_id, each once), and no others; None for everybody."""

    def measures(self, scope: Scope, house: Sequence[str]) -> DataFrame:
        """The measures of every customer, as `features.measures.measure` gives them for all lines.

        Writes what is new beside the earlier parts, unless the run is to write nothing; `commit` makes it count.
        """
        lines, settled = self.checked.lines, self.checked.settled
        assert settled is not None
        more = [with_house_lines(lines.limit(0), house)] if house else []
        if self.job.command == "check":
            more.append(lines)
        else:
            self._write(lines.where("is_settled"), settled.rows)
            if settled.left_over:
                more.append(lines.where("NOT is_settled"))
        pieces = self._pieces([self._folded(extra) for extra in more], scope)
        found = stand(pieces, scope, self.buckets)
        return found if self.touched is None else found.join(self.touched, "customer_id", "left_semi")

    def _pieces(self, more: Sequence[DataFrame], scope: Scope) -> DataFrame:
        """All pieces, of the touched buckets where some are; with their lines where the lines have to be asked."""
        parts = (*(self.earlier.parts if self.earlier else ()), *self.written)
        stored, bucket = self._stored(parts), F.col("bucket")
        if self.touched is not None:
            named = self.touched.select(bucket_of(F.col("customer_id"), self.buckets).alias("bucket")).distinct()
            wanted = _is_in(bucket, sorted(row[0] for row in named.collect()))
            stored, more = stored.where(wanted), [extra.where(wanted) for extra in more]
        torn: list[int] = []
        if parts and (len(parts) + len(more) > 1 or scope.window_start is not None):
            torn = torn_buckets(_united([stored, *more]), scope, self.buckets)
        if not torn:
            return _united([_without_lines(stored), *more])
        asked = _is_in(bucket, torn)
        return _united([_without_lines(stored.where(~asked)), stored.where(asked), *more])

    def commit(self) -> None:
        """Make what this run counted the ground of the next one; left undone when another run was faster."""
        settled, store = self.checked.settled, self.job.store
        assert settled is not None
        now, _ = manifest.load(store)
        if (now.run_id if now else None) != self.seen:
            log.warning("another run has counted new files meanwhile; this one leaves its record as it is")
            return
        parts = (*(self.earlier.parts if self.earlier else ()), *self.written)
        if self._too_many(parts):
            parts = (self._compacted(parts),)
        manifest.save(
            store,
            State(
                run_id=self.job.run_id,
                fingerprint=manifest.fingerprint(self.job.config),
                columns=_columns(self.source),
                buckets=self.buckets,
                until_us=settled.until_us,
                newest_us=settled.newest_us,
                files=tuple((file.name, file.size_bytes, file.modified_us) for file in self.files.files),
                left_over=self._left_over(),
                counted=settled.counted,
                parts=parts,
            ),
        )
        manifest.sweep(store, parts)

    @property
    def buckets(self) -> int:
        """How many buckets customers are in: decided by the first run, whose parts all others join."""
        if self.earlier is not None:
            return self.earlier.buckets
        handed_in = not self.files.base  # rows that arrived by themselves lie in no folder
        fewest = FEWEST_OF_STREAMS if handed_in else FEWEST_BUCKETS
        return min(MOST_BUCKETS, max(fewest, -(-self.checked.rows_read // LINES_PER_BUCKET)))

    def _everything(self) -> Scope:
        checked, config = self.checked, self.job.config
        return Scope.everything(
            checked.lines.columns,
            as_of=checked.as_of,
            timezone=config.timezone,
            drop_duplicates=checked.drop_duplicates,
        )

    def _folded(self, lines: DataFrame) -> DataFrame:
        scope = self._everything()
        return fold(narrow_lines(lines, scope), scope, self.buckets)

    def _write(self, settled: DataFrame, rows: int) -> None:
        if not rows:
            return
        self.written = (self._saved(self._folded(settled), self.job.run_id),)

    def _compacted(self, parts: Sequence[Part]) -> Part:
        return self._saved(compact(self._stored(parts), self._everything(), self.buckets), f"{self.job.run_id}-whole")

    def _saved(self, pieces: DataFrame, folder: str) -> Part:
        store = self.job.store
        pieces.write.options(**AS_PIECES).parquet(store.uri(manifest.part_folder(folder)))
        lines = self.job.spark.read.parquet(store.uri(manifest.part_folder(folder))).agg(F.sum("lines")).first()
        return Part(folder, int((lines[0] if lines else 0) or 0), manifest.part_files(store, folder))

    def _stored(self, parts: Sequence[Part]) -> DataFrame:
        uris = [self.job.store.uri(manifest.part_folder(part.folder)) for part in parts]
        if not uris:
            return self.job.spark.createDataFrame([], PIECES)
        return self.job.spark.read.schema(PIECES).parquet(*uris)

    def _too_many(self, parts: Sequence[Part]) -> bool:
        later = sum(part.lines for part in parts[1:])
        return len(parts) > MOST_PARTS or later > LARGEST_SHARE_OF_NIGHTS * sum(part.lines for part in parts)

    def _left_over(self) -> tuple[str, ...]:
        """Names of the files that have rows which are not settled yet."""
        assert self.checked.settled is not None
        told = {plain_path(uri) for uri in self.checked.settled.left_over}
        return tuple(file.name for file in self.files.files if file.uri and plain_uri(file.uri) in told)


def _without_lines(pieces: DataFrame) -> DataFrame:
    return pieces.withColumn("rows", F.lit(None).cast("binary"))


def _united(frames: Sequence[DataFrame]) -> DataFrame:
    return reduce(lambda one, other: one.unionByName(other), frames)


def _is_in(bucket: Column, numbers: Sequence[int]) -> Column:
    """Whether a bucket is one of these, which rise: as spans where they are few, so that Parquet leaves row groups
    between them out; of a long list it looks at the least and the largest only."""
    breaks = [i for i in range(1, len(numbers)) if numbers[i] != numbers[i - 1] + 1]
    spans = [numbers[i:j] for i, j in zip([0, *breaks], [*breaks, len(numbers)], strict=True)] if numbers else []
    if not spans or len(spans) > MOST_RANGES:
        return bucket.isin(list(numbers))
    return reduce(lambda one, other: one | other, (bucket.between(span[0], span[-1]) for span in spans))


def check_night(job: Job, arrived: Collection[str] | None = None) -> tuple[Night | None, str]:
    """Check the lines of new files and put the account of all together; None when this run cannot build on others.

    Also a sentence on what is read. Without a state that can be used every file is new; otherwise `arrived`, URIs as
    Spark gives them, limits the new ones. Raises what `contract.check_transactions` raises.
    """
    config, table = job.config, job.config.tables.transactions
    assert table is not None and table.path is not None  # rules of the configuration
    as_of = config.as_of_moment
    if as_of is not None and as_of.astimezone(ZoneInfo(config.timezone)).time() != dt.time():
        return _not_built_on(job, "as_of is not a midnight")
    files = find_files(inputs_for(job.spark, table.path), table.path, "transactions")
    earlier, why = manifest.load(job.store)
    seen = earlier.run_id if earlier else None
    new: list[InputFile] = list(files.files)
    if earlier is not None:
        if as_of is not None and microseconds(as_of) <= earlier.newest_us:
            return _not_built_on(job, "as_of is before orders that are counted already")
        new, why = manifest.new_files(earlier, files.files)
        if earlier.fingerprint != manifest.fingerprint(config):
            why = OTHER_CONFIGURATION
        elif earlier.buckets < MOST_BUCKETS and earlier.lines > OUTGROWN * LINES_PER_BUCKET * earlier.buckets:
            why = why or "what is kept was laid out for far fewer lines"
        if arrived is not None and not why:
            wanted = {plain_path(uri) for uri in arrived}
            new = [file for file in new if plain_uri(file.uri) in wanted]
            later = {file.name for file in files.files} - {file.name for file in new} - {f[0] for f in earlier.files}
            files = replace(files, files=tuple(file for file in files.files if file.name not in later))
    source = None if earlier is None or why else _more(job, files, new, earlier)
    if source is None:
        earlier, new, why = None, list(files.files), why or "the columns are others than before"
        source = _uncounted(job, files, files.files, None)
    job.add_source(replace(source, facts=_of_all(source, files)))
    night = Night(job, source, _checked(job, source, earlier), files, earlier, seen)
    job.record["incremental"] = {"files": len(files.files), "new_files": len(new), "why_all": why}
    if why:
        return night, f"Incremental: every file was read, as {why}."
    return night, f"Incremental: {len(new):,} of {len(files.files):,} files are new; earlier runs counted the others."


def check_rows(job: Job, rows: DataFrame, name: str, *, begun: bool) -> Night | None:
    """Check rows that arrived under a name of their own; None when rows of that name are counted already.

    `rows` are read several times: persist them. `begun`: rows were counted before. Raises what
    `contract.check_transactions` raises, and InputError when what is kept of earlier rows is lost or cannot be used:
    they cannot be read again. A first batch that died before its record was written left nothing that counts.
    """
    table = job.config.tables.transactions
    assert table is not None
    earlier, why = manifest.load(job.store)
    if earlier is not None and earlier.fingerprint != manifest.fingerprint(job.config):
        earlier, why = None, OTHER_CONFIGURATION
    if earlier is None and (begun or job.store.exists(manifest.CURRENT)):
        raise InputError(
            "What is kept of earlier rows of the stream cannot be used.",
            where=job.store.uri(manifest.FOLDER),
            found=why,
            todo="Move the stream's folder away and start it anew, from its first rows.",
        )
    counted = earlier.files if earlier else ()
    names = [file for file, _, _ in counted]
    if name in names[:-1]:
        raise InputError(
            "The stream counts its batches from the beginning again, and earlier rows are counted already.",
            where=job.store.uri(manifest.FOLDER),
            found=f"{name}, and {names[-1]} was the last",
            todo="Its checkpoint is gone: move the stream's folder away and start it anew, from its first rows.",
        )
    if name in names:
        return None
    source = frame_table(rows, table, "transactions", job.config)
    source = replace(source, rows=source.rows.withColumn(COUNTED, F.lit(None).cast("bigint")))
    if earlier is not None and sorted(_columns(source)) != sorted(earlier.columns):
        raise InputError(
            "The columns of the stream are others than before.",
            found=", ".join(sorted({name for name, _ in {*_columns(source)} ^ {*earlier.columns}})),
            todo="Move the stream's folder away and start it anew, from its first rows.",
        )
    files = tuple(InputFile("", "", file, size, at) for file, size, at in (*counted, (name, 0, 0)))
    checked, fileset = _checked(job, source, earlier), FileSet("stream", "", files, ())
    return Night(job, source, checked, fileset, earlier, earlier.run_id if earlier else None)


def _checked(job: Job, source: Source, earlier: State | None) -> CheckedLines:
    return contract.check_transactions(
        source,
        job.config,
        now=job.started_at,
        run_id=job.run_id,
        quarantine=job.quarantine,
        earlier=earlier.counted if earlier else {},
        published=job.published,
    )


def _not_built_on(job: Job, why: str) -> tuple[None, str]:
    job.record["incremental"] = {"why_not": why}
    return None, f"Incremental: every file is read and nothing is kept, as {why}."


def _more(job: Job, files: FileSet, new: Sequence[InputFile], earlier: State) -> Source | None:
    """The new files, and those whose later rows are not counted; None when the columns are others than before."""
    left = [file for file in files.files if file.name in set(earlier.left_over)]
    parts = [(new, None), (left, earlier.until_us)]
    if not new and not left:
        smallest = min(files.files, key=lambda file: (file.size_bytes, file.name))
        parts = [([smallest], EVERYTHING)]  # something has to say what the columns are
    sources = [_uncounted(job, files, some, before_us) for some, before_us in parts if some]
    columns = [name for name, _type in earlier.columns]
    if any(sorted(_columns(source)) != sorted(earlier.columns) for source in sources):
        return None
    first, *others = sources
    rows = first.rows
    for other in others:
        rows = rows.unionByName(other.rows)
    expected = [source.facts.rows_expected for source in sources]
    total = None if None in expected else sum(number or 0 for number in expected)
    ours = [name for name in first.rows.columns if name not in first.columns]
    return replace(
        first,
        columns=tuple(columns),
        rows=rows.select(*(F.col(quoted(name)) for name in (*columns, *ours))),
        files=tuple(file for source in sources for file in source.files),
        facts=replace(first.facts, rows_expected=total),
    )


def _uncounted(job: Job, files: FileSet, some: Sequence[InputFile], before_us: int | None) -> Source:
    """A table of some of the files; rows before the moment are counted already."""
    table = job.config.tables.transactions
    assert table is not None
    only = replace(files, files=tuple(some))
    source = read_table(job.spark, table, "transactions", job.config, files=only)
    return replace(source, rows=source.rows.withColumn(COUNTED, F.lit(before_us).cast("bigint")))


def _columns(source: Source) -> tuple[tuple[str, str], ...]:
    types = dict(source.rows.dtypes)
    return tuple((name, types[name]) for name in source.columns)


def _of_all(source: Source, files: FileSet) -> SourceFacts:
    return replace(
        source.facts,
        files=len(files.files),
        size_bytes=files.size_bytes,
        rows_expected=None,
        fingerprint=files.fingerprint(),
    )
