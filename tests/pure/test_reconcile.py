"""Rows and money are all accounted for: limits, completion by the second scan, and tables that change between scans."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from segengine.contract.quality import LineTotals, QualityRow, check_shares, complete, quality_rows, reconcile
from segengine.contract.rules import LINE_RULES, Outcome, markdown, with_own_rules
from segengine.errors import ConfigError, QualityError


@dataclass(frozen=True)
class Scanned:
    quality: tuple[QualityRow, ...]
    rows_read: int
    amount_read_e4: int
    drop_duplicates: bool = False
    latest: bool = False
    lines_ignored: int | None = None
    lines_rejected: int | None = None


def row(rule: str, outcome: Outcome, rows: int, amount_e4: int) -> QualityRow:
    return QualityRow("transactions", rule, outcome, rows, amount_e4, "")


SCANNED = Scanned(
    (row("used", "used", 90, 9_000), row("bad_amount", "rejected", 10, 0)),
    100,
    9_000,
    lines_rejected=10,
    lines_ignored=0,
)
TOTALS = LineTotals(
    used_rows=90,
    used_amount_e4=9_000,
    before_history_rows=0,
    before_history_amount_e4=0,
    ignored_rows=0,
    rejected_rows=10,
    duplicates=3,
    duplicates_amount_e4=300,
)


def placed(quality: tuple[QualityRow, ...]) -> dict[str, tuple[str, int, int | None]]:
    return {r.rule: (r.outcome, r.rows, r.amount_e4) for r in quality}


def test_duplicates_that_are_kept_are_noted_and_stay_used():
    assert placed(complete(SCANNED, TOTALS)) == {
        "used": ("used", 90, 9_000),
        "bad_amount": ("rejected", 10, 0),
        "exact_duplicate": ("noted", 3, 300),
    }


def test_duplicates_that_are_dropped_leave_the_used_rows_with_their_money():
    dropping = replace(SCANNED, drop_duplicates=True)
    quality = complete(dropping, TOTALS)
    assert placed(quality)["used"] == ("used", 87, 8_700)
    assert placed(quality)["exact_duplicate"] == ("ignored", 3, 300)
    reconcile(dropping, quality, TOTALS)


def test_with_latest_the_lines_before_the_history_window_are_told_by_the_second_scan():
    latest = replace(SCANNED, latest=True, lines_ignored=None, lines_rejected=None)
    totals = replace(
        TOTALS,
        used_rows=70,
        used_amount_e4=6_000,
        before_history_rows=20,
        before_history_amount_e4=3_000,
        ignored_rows=20,
    )
    quality = complete(latest, totals)
    assert placed(quality)["used"] == ("used", 70, 6_000)
    assert placed(quality)["before_history"] == ("ignored", 20, 3_000)
    reconcile(latest, quality, totals)


def test_what_adds_up_is_let_through():
    reconcile(SCANNED, complete(SCANNED, TOTALS), TOTALS)


@pytest.mark.parametrize(
    ("changed", "numbers"),
    [
        ({"used_rows": 91}, "90 seen when the rows were checked, 91 seen"),
        ({"used_amount_e4": 8_999}, "9,000 seen when the rows were checked, 8,999 seen"),
        ({"rejected_rows": 9}, "10 seen when the rows were checked, 9 seen"),
        ({"ignored_rows": 1}, "0 seen when the rows were checked, 1 seen"),
    ],
)
def test_a_table_that_changes_between_the_scans_is_caught_with_both_numbers(changed: dict[str, int], numbers: str):
    totals = replace(TOTALS, **changed)
    with pytest.raises(QualityError, match=numbers) as caught:
        reconcile(SCANNED, complete(SCANNED, totals), totals)
    assert "changed while it was read" in str(caught.value)


def test_rows_that_are_nowhere_are_an_error_of_ours():
    lost = replace(SCANNED, rows_read=101)
    with pytest.raises(QualityError, match="101 read, 100 used, rejected and ignored"):
        reconcile(lost, complete(lost, TOTALS), TOTALS)


def test_money_that_is_nowhere_is_an_error_of_ours():
    lost = replace(SCANNED, amount_read_e4=9_001)
    with pytest.raises(QualityError, match="money do not reconcile"):
        reconcile(lost, complete(lost, TOTALS), TOTALS)


def test_too_many_rejected_rows_stop_the_run_with_share_reasons_and_quarantine():
    with pytest.raises(QualityError) as caught:
        check_shares(SCANNED.quality, 0.09, "transactions", "out/quarantine/r1/table=transactions")
    for part in ("10 of 100 rows are rejected, 10.0%", "the limit is 9.0%", "bad_amount 10 rows", "out/quarantine/r1"):
        assert part in str(caught.value)


def test_a_share_at_the_limit_passes():
    check_shares(SCANNED.quality, 0.10, "transactions", None)


def test_rows_ignored_before_they_are_judged_do_not_dilute_the_share():
    quality = (*SCANNED.quality, row("after_as_of", "ignored", 1_000, 0))
    with pytest.raises(QualityError, match="10 of 100 rows"):
        check_shares(quality, 0.09, "transactions", None)


def test_the_share_is_the_same_whether_the_history_window_was_known_or_not():
    windowed = (
        row("used", "used", 40, 0),
        row("before_history", "ignored", 50, 0),
        row("bad_amount", "rejected", 10, 0),
    )
    check_shares(windowed, 0.10, "transactions", None)


def test_no_row_left_to_use_is_an_error_even_when_none_is_rejected():
    quality = (row("used", "used", 0, 0), row("after_as_of", "ignored", 7, 0))
    with pytest.raises(QualityError, match=r"no row is left[\s\S]*after_as_of 7 rows"):
        check_shares(quality, 1.0, "transactions", None)


def test_rules_that_met_no_row_are_not_in_the_table_but_used_always_is():
    counts: dict[str, tuple[int, int | None]] = {r.name: (0, 0) for r in LINE_RULES} | {
        "used": (0, 0),
        "bad_amount": (2, 5),
    }
    assert [r.rule for r in quality_rows("transactions", LINE_RULES, counts, {})] == ["used", "bad_amount"]


def test_own_rules_are_asked_after_the_built_in_ones_and_before_the_history_window():
    names = [r.name for r in with_own_rules(LINE_RULES, {"price_positive": "price > 0"}, "unknown_customer", "rules")]
    assert names.index("future_date") < names.index("price_positive") < names.index("before_history")


def test_an_own_rule_cannot_take_the_name_of_a_built_in_one():
    with pytest.raises(ConfigError, match="bad_amount"):
        with_own_rules(LINE_RULES, {"bad_amount": "a > 0"}, "unknown_customer", "tables.transactions.rules")


def test_the_documented_rules_are_those_of_the_code(repository: Path):
    text = (repository / "docs" / "quality.md").read_text(encoding="utf-8")
    documented = text.split("a test compares them -->\n")[1].split("<!-- end of rules -->")[0]
    assert documented.strip() == markdown().strip(), "put what segengine.contract.rules.markdown() gives into the file"
