"""The revenue bridge adds up, in 1/10,000 and in cents, or says by how much it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segengine.contract.bridge import BridgeStep, in_minor_units, revenue_bridge
from segengine.contract.quality import QualityRow
from segengine.contract.rules import Outcome
from segengine.errors import QualityError


def row(rule: str, outcome: Outcome, rows: int, amount_e4: int, table: str = "transactions") -> QualityRow:
    return QualityRow(table, rule, outcome, rows, amount_e4, "")


QUALITY = (
    row("used", "used", 6, 600_000),
    row("missing_customer_id", "rejected", 2, 90_000),
    row("bad_amount", "rejected", 1, 0),
    row("future_date", "rejected", 1, 20_000),
    row("returned", "ignored", 3, -50_000),
    row("before_history", "ignored", 4, 70_000),
    row("amount_rounded", "noted", 5, 500_000),
)


def test_the_bridge_goes_from_the_source_to_the_segments_in_the_documented_order():
    steps = revenue_bridge(
        QUALITY,
        {"ignored": 0, "too_new": 150_000},
        450_000,
        lane_customers={"ignored": 0, "too_new": 2},
        segment_customers=9,
    )
    assert steps == (
        BridgeStep("source", 17, None, 730_000),
        BridgeStep("without a customer id", -2, None, -90_000),
        BridgeStep("returns dropped", -3, None, 50_000),
        BridgeStep("in quarantine", -2, None, -20_000),
        BridgeStep("before history", -4, None, -70_000),
        BridgeStep("lane too_new", None, -2, -150_000),
        BridgeStep("segments", None, 9, 450_000),
    )


def test_notes_and_other_tables_are_no_part_of_the_bridge():
    others = (*QUALITY, row("used", "used", 9, 1, table="customers"))
    assert revenue_bridge(others, {}, 600_000)[0] == BridgeStep("source", 17, None, 730_000)


def test_a_bridge_that_is_off_by_a_hundredth_of_a_cent_is_refused_with_the_difference():
    with pytest.raises(QualityError, match="a difference of 1 "):
        revenue_bridge(QUALITY, {}, 600_001)


@given(st.lists(st.integers(-(10**15), 10**15), max_size=12), st.sampled_from([0, 2, 3, 4]))
def test_rounded_to_the_minor_unit_the_bridge_still_adds_up(changes: list[int], minor_unit: int):
    start = 10**12 + 4_999
    steps = (
        BridgeStep("source", 1, None, start),
        *(BridgeStep(str(i), None, None, change) for i, change in enumerate(changes)),
        BridgeStep("segments", None, 1, start + sum(changes)),
    )
    cents = in_minor_units(steps, minor_unit)
    assert sum(cents[:-1]) == cents[-1]
    assert all(
        abs(cent * 10 ** (4 - minor_unit) - step.amount_e4) <= 10 ** (4 - minor_unit)
        for cent, step in zip(cents, steps, strict=True)
    )


def test_halves_of_a_cent_are_rounded_away_from_zero():
    steps = (BridgeStep("source", 1, None, -50), BridgeStep("segments", None, 1, -50))
    assert in_minor_units(steps, 2) == (-1, -1)
