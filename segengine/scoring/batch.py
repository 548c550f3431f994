"""Score customers in Spark: nearest segment, distance, margin, runner-up and whether they are outliers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segengine.errors import ModelError
from segengine.features.prepare_numbers import Preparation
from segengine.features.prepare_stages import FEATURES, TEMPORARY, quoted
from segengine.model.groups import GROUP, Grouping, Key
from segengine.model.pipeline import PREDICTION

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from segengine.model.trained import TrainedModel

__all__ = ["PRIOR", "SCORE_COLUMNS", "group_warnings", "score", "score_kernel"]

Floats = NDArray[np.float64]

PRIOR = TEMPORARY + "prior_key"
"""The key of the segment that a customer was in before, an int; null where it was in none."""

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
distance to the runner-up, from 0 (on the border) to 1 (on the centre). assigned_by: nearest, or held where another
centre than the own one is nearer by too little; its margin is 0, and the nearest one its runner-up. The index counts
segments from 0 in the order of the model.
"""


def score(rows: DataFrame, model: TrainedModel, *, hysteresis: float = 0.0) -> DataFrame:
    """`rows` with the columns of SCORE_COLUMNS; earlier ones are replaced.

    `rows`: one row a customer with the model's feature columns; where a `lane` column is not null the customer gets
    no segment. The segment is the saved pipeline's own prediction; with groups it is one of the customer's own group,
    and so is the runner-up. With `hysteresis` and a column PRIOR a customer stays in that segment until another centre
    is nearer by more than this part of the distance to the segment's own. Nulls, NaN and infinities are prepared as
    missing and stop nothing. ModelError: `rows` lack
    the attribute that the model has groups by.
    """
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F
    from pyspark.sql.types import BooleanType, DoubleType, IntegerType, StringType, StructField, StructType

    kept = [field for field in rows.schema.fields if field.name.lower() not in {name for name, _ in SCORE_COLUMNS}]
    # The customer's own columns travel packed, so that none of them can clash with a column that the pipeline adds.
    packed = F.struct(*(F.col(quoted(field.name)) for field in kept)).alias(TEMPORARY + "row")
    grouping = model.grouping
    names = [item.name for item in Preparation.from_dict(model.preparation).inputs]
    if grouping is not None:
        _require_attribute(rows, grouping)
        names = list(dict.fromkeys([*names, grouping.column]))
    inputs = [F.col(quoted(name)) for name in names]
    prepared = model.pipeline.transform(rows.select(packed, *inputs))
    to_score = F.lit(True)
    if any(field.name == "lane" for field in kept):
        to_score = F.col(TEMPORARY + "row.lane").isNull()
    holding = hysteresis > 0 and any(field.name == PRIOR for field in kept)
    ready = prepared.select(
        TEMPORARY + "row.*",
        F.when(to_score, vector_to_array(F.col(FEATURES))).alias(TEMPORARY + "x"),
        F.when(to_score, F.col(PREDICTION)).cast("int").alias(TEMPORARY + "nearest"),
        *([] if grouping is None else [F.when(to_score, F.col(GROUP)).cast("int").alias(GROUP)]),
        *([F.col(TEMPORARY + "row." + PRIOR).alias(TEMPORARY + "prior")] if holding else []),
    )
    schema = StructType([StructField(f.name, f.dataType, True, f.metadata) for f in kept])
    types = {"int": IntegerType(), "double": DoubleType(), "boolean": BooleanType(), "string": StringType()}
    for name, kind in SCORE_COLUMNS:
        schema = schema.add(name, types[kind])
    ranges = None if grouping is None else grouping.ranges
    hold = (hysteresis, model.segment_keys) if holding else None
    return ready.mapInArrow(score_kernel(model.centres, model.outlier_limits, ranges, hold), schema)


def group_warnings(rows: DataFrame, model: TrainedModel) -> tuple[str, ...]:
    """How many customers without a lane have a value of the attribute that the model has no group for, in a sentence.

    Such customers are in the model's largest group; nothing is to be told where there is a group `other` for them. One
    action, of which a single row comes back.
    """
    from pyspark.sql import functions as F

    grouping = model.grouping
    if grouping is None:
        return ()
    _require_attribute(rows, grouping)
    column = F.col(quoted(grouping.column)).cast("string")
    routing, fallback = grouping.routing, grouping.groups[grouping.fallback]
    if fallback.key.kind == "other":
        return ()  # whoever has no group of its own was meant to be there
    known = [key.value for key in routing.keys if key.kind == "value"]
    has_group = F.when(column.isNull(), F.lit(Key("missing") in routing.keys)).otherwise(
        column.isin(known) if known else F.lit(False)
    )
    strange = ~has_group
    strangers = rows.where(strange & F.col("lane").isNull()) if "lane" in rows.columns else rows.where(strange)
    counts = strangers.groupBy(column.alias("value")).agg(F.count(F.lit(1)).alias("customers"))
    found = counts.agg(
        F.sum("customers").alias("customers"),
        F.count(F.lit(1)).alias("values"),
        F.min("value").alias("first"),
    ).collect()[0]
    if not found["customers"]:
        return ()
    values = repr(found["first"]) if found["first"] is not None else "no value"
    more = f" and {found['values'] - 1:,} other values" if found["values"] > 1 else ""
    told = (
        f"{grouping.by}: the model knows no group for {values}{more}; {found['customers']:,} customers were put in "
        f"segments of '{fallback.name}', the largest group. Train again to give them segments of their own."
    )
    return (told,)


