"""Score customers in Spark: nearest segment, distance, margin, runner-up and whether they are outliers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segengine.features.prepare_numbers import Preparation
from segengine.features.prepare_stages import FEATURES, TEMPORARY, quoted
from segengine.model.pipeline import PREDICTION

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from segengine.model.trained import TrainedModel

__all__ = ["SCORE_COLUMNS", "score", "score_kernel"]

Floats = NDArray[np.float64]

SCORE_COLUMNS = (
    ("segment_index", "int"),
    ("distance", "double"),
    ("margin", "double"),
    ("runner_up_index", "int"),
    ("is_outlier", "boolean"),
    ("assigned_by", "string"),
)
"""What scoring adds to a row, with Spark's type names. All null for a customer in a lane.

distance: Euclidean distance to the own centre, prepared units. margin: (distance to the runner-up - distance) /
distance to the runner-up, from 0 (on the border) to 1 (on the centre). The index counts segments from 0 in the order
of the model.
"""


def score(rows: DataFrame, model: TrainedModel) -> DataFrame:
    """`rows` with the columns of SCORE_COLUMNS; earlier ones are replaced.

    `rows`: one row a customer with the model's feature columns; where a `lane` column is not null the customer gets
    no segment. The segment is the saved pipeline's own prediction. Nulls, NaN and infinities are prepared as missing
    and stop nothing.
    """
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F
    from pyspark.sql.types import BooleanType, DoubleType, IntegerType, StringType, StructField, StructType

    kept = [field for field in rows.schema.fields if field.name.lower() not in {name for name, _ in SCORE_COLUMNS}]
    # The customer's own columns travel packed, so that none of them can clash with a column that the pipeline adds.
    packed = F.struct(*(F.col(quoted(field.name)) for field in kept)).alias(TEMPORARY + "row")
    inputs = [F.col(quoted(item.name)) for item in Preparation.from_dict(model.preparation).inputs]
    prepared = model.pipeline.transform(rows.select(packed, *inputs))
    to_score = F.lit(True)
    if any(field.name == "lane" for field in kept):
        to_score = F.col(TEMPORARY + "row.lane").isNull()
    ready = prepared.select(
        TEMPORARY + "row.*",
        F.when(to_score, vector_to_array(F.col(FEATURES))).alias(TEMPORARY + "x"),
        F.when(to_score, F.col(PREDICTION)).cast("int").alias(TEMPORARY + "nearest"),
    )
    schema = StructType([StructField(f.name, f.dataType, True, f.metadata) for f in kept])
    types = {"int": IntegerType(), "double": DoubleType(), "boolean": BooleanType(), "string": StringType()}
    for name, kind in SCORE_COLUMNS:
        schema = schema.add(name, types[kind])
    return ready.mapInArrow(score_kernel(model.centres, model.outlier_limits), schema)


def score_kernel(centres: Floats, outlier_limits: Floats) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """A function for mapInArrow: batches whose last two columns are the prepared point (list of d doubles, or null)
    and the index of its segment, to batches with the score instead of them.

    Made inside a function so that it travels by value: workers need numpy and pyarrow, not this package.
    """
    k, d = centres.shape
    names = [name for name, _ in SCORE_COLUMNS]

    def kernel(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as numpy_
        import pyarrow as arrow

        for batch in batches:
            own = batch.num_columns - 2
            x_column = batch.column(own)
            scored = x_column.is_valid().to_numpy(zero_copy_only=False)
            x = x_column.flatten().to_numpy(zero_copy_only=False).reshape(-1, d)
            n = len(x)
            nearest = batch.column(own + 1).fill_null(0).to_numpy(zero_copy_only=False)[scored].astype(numpy_.int64)
            distances = numpy_.empty((n, k))
            with numpy_.errstate(all="ignore"):
                for i in range(k):
                    away = x - centres[i]
                    distances[:, i] = numpy_.sqrt(numpy_.einsum("ij,ij->i", away, away))
            distances = numpy_.where(numpy_.isfinite(distances), distances, numpy_.finfo(numpy_.float64).max)
            rows = numpy_.arange(n)
            distance = distances[rows, nearest]
            distances[rows, nearest] = numpy_.inf
            runner_up = distances.argmin(axis=1)
            second = distances[rows, runner_up]
            gap = numpy_.where(second > 0, 1.0 - distance / numpy_.where(second > 0, second, 1.0), 0.0)
            values = {
                "segment_index": nearest.astype(numpy_.int32),
                "distance": distance,
                "margin": numpy_.clip(gap, 0.0, 1.0),
                "runner_up_index": runner_up.astype(numpy_.int32),
                "is_outlier": distance > outlier_limits[nearest],
            }
            arrays = [batch.column(i) for i in range(own)]
            for value in values.values():
                spread = numpy_.zeros(len(scored), dtype=value.dtype)
                spread[scored] = value
                arrays.append(arrow.array(spread, mask=~scored))
            by = arrow.array(["nearest"] * len(scored), arrow.string(), mask=~scored)
            yield arrow.RecordBatch.from_arrays([*arrays, by], names=[*batch.schema.names[:own], *names])

    return kernel
