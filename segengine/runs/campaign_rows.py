"""The customers of a campaign, each with one outcome, staged once: list and cohort are made from the same rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segengine.campaigns.holdout import unit_column
from segengine.campaigns.lists import BATCH_ROWS
from segengine.campaigns.manifest import OUTCOMES
from segengine.contract.contacts import Contacts, contact_column
from segengine.contract.private import listed_ids
from segengine.errors import QualityError
from segengine.io.snapshot import WORK
from segengine.job import Job
from segengine.publish.publication import read_current

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["batches", "cohort", "stage"]

STAGED_ROWS = 500_000
"""Rows of a file that the list is written from, one file at a time."""


def _staged(job: Job) -> str:
    return f"{WORK}/{job.run_id}-list/rows"


def stage(
    job: Job, contacts: Contacts, keys: Sequence[int], campaign_id: str, *, holdout_share: float, columns: int
) -> dict[int, dict[str, int]]:
    """Give every customer of the segments one outcome, once, into files below work; customers by segment and outcome.

    Ids and contacts, of which there are so many `columns`, stand beside those who are on the list only. Sorted by key,
    which is a hash: any first n are as good as drawn, and the list is the same whatever the partitions.
    """
    from pyspark.sql import functions as F

    spark, output = job.spark, job.config.output
    assigned = read_current(spark, output, "assignments").where(F.col("segment_key").isin(list(keys)))
    people = read_current(spark, output, "customers").select("customer_key", "customer_id")
    members = assigned.select("customer_key", "segment_key", "revenue", "orders").join(people, "customer_key", "left")
    rows = members.join(contacts.customers, F.col("customer_id") == F.col("published_id"), "left")
    names = [contact_column(place) for place in range(columns)]
    outcome = _outcome(job, campaign_id, holdout_share, names)
    rows = rows.withColumn("outcome", outcome)
    listed_too = F.col("outcome") == "treated"
    staged = rows.select(
        "customer_key",
        "segment_key",
        "outcome",
        F.col("revenue").alias("baseline_revenue"),
        F.col("orders").alias("baseline_orders"),
        F.when(listed_too, F.col("real_id")).alias("customer_id"),
        *(F.when(listed_too, F.col(name)).alias(name) for name in names),
    ).orderBy("customer_key")
    staged.write.option("maxRecordsPerFile", STAGED_ROWS).parquet(job.store.uri(_staged(job)))
    return _counts(job, keys, assigned.count())


def _outcome(job: Job, campaign_id: str, share: float, contacts: Sequence[str]) -> Any:
    """What becomes of a customer: the first that holds."""
    from pyspark.sql import functions as F

    tables = (job.config.tables.transactions, job.config.tables.customers)
    ignored = listed_ids([name for table in tables if table for name in table.ignore_customers], job.config)
    suppressed = F.coalesce(F.col("is_forgotten"), F.lit(False))
    suppressed = suppressed | F.col("customer_id").isin(*ignored) if ignored else suppressed
    unreachable = F.col(contacts[0]).isNull() if contacts else F.lit(False)
    held = unit_column(campaign_id, F.col("customer_key")) < F.lit(share)
    return (
        F.when(suppressed, F.lit("suppressed"))
        .when(F.col("real_id").isNull(), F.lit("no_longer_in_source"))
        .when(~F.col("agrees"), F.lit("no_consent"))
        .when(~F.col("is_sound"), F.lit("rejected"))
        .when(unreachable, F.lit("no_contact"))
        .when(held, F.lit("holdout"))
        .otherwise(F.lit("treated"))
    )


def _counts(job: Job, keys: Sequence[int], customers: int) -> dict[int, dict[str, int]]:
    """Customers by segment and outcome, as staged. QualityError when they are not those of the segments."""
    staged = job.spark.read.parquet(job.store.uri(_staged(job)))
    counts = {key: dict.fromkeys(OUTCOMES, 0) for key in keys}
    for row in staged.groupBy("segment_key", "outcome").count().collect():
        counts[int(row["segment_key"])][str(row["outcome"])] = int(row["count"])
    found = sum(sum(one.values()) for one in counts.values())
    if found != customers:
        raise QualityError(
            "The customers of the campaign do not add up.",
            found=f"{customers:,} in the segments, {found:,} with an outcome",
            todo="A bug of ours, or files that changed meanwhile; nothing was written. Run again.",
        )
    return counts


def cohort(job: Job, ids: Mapping[int, tuple[str, str]]) -> DataFrame:
    """Who was written to and who was held out, with what they did before; no id of the source."""
    from pyspark.sql import functions as F

    staged = job.spark.read.parquet(job.store.uri(_staged(job))).where(F.col("outcome").isin("treated", "holdout"))
    segment_id = F.lit(None).cast("string")
    for key, (name, _) in ids.items():
        segment_id = F.when(F.col("segment_key") == key, F.lit(name)).otherwise(segment_id)
    return staged.select(
        "customer_key",
        "segment_key",
        segment_id.alias("segment_id"),
        F.col("outcome").alias("group"),
        "baseline_revenue",
        "baseline_orders",
    )


def batches(
    job: Job, columns: Sequence[str], contacts: int, ids: Mapping[int, tuple[str, str]], folder: str
) -> Iterator[pa.RecordBatch]:
    """The rows of the list in the order they were staged in, a file at a time.

    `columns`: what they are called: id, so many `contacts`, the segment's id and name (`ids`: segment_key -> these).
    """
    names = [contact_column(place) for place in range(contacts)]
    keys = pa.array(sorted(ids), pa.int64())
    texts = [pa.array([ids[key][place] for key in sorted(ids)], pa.string()) for place in (0, 1)]
    local = os.path.join(folder, "staged.parquet")
    for entry in job.store.walk(_staged(job)):
        if not entry.name.endswith(".parquet"):
            continue
        job.store.fetch_file(entry.path, local)
        with pq.ParquetFile(local) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                rows = batch.filter(pc.equal(batch.column("outcome"), "treated"))
                place = pc.index_in(rows.column("segment_key").cast(pa.int64()), keys)
                values = [rows.column(name).cast(pa.string()) for name in ("customer_id", *names)]
                values += [text.take(place) for text in texts]
                yield pa.record_batch(values, names=list(columns))
