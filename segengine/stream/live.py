"""The table of customers as of now: replaced as a whole when time moves on, merged into between."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from segengine.io.files import Store
from segengine.publish.shape import money, published_names, quoted
from segengine.scoring.keys import segment_key
from segengine.tables import ASSIGNMENTS

if TYPE_CHECKING:
    import datetime as dt

    from pyspark.sql import DataFrame

    from segengine.config import Config
    from segengine.model.trained import LoadedModel

__all__ = ["ASSIGNMENTS_FOLDER", "STANDING", "live_rows", "merge", "replace", "standing_of", "stands"]

ASSIGNMENTS_FOLDER = "assignments"
STANDING = "assignments.json"
"""Which moment and model the whole table is of; written after it."""


def live_rows(scored: DataFrame, model: LoadedModel, config: Config, *, as_of: dt.datetime, batch: str) -> DataFrame:
    """Scored customers as rows of the live table: the columns of `assignments`, under the customer's own id."""
    names = published_names((feature.name for feature in model.features), ASSIGNMENTS, "_feature")
    types = {feature.name: "double" if feature.kind == "numeric" else "string" for feature in model.features}
    return scored.select(
        "customer_id",
        segment_key(F.col("segment_index"), model.segment_keys).alias("segment_key"),
        "lane",
        "assigned_by",
        "distance",
        "margin",
        segment_key(F.col("runner_up_index"), model.segment_keys).alias("runner_up_key"),
        "is_outlier",
        money(F.col("revenue_e4"), config.minor_unit).alias("revenue"),
        F.col("orders").cast("bigint").alias("orders"),
        F.lit(model.version).alias("model_version"),
        F.lit(as_of).cast("timestamp").alias("as_of"),
        *(F.col(quoted(name)).cast(types[name]).alias(published) for name, published in names.items()),
        F.lit(batch).alias("batch"),
    )


def replace(rows: DataFrame, store: Store) -> None:
    """Make these rows the table."""
    writer = rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    writer.option("delta.enableDeletionVectors", "false").save(store.uri(ASSIGNMENTS_FOLDER))


def merge(rows: DataFrame, store: Store) -> None:
    """Put these customers, each once, in the place of their earlier rows."""
    from delta.tables import DeltaTable

    table = DeltaTable.forPath(rows.sparkSession, store.uri(ASSIGNMENTS_FOLDER))
    matched = table.alias("now").merge(rows.alias("new"), "now.customer_id = new.customer_id")
    matched.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()


def standing_of(store: Store) -> tuple[str, str] | None:
    """(moment, model version) of the whole table; None before the first."""
    try:
        plain = json.loads(store.read_bytes(STANDING))
    except (FileNotFoundError, ValueError):
        return None
    return str(plain["as_of"]), str(plain["model_version"])


def stands(store: Store, as_of: str, model_version: str) -> None:
    """Remember of which moment and model the whole table is."""
    store.write_atomic(STANDING, json.dumps({"as_of": as_of, "model_version": model_version}).encode())
