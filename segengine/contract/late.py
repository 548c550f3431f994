"""Rows that arrived late: ordered before a moment that is published already, and not there when it was."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import functions as F

from segengine.config.times import microseconds
from segengine.contract.lines import AT_US
from segengine.contract.scan import Metric, count_when

__all__ = ["Arrived", "Published", "arrival_metrics", "arrived"]

BEFORE, EARLIER = "rows_before", "rows_earlier"


@dataclass(frozen=True)
class Published:
    """The last moment that is published, and how many rows were ordered before it then, where that is known."""

    as_of: dt.datetime
    rows_before: int | None


@dataclass(frozen=True)
class Arrived:
    """Rows ordered before `as_of`, whatever became of them, and how many of them came late.

    None where it is not known; `rows_late` is below 0 when rows are gone.
    """

    rows_before: int | None = None
    rows_late: int | None = None


def arrival_metrics(until_us: int, published: Published | None) -> dict[str, Metric]:
    """What to count in the rows that are read: those before `until_us`, and before what is published."""
    metrics = {BEFORE: count_when(F.col(AT_US) < until_us)}
    if published is not None:
        metrics[EARLIER] = count_when(F.col(AT_US) < microseconds(published.as_of))
    return metrics


def arrived(
    scanned: Mapping[str, int],
    total: Mapping[str, int],
    earlier: Mapping[str, int] | None,
    published: Published | None,
    as_of: dt.datetime,
) -> Arrived:
    """`scanned`: of the rows that this run read; `total`: with what `earlier` runs counted, where it builds on some.

    A run that builds on others reads new rows only: those before what is published are late. Any other one compares
    with what there was.
    """
    known = BEFORE in total and (not earlier or BEFORE in earlier)
    before = total[BEFORE] if known else None
    if published is None or published.as_of >= as_of:
        return Arrived(before, None)
    if earlier:
        return Arrived(before, scanned.get(EARLIER, 0))
    return Arrived(before, None if published.rows_before is None else scanned.get(EARLIER, 0) - published.rows_before)
