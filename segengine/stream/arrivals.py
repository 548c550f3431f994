"""Lines as they arrive: each batch is checked, folded into the state, and its customers are scored."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from segengine import contract, features
from segengine.config import Config, load
from segengine.config.document import key_path
from segengine.config.rules import of_incremental
from segengine.connect import is_connect
from segengine.contract.quality import complete, reconcile
from segengine.errors import ConfigError
from segengine.features import Chosen
from segengine.features.customer_totals import totals
from segengine.io.files import store_for
from segengine.job import Job, open_job
from segengine.kept import keep
from segengine.model import bundle
from segengine.runs.tables import read_people
from segengine.scoring.batch import score
from segengine.state import Night, check_night, check_rows
from segengine.stream import live

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

    from segengine.model.trained import LoadedModel
    from segengine.steps import Listener

__all__ = ["StreamSummary", "stream"]

log = logging.getLogger(__name__)

FOLDER = "stream"
CHECKPOINT = "checkpoint-lines"
EVERY = "1 minute"
FILES = "path string, modificationTime timestamp, length bigint, content binary"
"""What Spark's binaryFile source knows of files; the content is never asked for."""


@dataclass
class StreamSummary:
    """What a stream did until it ended."""

    name: str
    table: str
    batches: int = 0
    rows_read: int = 0
    rows_rejected: int = 0
    customers_scored: int = 0
    """Customers whose row was written, counted again each time."""
    as_of: str = ""
    model_version: str = ""


