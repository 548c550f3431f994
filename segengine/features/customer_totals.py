"""What adds up over all customers: rows, money and people, by lane."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from segengine.contract.quality import LineTotals
from segengine.features.overflow import clear_overflow
from segengine.tables import LANES

__all__ = ["FeatureTotals", "LaneTotal", "size_warnings", "totals"]

LARGE_LINES = 1_000_000
LARGE_SHARE = 0.01
"""A customer with more lines than both is hardly a person: a till, a guest account or a dealer."""


@dataclass(frozen=True)
class LaneTotal:
    """Customers of a lane, and their revenue in 1/10,000 of the currency unit."""

    customers: int
    revenue_e4: int


@dataclass(frozen=True)
class FeatureTotals:
    """Sums over customer rows. `assigned` are those without a lane. Money is in 1/10,000 of the currency unit.

    lines_used: without copies when duplicates are dropped. `lines`: the same as the contract counts them.
    """

    customers: int
    by_lane: dict[str, LaneTotal]
    assigned_customers: int
    assigned_revenue_e4: int
    lines_used: int
    lines_ignored: int
    lines_rejected: int
    duplicates: int
    duplicates_e4: int
    largest_customer_lines: int
    lines: LineTotals
    first_order_us: int | None = None
    """Microseconds since 1970 of the first order of anybody; None without orders."""


_SUMS = [
    "revenue_e4",
    "lines_used",
    "lines_ignored",
    "lines_rejected",
    "lines_dropped",
    "dropped_e4",
    "lines_before_history",
    "before_history_e4",
    "duplicates",
    "duplicates_e4",
]


def totals(rows: DataFrame) -> FeatureTotals:
    """Totals of customer rows, in one action. InputError when a sum does not fit in 64 bits."""
    lines = F.col("lines_used") + F.col("lines_dropped") + F.col("lines_ignored") + F.col("lines_rejected")
    grouped = rows.groupBy("lane").agg(
        F.count(F.lit(1)).alias("customers"),
        *(F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in _SUMS),
        F.max(lines).alias("largest"),
        F.min(F.unix_micros("first_ordered_at")).alias("first_us"),
    )
    with clear_overflow():
        found = {row["lane"]: row.asDict() for row in grouped.collect()}
    total = {name: sum(int(values[name]) for values in found.values()) for name in ("customers", *_SUMS)}
    nothing = {"customers": 0, "revenue_e4": 0}
    assigned = found.get(None, nothing)
    lanes = ((name, found.get(name, nothing)) for name, _ in LANES)
    return FeatureTotals(
        customers=total["customers"],
        by_lane={name: LaneTotal(values["customers"], values["revenue_e4"]) for name, values in lanes},
        assigned_customers=assigned["customers"],
        assigned_revenue_e4=assigned["revenue_e4"],
        lines_used=total["lines_used"],
        lines_ignored=total["lines_ignored"],
        lines_rejected=total["lines_rejected"],
        duplicates=total["duplicates"],
        duplicates_e4=total["duplicates_e4"],
        largest_customer_lines=max((int(values["largest"]) for values in found.values()), default=0),
        lines=LineTotals(
            used_rows=total["lines_used"] + total["lines_dropped"],
            used_amount_e4=total["revenue_e4"] + total["dropped_e4"],
            before_history_rows=total["lines_before_history"],
            before_history_amount_e4=total["before_history_e4"],
            ignored_rows=total["lines_ignored"],
            rejected_rows=total["lines_rejected"],
            duplicates=total["duplicates"],
            duplicates_amount_e4=total["duplicates_e4"],
        ),
        first_order_us=min((row["first_us"] for row in found.values() if row["first_us"] is not None), default=None),
    )


def size_warnings(found: FeatureTotals) -> tuple[str, ...]:
    """Warn of a customer with more than a million lines that are more than 1 % of all; no id is named."""
    lines = found.lines.used_rows + found.lines.ignored_rows + found.lines.rejected_rows
    largest = found.largest_customer_lines
    if largest <= LARGE_LINES or largest <= LARGE_SHARE * lines:
        return ()
    text = (
        f"One customer has {largest:,} of {lines:,} lines ({largest / lines:.1%}). If it is a till, a guest or a house "
        "account, list it under tables.transactions.ignore_customers: it slows the run down and bends the segments."
    )
    return (text,)
