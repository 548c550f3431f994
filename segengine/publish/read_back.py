"""Read a publication back: its small tables as Arrow, and a bounded sample of its customers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from segengine.features.prepare_sample import SAMPLE_LIMIT
from segengine.io.files import Store
from segengine.publish import delta_log
from segengine.publish.carry import read_parquet_file
from segengine.publish.delta import read_version
from segengine.publish.publication import read_current
from segengine.publish.record import GOLD, Publication
from segengine.publish.shape import published_names, quoted
from segengine.tables import ASSIGNMENTS

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

    from segengine.config import Output

__all__ = ["collected", "customer_sample", "small_tables"]

MICROS = "timestamp"


def small_tables(
    store: Store, spark: SparkSession, publication: Publication, names: Sequence[str]
) -> dict[str, pa.Table]:
    """Those of the named tables that the publication has, whole; only for tables that do not grow with customers."""
    found = {}
    for name in names:
        if publication.format == "parquet":
            files = [e.path for e in store.walk(f"{GOLD}/{publication.folder}/{name}") if e.name.endswith(".parquet")]
            read = _from_files(store, files) if files else None
        else:
            read = _from_delta(store, spark, name, publication.table_versions.get(name))
        if read is not None:
            found[name] = read
    return found


def _from_files(store: Store, files: Sequence[str]) -> pa.Table:
    return pa.concat_tables([read_parquet_file(store, path) for path in files])


def _from_delta(store: Store, spark: SparkSession, name: str, version: int | None) -> pa.Table | None:
    if version is None:
        return None
    files = delta_log.files_written(store, f"{GOLD}/{name}", version)
    if files is not None:
        return _from_files(store, files)
    return collected(read_version(spark, store, name, version))


def collected(frame: DataFrame) -> pa.Table:
    """The rows through Spark, for a table that others have compacted or that has none; no time zone touches a time."""
    times = [name for name, kind in frame.dtypes if kind == MICROS]
    columns = [
        (F.unix_micros(quoted(name)) if name in times else F.col(quoted(name))).alias(name) for name in frame.columns
    ]
    rows = [row.asDict() for row in frame.select(*columns).collect()]
    table = pa.Table.from_pylist(rows) if rows else pa.table({name: pa.nulls(0) for name in frame.columns})
    for name in times:
        place = table.schema.get_field_index(name)
        micros = table.column(name).cast(pa.int64()).cast(pa.timestamp("us", tz="UTC"))
        table = table.set_column(place, name, micros)
    return table


def customer_sample(
    spark: SparkSession, output: Output, features: Sequence[str], wanted: Sequence[str], customers: int, limit: int
) -> pd.DataFrame:
    """segment_key and the `wanted` of the model's `features` of about `limit` segmented customers, at most twice that.

    Chosen by their key, which is a hash, and in its order, so that no partitioning changes it. `customers` is how many
    are segmented; with no more than `limit` of them it is everybody.
    """
    names = published_names(features, ASSIGNMENTS, "_feature")
    every = max(1, customers // limit)
    rows = read_current(spark, output, "assignments").where(
        F.col("segment_key").isNotNull() & (F.pmod("customer_key", F.lit(every).cast("bigint")) == 0)
    )
    columns = [F.col(quoted(names[name])).alias(f"f{place}") for place, name in enumerate(wanted)]
    chosen = rows.select("customer_key", "segment_key", *columns).limit(min(2 * limit, SAMPLE_LIMIT))
    found = chosen.toPandas().sort_values("customer_key", ignore_index=True)
    return found.rename(columns={f"f{place}": name for place, name in enumerate(wanted)})