def stream(
    config: Config | str | Path,
    *,
    lines: DataFrame | None = None,
    every: str | None = EVERY,
    model: str | None = None,
    spark: SparkSession | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> StreamSummary:
    """Score customers as lines arrive, until the query is stopped; with `every` None, what is there, and then end.

    Files of tables.transactions are found as they arrive. `lines`, a streaming DataFrame with the same columns (Kafka's
    messages parsed, say), are taken instead. After the last line of a day the live table says what `segengine score`
    says of the same lines. A batch that was interrupted is done again; none counts twice. Raises what `score` raises;
    ConfigError when the configuration cannot be streamed. `now` fixes the clock, for tests.
    """
    config = config if isinstance(config, Config) else load(config)
    _require_streamable(config)
    with open_job("stream", config, steps=2, spark=spark, as_of=None, now=now, listener=listener) as job:
        if is_connect(job.spark):
            raise ConfigError(
                "A stream needs a session of its own: over Spark Connect its batches would run on the server.",
                todo="Run `segengine stream` with spark-submit, or without --remote.",
            )
        own = dataclasses.replace(job, store=store_for(job.store.uri(FOLDER), job.spark))
        arrivals = _Arrivals(own, model, bundle_job=job, clock=now, given=lines is not None)
        with job.steps.step("Following the stream") as step:
            query = _started(arrivals, own, lines, every)
            _until_it_ends(query, arrivals)
            step.rows_in, step.rows_out = arrivals.summary.rows_read, arrivals.summary.customers_scored
        job.record["stream"] = dataclasses.asdict(arrivals.summary)
        return arrivals.summary


def _require_streamable(config: Config) -> None:
    wrong = [f"{key_path(one.at)} {one.what}" for one in of_incremental(config)]
    if config.as_of != "latest":
        wrong.append("as_of is not latest: a stream looks at what has arrived")
    if config.output.format != "delta":
        wrong.append("output.format is not delta, which the live table needs")
    if wrong:
        raise ConfigError("This configuration cannot be streamed.", found="; ".join(wrong), todo="Change it.")


def _started(arrivals: _Arrivals, job: Job, lines: DataFrame | None, every: str | None) -> StreamingQuery:
    if lines is None:
        table = job.config.tables.transactions
        assert table is not None and table.path is not None
        source = job.spark.readStream.format("binaryFile").schema(FILES).option("recursiveFileLookup", "true")
        # Only which files there are: `read_table` reads them, with all its checks.
        lines = source.load(table.path).select("path")
    writer = lines.writeStream.foreachBatch(arrivals.batch).option("checkpointLocation", job.store.uri(CHECKPOINT))
    return (writer.trigger(availableNow=True) if every is None else writer.trigger(processingTime=every)).start()


def _until_it_ends(query: StreamingQuery, arrivals: _Arrivals) -> None:
    try:
        query.awaitTermination()
    except BaseException as error:
        query.stop()
        if arrivals.failure is not None:
            raise arrivals.failure from error
        raise


@dataclass
class _Arrivals:
    """A stream under way; `job` has the stream's own folder as its store."""

    job: Job
    version: str | None
    bundle_job: Job
    clock: dt.datetime | None
    given: bool
    failure: BaseException | None = None
    model: LoadedModel | None = None
    people: contract.CheckedCustomers | None = None
    summary: StreamSummary = field(init=False)

    def __post_init__(self) -> None:
        self.summary = StreamSummary(self.job.config.name, self.job.store.uri(live.ASSIGNMENTS_FOLDER))

    def batch(self, rows: DataFrame, number: int) -> None:
        """Take in one batch; called by Spark. An error is kept, as Spark hands on its text only."""
        try:
            self._take_in(rows, number)
        except BaseException as error:
            self.failure = error
            raise

    def _take_in(self, rows: DataFrame, number: int) -> None:
        name = f"batch-{number:08d}"
        job = dataclasses.replace(
            self.job,
            run_id=f"{self.job.run_id}-{number:06d}",
            started_at=self.clock or dt.datetime.now(dt.UTC),
            record={},
            sources=[],
        )
        with _persisted(rows) as batch:
            night = self._night(job, batch, name)
            if night is None:
                log.info("%s: everything in it is counted already", name)
                return
            written = self._score(job, night, name)
        self.summary.batches += 1
        self.summary.rows_read = night.checked.rows_read
        self.summary.rows_rejected = sum(row.rows for row in night.checked.quality if row.outcome == "rejected")
        self.summary.customers_scored += written
        log.info("%s: %d customers scored as of %s", name, written, self.summary.as_of)

    def _night(self, job: Job, batch: DataFrame, name: str) -> Night | None:
        if self.given:
            job = dataclasses.replace(job, spark=batch.sparkSession)
            return None if batch.isEmpty() else check_rows(job, batch, name, begun=job.store.exists(live.STANDING))
        arrived = [str(row[0]) for row in batch.select("path").distinct().collect()]
        night, _ = check_night(job, arrived)
        if night is None or (night.earlier and night.files.files == _counted(night) and not night.earlier.left_over):
            return None
        return night

    def _score(self, job: Job, night: Night, name: str) -> int:
        """Write the customers that the batch touched, or all when the day or the model is another one."""
        model, checked, store = self._champion(), night.checked, self.job.store
        as_of = checked.as_of.isoformat()
        everybody = live.standing_of(store) != (as_of, model.version) or night.earlier is None
        if everybody or self.people is None:
            self.people = read_people(job) if job.config.tables.customers is not None else None
        people = self.people
        if not everybody:
            night.touched = checked.lines.select("customer_id").distinct().persist()
            if people is not None:
                mine = people.customers.join(night.touched, "customer_id", "left_semi")
                people = dataclasses.replace(people, customers=mine)
        chosen = Chosen(features=model.features, left_out=())
        built = features.customer_rows(checked, people, chosen, job.config, night.measures)
        kept = keep(built.rows)
        try:
            total = totals(kept.rows)
            if everybody:
                reconcile(checked, complete(checked, total.lines), total.lines)
            scored = score(kept.rows, model)
            rows = live.live_rows(scored, model, job.config, as_of=checked.as_of, batch=name)
            (live.replace if everybody else live.merge)(rows, store)
        finally:
            kept.release()
            built.unpersist()
            if night.touched is not None:
                night.touched.unpersist()
        night.commit()
        live.stands(store, as_of, model.version)
        self.summary.as_of, self.summary.model_version = as_of, model.version
        return total.customers

    def _champion(self) -> LoadedModel:
        store = self.bundle_job.store
        version = self.version or bundle.require_champion(store)
        if self.model is None or self.model.version != version:
            self.model = bundle.load(store, version, self.bundle_job.spark)
        return self.model


def _counted(night: Night) -> tuple[object, ...]:
    assert night.earlier is not None
    names = {name for name, _, _ in night.earlier.files}
    return tuple(file for file in night.files.files if file.name in names)


@contextmanager
def _persisted(rows: DataFrame) -> Iterator[DataFrame]:
    """A batch is read several times, and its source once."""
    kept = rows.persist()
    try:
        yield kept
    finally:
        try:
            kept.unpersist()
        except Exception as error:  # noqa: BLE001 - the session may be gone already, and the batch is done
            log.debug("a batch could not be freed: %s", type(error).__name__)
