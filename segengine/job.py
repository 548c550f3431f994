"""One run under way: its id, session, output and record; and the one place where foreign errors become ours."""

from __future__ import annotations

import datetime as dt
import json
import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segengine.config import Config, load, with_as_of
from segengine.connect import collected_at_the_end, free_models_before_exit, is_connect, require_shared_output
from segengine.errors import InputError, PublicationError, SegengineError
from segengine.io import Source, explain_read_failure
from segengine.io.files import Store, store_for
from segengine.io.snapshot import WORK, working_folder
from segengine.mlops.recording import record
from segengine.privacy import listed, settle_key
from segengine.session import open_session
from segengine.steps import Listener, Steps

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segengine.contract.late import Published

__all__ = ["Job", "open_job"]

log = logging.getLogger(__name__)


@dataclass
class Job:
    """A run under way. `started_at` is aware UTC; `store` is the output folder."""

    command: str
    config: Config
    spark: SparkSession
    run_id: str
    started_at: dt.datetime
    store: Store
    steps: Steps
    record: dict[str, Any] = field(default_factory=dict)
    """What the run record will hold beside its state; the recipes add to it."""
    notes: list[str] = field(default_factory=list)
    """What the closing summary tells beside everything else."""
    published: Published | None = None
    """The last published moment before the run: rows that arrived since, but belong before it, are late."""
    sources: list[Source] = field(default_factory=list)
    """The tables read so far: a failure to read is looked for in their files."""
    wrote: list[str] = field(default_factory=list)
    """Files and folders below the output that this run made for good: the audit trail has their hashes."""
    forgotten: str = ""
    """Which customers were erased before the run read anything (privacy.listed)."""

    @property
    def quarantine(self) -> str:
        """Where this run's rejected rows go."""
        return self.store.uri(f"quarantine/{self.run_id}")

    @property
    def work(self) -> str:
        """Where snapshots of databases and queries lie while the run lasts."""
        return self.store.uri(f"{WORK}/{self.run_id}")

    def add_source(self, source: Source) -> None:
        """Remember a table that was read; the record says which version of it."""
        self.sources.append(source)
        self.record["inputs"] = [asdict(each.facts) for each in self.sources]

    def write_record(self, state: str, **more: object) -> str:
        """Write `runs/<run_id>.json` and return its text: state is running, done or failed."""
        known = {"run_id": self.run_id, "command": self.command, "name": self.config.name, "state": state}
        known |= {"started_at": self.started_at.isoformat(), "config_sha256": self.config.fingerprint()}
        plain = {**known, **self.record, **more}
        text = self.config.redact(json.dumps(plain, indent=2, ensure_ascii=False, default=str))
        self.store.write_atomic(f"runs/{self.run_id}.json", text.encode())
        return text


@contextmanager
def open_job(
    command: str,
    config: Config | str | Path,
    *,
    steps: int,
    spark: SparkSession | None,
    as_of: str | dt.date | None,
    now: dt.datetime | None,
    listener: Listener | None,
    rekey: bool = False,
) -> Iterator[Job]:
    """Load the config, open session and output, and keep the run's record whatever happens.

    `rekey`: take another salt than before for the pseudonyms of customers.

    Raises whatever the recipe raises, Spark's read failures as InputError, and PublicationError when the output
    folder cannot be written at all.
    """
    if not isinstance(config, Config):
        config = load(config)
    if as_of is not None:
        config = with_as_of(config, as_of)
    started_at = now or dt.datetime.now(dt.UTC)
    run_id = f"{started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    progress = Steps(run_id, steps, listener)
    with progress.step("Starting Spark") if spark is None else _nothing():
        opened = open_session(config, spark=spark)
        session = opened.__enter__()
    remote = is_connect(session)
    if remote:
        free_models_before_exit()
    try:
        job = Job(command, config, session, run_id, started_at, store_for(config.output.path, session), progress)
        settle_key(job.store, config, rekey=rekey)
        job.forgotten = listed(job.store)
        with (
            collected_at_the_end() if remote else _nothing(),
            _recorded(job),
            working_folder(job.store, run_id) if _takes_snapshots(config) else _nothing(),
        ):
            yield job
    finally:
        opened.__exit__(None, None, None)


def _takes_snapshots(config: Config) -> bool:
    tables = (config.tables.transactions, config.tables.customers)
    return any(table is not None and (table.jdbc is not None or table.query is not None) for table in tables)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _recorded(job: Job) -> Iterator[None]:
    try:
        written = job.write_record("running")
    except OSError as error:
        raise PublicationError(
            "The output folder cannot be written.",
            where=f"output.path: {job.config.output.path}",
            found=f"{type(error).__name__}: {error.strerror or error}",
            todo="Make it a folder this user may write to, with space on its disk.",
        ) from error
    try:
        if is_connect(job.spark):
            require_shared_output(job.spark, job.store, f"runs/{job.run_id}.json", written)
        yield
    except BaseException as error:
        told = _without_secrets(_translated(error, job.sources), job.config)
        _write_failure(job, told)
        if told is error:
            raise
        raise told from error
    _audit(job, "done")
    job.write_record("done", finished_at=dt.datetime.now(dt.UTC).isoformat())


def _audit(job: Job, state: str) -> None:
    """Tell the audit trail of the run, with the hashes of what it wrote."""
    facts = {**job.record, "run_id": job.run_id, "command": job.command, "state": state}
    facts |= {"started_at": job.started_at.isoformat(), "spark_version": job.spark.version}
    wrote = [*job.wrote, f"quarantine/{job.run_id}"]
    record(job.store, job.config, "run", facts, now=dt.datetime.now(dt.UTC), wrote=wrote, spark=job.spark)


def _translated(error: BaseException, sources: Sequence[Source]) -> BaseException:
    """The error as one of ours where it is a known failure of reading or computing; else itself."""
    if isinstance(error, SegengineError) or not isinstance(error, Exception):
        return error
    known = explain_read_failure(error, " or ".join(source.name for source in sources) or "a table", sources)
    if known is not None:
        return known
    text = str(error)
    for condition, what in _COMPUTING.items():
        if condition in text:
            return InputError(what, found=text.splitlines()[0][:300], todo=_COMPUTING_TODO)
    return error


def _without_secrets(error: BaseException, config: Config) -> BaseException:
    """The error with the values of ${env:NAME} replaced by that reference in all it says."""
    if isinstance(error, SegengineError):
        error.what, error.where = config.redact(error.what), config.redact(error.where)
        error.found, error.todo = config.redact(error.found), config.redact(error.todo)
        error.args = (error.what,)
    return error


_COMPUTING: Mapping[str, str] = {
    "ARITHMETIC_OVERFLOW": "A number is too large to compute with.",
    "DIVIDE_BY_ZERO": "An expression of the configuration divides by zero.",
    "CAST_INVALID_INPUT": "An expression of the configuration meets a value that it cannot cast.",
    "CAST_OVERFLOW": "An expression of the configuration meets a number that is too large for its type.",
    "NUMERIC_VALUE_OUT_OF_RANGE": "A number is out of range.",
}
_COMPUTING_TODO = "Use try_divide or try_cast in that expression, or exclude the rows with a rule."


def _write_failure(job: Job, error: BaseException) -> None:
    text = str(error) if isinstance(error, SegengineError) else type(error).__name__
    try:
        _audit(job, f"failed: {type(error).__name__}")
        job.write_record("failed", error=text, finished_at=dt.datetime.now(dt.UTC).isoformat())
    except (OSError, SegengineError) as second:
        log.warning("the record of run %s could not be written: %s", job.run_id, type(second).__name__)
