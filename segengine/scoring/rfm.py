"""The RFM grid beside the segments: scores and the named cell of every customer, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segengine.config.rfm_cells import DEFAULT_CELLS, codes_of
from segengine.features.prepare_stages import quoted
from segengine.model.rfm_grid import RFM_FEATURES, cuts_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from segengine.config import RfmGrid

__all__ = ["RFM_COLUMNS", "with_rfm"]

RFM_COLUMNS = ("rfm_recency_score", "rfm_frequency_score", "rfm_monetary_score", "rfm_cell")


def with_rfm(scored: DataFrame, learnt: Mapping[str, Any] | None, grid: RfmGrid | None) -> DataFrame:
    """`scored` with RFM_COLUMNS: null without a grid, without cut points, and for customers in a lane."""
    from pyspark.sql import functions as F

    rows = scored.drop(*RFM_COLUMNS)
    if grid is None or learnt is None:
        empty = [F.lit(None).cast("int").alias(name) for name in RFM_COLUMNS[:3]]
        return rows.select("*", *empty, F.lit(None).cast("string").alias(RFM_COLUMNS[3]))
    cuts = cuts_of(learnt, grid.bins)
    segmented = F.col("segment_index").isNotNull()
    scores = [F.when(segmented, _score(name, cuts[name])) for name in RFM_FEATURES]
    given = rows.select("*", *(score.alias(name) for score, name in zip(scores, RFM_COLUMNS, strict=False)))
    return given.select("*", _cell(grid).alias(RFM_COLUMNS[3]))


def _score(name: str, cuts: Sequence[float]) -> Column:
    """The same as segengine.model.rfm_grid.score; null where there is no value."""
    from pyspark.sql import functions as F

    value = F.col(quoted(name)).cast("double")
    exceeded = F.lit(0)
    for cut in cuts:
        exceeded = exceeded + (value > F.lit(float(cut))).cast("int")
    reversed_ = name == "recency_days"
    there = value.isNotNull() & ~F.isnan(value)
    return F.when(there, (F.lit(len(cuts) + 1) - exceeded) if reversed_ else (F.lit(1) + exceeded)).cast("int")


def _cell(grid: RfmGrid) -> Column:
    """The name of the cell. Cells are total and disjoint, so their order does not matter."""
    from pyspark.sql import functions as F

    recency, frequency, money = (F.col(name) for name in RFM_COLUMNS[:3])
    number = ((recency - 1) * grid.bins + frequency - 1) * grid.bins + money
    names: dict[int, str] = {}
    for name, text in (grid.cells or DEFAULT_CELLS).items():
        for r, f, m in codes_of(text, grid.bins):
            names[((r - 1) * grid.bins + f - 1) * grid.bins + m] = name
    listed = F.array(*(F.lit(names[code]) for code in sorted(names)))
    return F.when(number.isNotNull(), F.element_at(listed, number))