def _require_attribute(rows: DataFrame, grouping: Grouping) -> None:
    if grouping.column not in rows.columns:
        raise ModelError(
            f"The model has segments by '{grouping.by}', and the customers have no such attribute now.",
            where="tables.customers.attributes",
            found=f"no column '{grouping.column}'",
            todo="Put the attribute back, or train again.",
        )


def score_kernel(
    centres: Floats,
    outlier_limits: Floats,
    ranges: Sequence[tuple[int, int]] | None = None,
    hold: tuple[float, Sequence[int]] | None = None,
) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """A function for mapInArrow: batches whose last two columns are the prepared point (list of d doubles, or null)
    and the index of its segment, to batches with the score instead of them.

    `ranges`: the segments of each group, first and one past the last; then the last column is the customer's group, and
    only segments of that group count. `hold`: the hysteresis and the segments' keys; then one more last column is the
    key of the segment before. Made inside a function so that it travels by value: workers need numpy and
    pyarrow, not this package.
    """
    d = centres.shape[1]
    names = [name for name, _ in SCORE_COLUMNS]
    numpy_types = {"int": "int32", "double": "float64", "boolean": "bool"}
    dtypes = [(name, numpy_types[kind]) for name, kind in SCORE_COLUMNS if kind in numpy_types]
    extra = 2 + (ranges is not None) + (hold is not None)
    measured = _measuring(centres, outlier_limits, 0.0 if hold is None else float(hold[0]))
    places = _places(() if hold is None else hold[1])
    spans = [(0, len(centres))] if ranges is None else [(int(first), int(stop)) for first, stop in ranges]

    def kernel(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as numpy_
        import pyarrow as arrow

        for batch in batches:
            own = batch.num_columns - extra
            x_column = batch.column(own)
            scored = x_column.is_valid().to_numpy(zero_copy_only=False)
            x = x_column.flatten().to_numpy(zero_copy_only=False).reshape(-1, d)
            nearest = batch.column(own + 1).fill_null(0).to_numpy(zero_copy_only=False)[scored].astype(numpy_.int64)
            prior = None
            if hold is not None:
                keys = batch.column(batch.num_columns - 1).fill_null(0).to_numpy(zero_copy_only=False)[scored]
                prior = places[numpy_.where((keys > 0) & (keys < len(places)), keys, 0)]
            if ranges is None:
                values = measured(x, nearest, spans[0], prior)
            else:
                groups = batch.column(own + 2).fill_null(0).to_numpy(zero_copy_only=False)[scored]
                values = {}
                for group in numpy_.unique(groups):
                    members = numpy_.flatnonzero(groups == group)
                    before = None if prior is None else prior[members]
                    for name, part in measured(x[members], nearest[members], spans[group], before).items():
                        values.setdefault(name, numpy_.empty(len(x), dtype=part.dtype))[members] = part
            arrays = [batch.column(i) for i in range(own)]
            for name, dtype in dtypes:
                spread = numpy_.zeros(len(scored), dtype=dtype)
                spread[scored] = values.get(name, numpy_.zeros(0, dtype=dtype))
                arrays.append(arrow.array(spread, mask=~scored))
            ways = numpy_.full(len(scored), "nearest", dtype=object)
            ways[numpy_.flatnonzero(scored)[values.get("held", numpy_.zeros(len(x), dtype=bool))]] = "held"
            by = arrow.array(ways, arrow.string(), mask=~scored)
            yield arrow.RecordBatch.from_arrays([*arrays, by], names=[*batch.schema.names[:own], *names])

    return kernel


def _places(keys: Sequence[int]) -> NDArray[np.int64]:
    """The index of a segment at the place of its key, -1 where there is none."""
    places = np.full(max(keys, default=0) + 1, -1, dtype=np.int64)
    places[list(keys)] = np.arange(len(keys))
    return places


def _measuring(centres: Floats, outlier_limits: Floats, hysteresis: float) -> Callable[..., dict[str, Any]]:
    """A function that travels by value, as `score_kernel`'s."""

    def measured(x: Any, nearest: Any, span: tuple[int, int], prior: Any) -> dict[str, Any]:
        """The scores of points (n, d) of one group, whose segments are those of the span; `prior`: indices before."""
        import numpy as numpy_

        first, stop = span
        rows, k = numpy_.arange(len(x)), stop - first
        distances = numpy_.empty((len(x), k))
        with numpy_.errstate(all="ignore"):
            for i in range(k):
                away = x - centres[first + i]
                distances[:, i] = numpy_.sqrt(numpy_.einsum("ij,ij->i", away, away))
        distances = numpy_.where(numpy_.isfinite(distances), distances, numpy_.finfo(numpy_.float64).max)
        own = nearest - first
        strays = (own < 0) | (own >= k)  # so far from everybody that the model took another group's segment
        own = numpy_.where(strays, distances.argmin(axis=1), own)
        held = numpy_.zeros(len(x), dtype=bool)
        if prior is not None:
            before = prior - first
            known = (before >= 0) & (before < k)
            away = distances[rows, numpy_.where(known, before, 0)]
            held = known & (before != own) & (away - distances[rows, own] < hysteresis * away)
            own = numpy_.where(held, before, own)
        distance = distances[rows, own]
        distances[rows, own] = numpy_.inf
        runner_up = distances.argmin(axis=1)
        second = distances[rows, runner_up]
        gap = numpy_.where(second > 0, 1.0 - distance / numpy_.where(second > 0, second, 1.0), 0.0)
        return {
            "segment_index": (own + first).astype(numpy_.int32),
            "distance": distance,
            "margin": numpy_.clip(gap, 0.0, 1.0),
            "runner_up_index": (runner_up + first).astype(numpy_.int32),
            "held": held,
            "is_outlier": distance > outlier_limits[own + first],
        }

    return measured
