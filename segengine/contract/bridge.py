"""The revenue bridge: from all money in the source to the money of the segments, step by step, adding up exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from segengine.contract.quality import QualityRow
from segengine.errors import QualityError

__all__ = ["BridgeStep", "in_minor_units", "revenue_bridge"]

SOURCE = "source"
SEGMENTS = "segments"


@dataclass(frozen=True)
class BridgeStep:
    """A step: `source` and `segments` are balances, those between are changes with their sign.

    `rows` and `customers` carry the sign of the change too, and are null where a step does not count them.
    """

    name: str
    rows: int | None
    customers: int | None
    amount_e4: int


def revenue_bridge(
    quality: Sequence[QualityRow],
    lane_amounts: Mapping[str, int],
    segment_amount_e4: int,
    *,
    lane_customers: Mapping[str, int] | None = None,
    segment_customers: int | None = None,
    table: str = "transactions",
) -> tuple[BridgeStep, ...]:
    """source -> without id -> returns -> quarantine -> ignored, by rule -> lanes -> segments.

    `quality` holds the completed rows of the table, `lane_amounts` the revenue of the customers of each lane, in
    1/10,000 of the currency unit. Steps without rows, customers or money are left out.
    QualityError, with the difference, when source plus changes is not what the segments have.
    """
    placed = [row for row in quality if row.table == table and row.outcome != "noted"]
    source = BridgeStep(SOURCE, sum(row.rows for row in placed), None, sum(row.amount_e4 or 0 for row in placed))
    changes = [
        _minus("without a customer id", [row for row in placed if row.rule == "missing_customer_id"]),
        _minus("returns dropped", [row for row in placed if row.rule == "returned"]),
        _minus("in quarantine", [r for r in placed if r.outcome == "rejected" and r.rule != "missing_customer_id"]),
    ]
    ignored = [row for row in placed if row.outcome == "ignored" and row.rule != "returned"]
    changes += [_minus(row.rule.replace("_", " "), [row]) for row in ignored]
    customers = lane_customers or {}
    for lane, amount in lane_amounts.items():
        count = customers.get(lane)
        changes.append(BridgeStep(f"lane {lane}", None, None if count is None else -count, -amount))
    changes = [step for step in changes if step.rows or step.customers or step.amount_e4]
    balance = source.amount_e4 + sum(step.amount_e4 for step in changes)
    if balance != segment_amount_e4:
        raise QualityError(
            "The revenue bridge does not add up.",
            where=table,
            found=f"{balance:,} is left after all steps, the segments have {segment_amount_e4:,}, a difference of "
            f"{segment_amount_e4 - balance:,} (1/10,000 of the currency unit)",
            todo="The table changed while it was read, or this is an error in segengine; run again.",
        )
    return (source, *changes, BridgeStep(SEGMENTS, None, segment_customers, segment_amount_e4))


def _minus(name: str, rows: Sequence[QualityRow]) -> BridgeStep:
    return BridgeStep(name, -sum(row.rows for row in rows), None, -sum(row.amount_e4 or 0 for row in rows))


class Amount(Protocol):
    """Anything with an amount in 1/10,000 of the currency unit."""

    @property
    def amount_e4(self) -> int: ...


def in_minor_units(steps: Sequence[Amount], minor_unit: int) -> tuple[int, ...]:
    """The amounts in whole minor units (2: cents) that still add up: balances are rounded, changes are what is between.

    Rounding every step by itself would leave a bridge a cent off now and then.
    """
    divisor = 10 ** (4 - minor_unit)
    balances = [steps[0].amount_e4]
    for step in steps[1:-1]:
        balances.append(balances[-1] + step.amount_e4)
    rounded = [_half_up(balance, divisor) for balance in balances]
    changes = [after - before for before, after in pairwise(rounded)]
    return (rounded[0], *changes, _half_up(steps[-1].amount_e4, divisor))


def _half_up(amount_e4: int, divisor: int) -> int:
    """Nearest whole number of `divisor`, halves away from zero, as Spark's decimals round."""
    whole = (2 * abs(amount_e4) + divisor) // (2 * divisor)
    return whole if amount_e4 >= 0 else -whole
