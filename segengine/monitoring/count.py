"""Count customers of today into the bins of earlier profiles: one Spark aggregation for all columns of all of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from segengine.features.prepare_numbers import LARGEST
from segengine.features.prepare_stages import quoted
from segengine.monitoring.profile import DISTANCE, RECENT_DAYS, Bins, Profile
from segengine.tables import LANES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

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
    cells = [
        _bin(columns[name], cuts[number][name]) + F.lit(place * WIDTH + 1)
        for place, (number, name) in enumerate(wanted)
    ]
    # One number says what is counted and in which bin: rows of text would be ten times as dear to group.
    segment, is_far = F.col("segment").cast("int") + F.lit(first + 1), F.coalesce(F.col("is_outlier"), F.lit(False))
    lanes = [name for name, _ in LANES]
    lane = -F.call_function("array_position", F.array(*(F.lit(name) for name in lanes)), F.col("lane")).cast("int")
    assigned = F.array(*cells, segment, F.when(is_far, F.lit(first)))
    codes = rows.select(F.explode(F.when(F.col("lane").isNull(), assigned).otherwise(F.array(lane))).alias("code"))
    found = codes.groupBy("code").agg(F.count(F.lit(1)).alias("customers")).collect()
    counts = {row["code"]: int(row["customers"]) for row in found if row["code"] is not None}
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


def _bin(column: str, bins: Bins) -> Column:
    """The place of a customer's value in the bins; MISSING for what preparation takes for missing, too."""
    from pyspark.sql import functions as F

    value = F.col(quoted(column))
    if bins.kind == "numeric":
        number = value.cast("double")
        usable = number.isNotNull() & ~F.isnan(number) & (F.abs(number) <= LARGEST)
        place = F.lit(0)
        for edge in bins.edges:
            place = place + (number > edge).cast("int")
        return F.when(usable, place).otherwise(F.lit(MISSING)).cast("int")
    text = value.cast("string")
    place = (
        F.call_function("array_position", F.array(*(F.lit(level) for level in bins.levels)), text)
        if bins.levels
        else F.lit(0)
    )
    place = F.when(place > 0, place - 1).otherwise(F.lit(len(bins.levels)))
    return F.when(text.isNull(), F.lit(MISSING)).otherwise(place).cast("int")


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
