"""Ready rows of features, scored as they arrive."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from segengine.config import Config, load
from segengine.contract.private import private_rows
from segengine.errors import InputError
from segengine.features.prepare_numbers import Preparation
from segengine.io.files import store_for
from segengine.job import open_job
from segengine.model import bundle
from segengine.scoring.batch import score
from segengine.scoring.keys import segment_key

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from segengine.model.trained import LoadedModel
    from segengine.steps import Listener

__all__ = ["scored_stream", "stream_rows"]

CHECKPOINT = "checkpoint-rows"
SCORES = "scores"


def stream_rows(
    config: Config | str | Path,
    rows: DataFrame | str | Path,
    *,
    every: str | None = None,
    model: str | None = None,
    spark: SparkSession | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> str:
    """Score rows of features as they arrive and append them to `<output>/stream/scores` (Delta); returns its URI.

    `rows`: a folder that Parquet files arrive in, or a streaming DataFrame; a row has customer_id and the model's
    features under their names, and is scored once, whatever dies meanwhile; ids are those of the source, and become
    pseudonyms where these are asked for. Customers who were erased are left out. InputError: a column is missing.
    """
    config = config if isinstance(config, Config) else load(config)
    with open_job("stream-rows", config, steps=2, spark=spark, as_of=None, now=now, listener=listener) as job:
        loaded = bundle.load(job.store, model or bundle.require_champion(job.store), job.spark)
        if isinstance(rows, (str, Path)):
            schema = job.spark.read.parquet(str(rows)).schema
            rows = job.spark.readStream.schema(schema).parquet(str(rows))
        store = store_for(job.store.uri("stream"), job.spark)
        with job.steps.step("Following the stream"):
            writer = scored_stream(private_rows(rows, config), loaded).writeStream.format("delta").outputMode("append")
            writer = writer.option("checkpointLocation", store.uri(CHECKPOINT))
            writer = writer.trigger(availableNow=True) if every is None else writer.trigger(processingTime=every)
            writer.start(store.uri(SCORES)).awaitTermination()
        return store.uri(SCORES)


def scored_stream(rows: DataFrame, model: LoadedModel) -> DataFrame:
    """A streaming DataFrame of features with `segment_key`, distance, margin, runner_up_key and is_outlier."""
    wanted = ["customer_id", *(item.name for item in Preparation.from_dict(model.preparation).inputs)]
    missing = [name for name in wanted if name not in rows.columns]
    if missing:
        raise InputError(
            "Rows of features to score lack columns.",
            found=", ".join(missing),
            todo="Give them under the names of the model's features (model.json), as `assignments` publishes them.",
        )
    scored = score(rows, model)
    named = scored.withColumn("segment_key", segment_key(F.col("segment_index"), model.segment_keys))
    named = named.withColumn("runner_up_key", segment_key(F.col("runner_up_index"), model.segment_keys))
    return named.drop("segment_index", "runner_up_index").withColumn("model_version", F.lit(model.version))
