"""Who is where, counted once: customers and revenue by segment, by what a rule says, and by cell of the RFM grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segengine.config.rfm_cells import DEFAULT_CELLS, codes_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from segengine.config import RfmGrid

__all__ = ["Counted", "cell_rows", "count"]


@dataclass(frozen=True)
class Counted:
    """Customers of a segment (by index) whom the rules give to `ruled` (an index, or None) and who are in a cell."""

    segment: int
    ruled: int | None
    cell: str | None
    customers: int
    revenue_e4: int | None


def count(scored: DataFrame, ruled: Column | None = None) -> tuple[Counted, ...]:
    """Count the segmented customers. One action; at most segments x segments x cells rows come back.

    `ruled`: the index of the segment that a customer's own numbers say; null for none.
    """
    from pyspark.sql import functions as F

    says = F.lit(None).cast("int") if ruled is None else ruled.cast("int")
    segmented = scored.where(F.col("segment_index").isNotNull())
    counted = (
        segmented.withColumn("ruled", says)
        .groupBy("segment_index", "ruled", "rfm_cell")
        .agg(F.count(F.lit(1)).alias("customers"), F.sum("revenue_e4").alias("revenue_e4"))
    )
    return tuple(Counted(*row) for row in counted.collect())


def cell_rows(counted: Sequence[Counted], grid: RfmGrid | None) -> list[dict[str, Any]]:
    """Rows of the table rfm_cells: every cell of the grid, also those without anybody; none without scores."""
    if grid is None or all(one.cell is None for one in counted):
        return []
    total = sum(one.customers for one in counted)
    revenue = [one.revenue_e4 for one in counted if one.revenue_e4 is not None]
    rows = []
    for name, text in (grid.cells or DEFAULT_CELLS).items():
        own = [one for one in counted if one.cell == name]
        earned = sum(one.revenue_e4 or 0 for one in own)
        customers = sum(one.customers for one in own)
        separator = "" if grid.bins <= 9 else "-"
        rows.append(
            {
                "cell": name,
                "codes": " ".join(separator.join(map(str, code)) for code in sorted(codes_of(text, grid.bins))),
                "customers": customers,
                "share": customers / total,
                "revenue_e4": earned if revenue else None,
                "revenue_share": earned / sum(revenue) if revenue and sum(revenue) else None,
            }
        )
    return rows
