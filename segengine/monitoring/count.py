"""Count customers of today into the bins of earlier profiles: one Spark aggregation for all columns of all of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from segengine.features.prepare_numbers import LARGEST
from segengine.features.prepare_stages import quoted
from segengine.monitoring.profile import DISTANCE, RECENT_DAYS, Bins, Profile
from segengine.tables import LANES

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = ["count_customers", "count_recent"]

MISSING = -1
WIDTH = 64
"""Numbers that are set aside for the bins of a column."""
MOST_VALUES = 500
"""Values of a column of the lines that are told apart."""


def count_customers(
    rows: DataFrame,
    names: Mapping[str, str],
    *,
    cuts: Sequence[Mapping[str, Bins]],
    as_of: dt.datetime,
    version: str,
    segments: Sequence[int],
) -> list[Profile]:
    """The customers of `rows` as a profile for each of `cuts`, in its bins.

    `rows`: one row a customer with `segment`, `lane`, `distance`, `is_outlier` and the features, whose columns `names`
    gives. `segments`: the values of `segment` in the order of the model. One action, whose result has a row for each
    bin that anybody is in. Columns that the rows do not have are left out.
    """
    from pyspark.sql import functions as F

    columns = {name: column for name, column in {**names, DISTANCE: "distance"}.items() if column in rows.columns}
    wanted = [(number, name) for number, cut in enumerate(cuts) for name in cut if name in columns]
    first = len(wanted) * WIDTH
    lanes = [name for name, _ in LANES]
    asked = [(columns[name], cuts[number][name].kind == "numeric") for number, name in wanted]
    values = list(dict.fromkeys(asked))
    kernel = _counting(
        [(values.index(value), cuts[number][name]) for value, (number, name) in zip(asked, wanted, strict=True)], lanes
    )
    read = rows.select(
        *(F.col(quoted(name)).cast("double" if numeric else "string") for name, numeric in values),
        F.col("segment").cast("int"),
        F.coalesce(F.col("is_outlier"), F.lit(False)),
        F.col("lane"),
    ).toDF(*(f"c{place}" for place in range(len(values) + 3)))
    found = read.mapInArrow(kernel, "code int, customers bigint").groupBy("code").agg(F.sum("customers").alias("n"))
    counts = {row["code"]: int(row["n"]) for row in found.collect()}
    sizes = tuple(counts.get(first + 1 + key, 0) for key in segments)
    by_lane = {name: counts[-place] for place, name in enumerate(lanes, start=1) if -place in counts}
    profiles = []
    for number, cut in enumerate(cuts):
        binned = {
            name: _counted(cut[name], counts, place * WIDTH + 1)
            for place, (of, name) in enumerate(wanted)
            if of == number
        }
        profiles.append(Profile(as_of, version, sum(sizes), binned, sizes, by_lane, counts.get(first, 0)))
    return profiles


def _counted(bins: Bins, counts: Mapping[int, int], start: int) -> Bins:
    found = tuple(counts.get(start + place, 0) for place in range(len(bins.counts)))
    return replace(bins, counts=found, missing=counts.get(start + MISSING, 0))


def _counting(
    binned: Sequence[tuple[int, Bins]], lanes: Sequence[str]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for mapInArrow: batches whose last columns are segment, is_outlier and lane, to counts by code.

    `binned`: the position of a column and bins for it. Codes of the place p are from p * WIDTH (missing) on; after them
    come outliers and segments; lanes are below 0. Made inside a function so that it travels by value.
    """
    width, missing, largest = WIDTH, MISSING, LARGEST
    numeric = [(place, at, sorted(bins.edges)) for place, (at, bins) in enumerate(binned) if bins.kind == "numeric"]
    texts = [(place, at, list(bins.levels)) for place, (at, bins) in enumerate(binned) if bins.kind != "numeric"]
    first, lane_names = len(binned) * width, list(lanes)

    def kernel(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as np
        import pyarrow as arrow
        import pyarrow.compute as pc

        total = np.zeros(0, dtype=np.int64)

        def add(codes: Any) -> None:
            nonlocal total
            more = np.bincount(codes + len(lane_names))
            if len(more) > len(total):
                total, more = more, total
            total[: len(more)] += more

        for batch in batches:
            lane = batch.column(batch.num_columns - 1)
            add(-1 - pc.index_in(lane, value_set=arrow.array(lane_names, arrow.string())).drop_null().to_numpy())
            own = batch.filter(lane.is_null())
            for place, at, edges in numeric:
                number = own.column(at).fill_null(np.nan).to_numpy(zero_copy_only=False)
                with np.errstate(invalid="ignore"):
                    usable = np.abs(number) <= largest
                bins = np.where(usable, np.searchsorted(edges, number, side="left"), missing)
                add(bins + (place * width + 1))
            for place, at, levels in texts:
                text = own.column(at)
                bins = pc.index_in(text, value_set=arrow.array(levels, arrow.string())).fill_null(len(levels))
                add(np.where(text.is_null().to_numpy(zero_copy_only=False), missing, bins) + (place * width + 1))
            segment, is_far = own.column(own.num_columns - 3), own.column(own.num_columns - 2)
            add(segment.drop_null().to_numpy().astype(np.int64) + (first + 1))
            add(np.full(is_far.true_count, first))
        codes = np.flatnonzero(total)
        yield arrow.RecordBatch.from_arrays(
            [arrow.array(codes - len(lane_names), arrow.int32()), arrow.array(total[codes], arrow.int64())],
            names=["code", "customers"],
        )

    return kernel


def count_recent(lines: DataFrame, columns: Sequence[str], *, as_of: dt.datetime) -> dict[str, list[dict[str, int]]]:
    """Customers who bought with each value of each column: in the last RECENT_DAYS, as many days before, a year ago.

    `lines`: checked lines. Under the empty name stands how many customers bought at all. One action; values beyond the
    MOST_VALUES that most customers bought with are left out.
    """
    from pyspark.sql import functions as F

    at = F.unix_micros("ordered_at")
    spans = [_span(as_of, days) for days in (0, RECENT_DAYS, 365)]
    period = F.lit(None).cast("int")
    for number, (start, stop) in reversed(list(enumerate(spans))):
        period = F.when((at >= start) & (at < stop), F.lit(number)).otherwise(period)
    cells = F.explode(
        F.array(
            *(
                F.struct(F.lit(name).alias("name"), F.col(quoted(name)).cast("string").alias("value"))
                for name in columns
            ),
            F.struct(F.lit("").alias("name"), F.lit("").alias("value")),
        )
    )
    bought = lines.where((F.col("status") == "used") & ~F.coalesce(F.col("is_return"), F.lit(False)))
    people = (
        bought.select("customer_id", period.alias("period"), cells.alias("cell"))
        .where(F.col("period").isNotNull() & F.col("cell.value").isNotNull())
        .distinct()
    )
    counts = people.groupBy("cell", "period").agg(F.count(F.lit(1)).alias("customers"))
    most = counts.orderBy(F.desc("customers"), "cell.name", "cell.value").limit(MOST_VALUES * len(spans))
    found: dict[str, list[dict[str, int]]] = {name: [{}, {}, {}] for name in ("", *columns)}
    for row in most.collect():
        found[row["cell"]["name"]][row["period"]][row["cell"]["value"]] = int(row["customers"])
    return found


def _span(as_of: dt.datetime, days_ago: int) -> tuple[int, int]:
    """First and one past the last epoch microsecond of a month of RECENT_DAYS that ended so many days ago."""
    stop = int((as_of - dt.timedelta(days=days_ago)).timestamp() * 1_000_000)
    return stop - RECENT_DAYS * 86_400_000_000, stop
