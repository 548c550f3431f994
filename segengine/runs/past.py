"""What is published of earlier moments, as far as a run needs it."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from segengine.config.times import EPOCH, microseconds
from segengine.contract.late import Published
from segengine.errors import BundleError, PublicationError
from segengine.job import Job
from segengine.model import bundle
from segengine.publish.history import Past
from segengine.publish.keys import with_customer_key
from segengine.publish.publication import current, read_current
from segengine.runs.identify import can_score
from segengine.scoring.batch import PRIOR, SCORE_COLUMNS, score
from segengine.scoring.keys import segment_key

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from segengine.model.trained import LoadedModel

__all__ = ["past_of", "published_before", "scored_rows"]

log = logging.getLogger(__name__)


def past_of(job: Job) -> Past:
    """The stays of customers and the moments that are published; nothing before the first publication."""
    output = job.config.output
    if current(output, job.spark) is None:
        return Past()
    found = read_current(job.spark, output, "segment_kpis").select(
        F.unix_micros("as_of").alias("at"), F.col("as_of"), "model_version"
    )
    rows = found.groupBy("at").agg(F.max("as_of").alias("as_of"), F.max("model_version").alias("version"))
    moments = tuple((_utc(row["at"]), str(row["version"])) for row in sorted(rows.collect(), key=lambda row: row["at"]))
    try:
        return Past(read_current(job.spark, output, "membership"), moments)
    except PublicationError:  # published before there was such a table: what is there now is where it begins
        now = read_current(job.spark, output, "assignments")
        stays = now.select(
            "customer_key",
            F.col("as_of").alias("valid_from"),
            F.lit(None).cast("timestamp").alias("valid_to"),
            "segment_key",
            "lane",
            F.lit("new").alias("cause"),
            "model_version",
            "publication_id",
        )
        return Past(stays, moments)


def published_before(job: Job) -> Published | None:
    """The last published moment before that of the configuration, or of all; None before the first publication."""
    past = past_of(job)
    as_of = job.config.as_of_moment
    before = past.before(as_of) if as_of is not None else (past.moments[-1] if past.moments else None)
    if before is None:
        return None
    rows = read_current(job.spark, job.config.output, "runs")
    if "rows_before" not in rows.columns:
        return Published(before[0], None)
    at = F.unix_micros("as_of") == F.lit(microseconds(before[0])).cast("bigint")
    found = rows.where(at).agg(F.max("rows_before")).collect()
    return Published(before[0], found[0][0] if found else None)


def scored_rows(
    job: Job, rows: DataFrame, model: LoadedModel, past: Past, as_of: dt.datetime, keys: DataFrame | None
) -> DataFrame:
    """The customers scored, near borders with a look at where they were; `champion_key` as of `_with_champion_key`.

    `keys` (customer_id, customer_key): the published customers.
    """
    hysteresis = job.config.segments.hysteresis
    if hysteresis > 0 and keys is not None and past.membership is not None and past.before(as_of) is not None:
        at = F.lit(microseconds(as_of)).cast("bigint")
        there = (F.unix_micros("valid_from") < at) & (F.col("valid_to").isNull() | (F.unix_micros("valid_to") >= at))
        stays = past.membership.where(there & F.col("segment_key").isNotNull())
        prior = stays.select("customer_key", F.col("segment_key").alias(PRIOR))
        rows = with_customer_key(rows, keys).join(prior, on="customer_key", how="left")
    rows = _with_champion_key(job, rows, model, past, as_of)
    return score(rows, model, hysteresis=hysteresis).drop(PRIOR)


def _with_champion_key(job: Job, rows: DataFrame, model: LoadedModel, past: Past, as_of: dt.datetime) -> DataFrame:
    """`rows` with `champion_key`: the segment by the model of the moment before, where that is another one.

    As they are when it is the same model, or cannot be asked: its version is gone, or the rows lack its features.
    """
    before = past.before(as_of)
    if before is None or before[1] == model.version:
        return rows
    try:
        earlier = bundle.load(job.store, before[1], job.spark)
    except BundleError as error:
        log.warning("moves cannot be told apart by their cause, as %s cannot be read: %s", before[1], error)
        return rows
    if not can_score(earlier, rows):
        log.warning("moves cannot be told apart by their cause: %s has other features", before[1])
        return rows
    scored = score(rows, earlier, hysteresis=job.config.segments.hysteresis)
    key = segment_key(F.col("segment_index"), earlier.segment_keys)
    return scored.withColumn("champion_key", key).drop(*(name for name, _ in SCORE_COLUMNS))


def _utc(micros: int) -> dt.datetime:
    return EPOCH + dt.timedelta(microseconds=micros)
