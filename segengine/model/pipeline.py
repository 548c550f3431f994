"""A stock KMeansModel from given centres, the pipeline it ends, and how a saved pipeline is loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from segengine.connect import is_connect
from segengine.errors import ModelError
from segengine.features.prepare_numbers import Preparation
from segengine.features.prepare_stages import FEATURES, TEMPORARY, double_literal, stages
from segengine.model.groups import GROUP, Grouping, route_stage

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.ml.clustering import KMeansModel
    from pyspark.sql import SparkSession

__all__ = [
    "PREDICTION",
    "as_saved_by_java",
    "kmeans_model",
    "load_pipeline",
    "routed",
    "segment_pipeline",
]

Floats = NDArray[np.float64]

DRAWN = {
    2: (1, 0),
    3: (1, 0, 2),
    4: (2, 0, 3, 1),
    5: (4, 2, 1, 0, 3),
    6: (2, 1, 3, 4, 0, 5),
    7: (6, 4, 0, 2, 3, 1, 5),
    8: (6, 5, 0, 3, 7, 1, 4, 2),
    9: (2, 1, 6, 7, 4, 3, 8, 0, 5),
    10: (6, 1, 8, 5, 2, 9, 4, 0, 7, 3),
    11: (10, 7, 8, 2, 6, 0, 3, 4, 1, 5, 9),
    12: (4, 0, 1, 2, 5, 9, 8, 10, 6, 3, 7, 11),
}
"""The order in which Spark 3.5 to 4.2 draws k rows with SEED. It saves one of two fits; where it is not known, or not
so any more, it is learnt."""

PREDICTION = "prediction"

ROUTE = TEMPORARY + "route"
ROUTED = TEMPORARY + "routed"

SEED = 1
"""Fixed: it decides in which order Spark draws the k rows, and nothing else."""


def kmeans_model(spark: SparkSession, centres: Floats, column: str = FEATURES) -> KMeansModel:
    """A KMeansModel of the vector `column` whose clusterCenters() are exactly these centres (k, d), in this order.

    Spark has no constructor for one. KMeans with random initialisation and no iteration draws all of exactly k
    distinct rows in one partition, in an order that depends on the seed and k only: learn the order, then hand the
    rows over so that they come out as wanted. Raises ModelError when the centres do not come back bit by bit. The
    model's own summary means nothing.
    """
    wanted = np.ascontiguousarray(centres, dtype=np.float64) + 0.0  # -0.0 becomes 0.0
    if len(np.unique(wanted, axis=0)) != len(wanted):
        raise ModelError(
            "Two segments have the same centre.",
            found=f"{len(wanted)} centres, {len(np.unique(wanted, axis=0))} of them distinct",
            todo="Ask for fewer segments (segments.k).",
        )
    if len(wanted) in DRAWN:
        model = _draw(spark, _handed(wanted, DRAWN[len(wanted)]), column)
        if np.array_equal(_centres(model), wanted):
            return model
    drawn = _centres(_draw(spark, wanted, column))
    if sorted(map(tuple, drawn.tolist())) != sorted(map(tuple, wanted.tolist())):
        raise _not_taken()
    position = {tuple(row): i for i, row in enumerate(wanted.tolist())}
    model = _draw(spark, _handed(wanted, [position[tuple(row)] for row in drawn.tolist()]), column)
    if not np.array_equal(_centres(model), wanted):
        raise _not_taken()
    return model


def _handed(wanted: Floats, order: Sequence[int]) -> Floats:
    """Rows to hand over so that drawing them in this order gives `wanted`."""
    handed = np.empty_like(wanted)
    handed[list(order)] = wanted
    return handed


def _draw(spark: SparkSession, rows: Floats, column: str) -> KMeansModel:
    import pandas as pd
    from pyspark.ml.clustering import KMeans
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as F

    # As arrays, which become vectors in Spark: vectors of Python's would go through a worker, which takes a second.
    arrays = spark.createDataFrame(pd.DataFrame({column: list(rows)}), f"`{column}` array<double>").coalesce(1)
    frame = arrays.select(array_to_vector(F.col(column)).alias(column))
    estimator = KMeans(
        featuresCol=column,
        predictionCol=PREDICTION,
        k=len(rows),
        initMode="random",
        maxIter=0,
        solver="row",
        seed=SEED,
    )
    return estimator.fit(frame)


def _centres(model: KMeansModel) -> Floats:
    return np.array([list(centre) for centre in model.clusterCenters()], dtype=np.float64)


def _not_taken() -> ModelError:
    return ModelError(
        "This version of Spark does not build a KMeansModel from the given centres.",
        todo="Use Spark 3.5 to 4.2, for which this is tested.",
    )


def segment_pipeline(
    spark: SparkSession, preparation: Preparation, centres: Floats, grouping: Grouping | None = None
) -> PipelineModel:
    """The whole model: one row of features a customer to `prediction`, the segment's index from 0; stock stages
    only.

    With groups the rows also have the attribute's column. The model sees one more dimension, in which groups are so
    far apart that the nearest centre is always one of the customer's own group.
    """
    from pyspark.ml import PipelineModel
    from pyspark.ml.feature import SQLTransformer, VectorAssembler

    if grouping is None:
        return PipelineModel(stages=[*stages(preparation), kmeans_model(spark, centres)])
    route = f"{GROUP} * {double_literal(grouping.spacing)}"
    routing = [
        route_stage(grouping.routing),
        SQLTransformer(statement=f"SELECT *, {route} AS {ROUTE} FROM __THIS__"),
        VectorAssembler(inputCols=[FEATURES, ROUTE], outputCol=ROUTED, handleInvalid="keep"),
    ]
    model = kmeans_model(spark, routed(centres, grouping), ROUTED)
    return PipelineModel(stages=[*stages(preparation), *routing, model])


def routed(centres: Floats, grouping: Grouping | None) -> Floats:
    """The centres as the pipeline's last stage has them: with groups (k, d + 1), the last dimension routes."""
    return centres if grouping is None else np.column_stack([centres, grouping.routes()])


def load_pipeline(uri: str, spark: SparkSession) -> PipelineModel:
    """Load a saved pipeline. Loading runs classes named in the files: verify the bundle first."""
    from pyspark.ml import PipelineModel

    if not is_connect(spark):
        return PipelineModel.load(uri)
    # Over Connect, Spark 4.0 and 4.1 load stage by stage only what was saved so; all of them can.
    from pyspark.ml.pipeline import PipelineSharedReadWrite
    from pyspark.ml.util import DefaultParamsReader

    metadata = DefaultParamsReader.loadMetadata(uri, spark)
    uid, stages = PipelineSharedReadWrite.load(metadata, spark, uri)
    model: PipelineModel = PipelineModel(stages=cast(Any, stages))._resetUid(uid)
    return model


def as_saved_by_java(metadata: bytes) -> bytes:
    """The metadata of a pipeline, saved stage by stage from Python (as Spark Connect does), as Spark's JVM writes it.

    So that a bundle is the same however it was saved, and Scala reads it too. Other metadata is returned as it is.
    """
    data = json.loads(metadata)
    if data["class"] != "pyspark.ml.pipeline.PipelineModel":
        return metadata
    data["class"] = "org.apache.spark.ml.PipelineModel"
    data["paramMap"].pop("language", None)
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"
