"""Parts of publishing that need no JVM: exact sums, money, names, calendar, shapes and the carrying of rows."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segengine.contract.bridge import BridgeStep
from segengine.errors import PublicationError
from segengine.publish.carry import carried_rows
from segengine.publish.days import calendar
from segengine.publish.exact_sums import add_up, partial_sums
from segengine.publish.measure import Counts, Measures
from segengine.publish.shape import conform_rows, money_ratio, published_names
from segengine.publish.small_tables import small_rows
from segengine.tables import ASSIGNMENTS, CUSTOMERS, MODELS, SEGMENT_KPIS, by_name
from tests.publications import AS_OF, facts, tables

DOUBLES = st.floats(min_value=-1e100, max_value=1e100)


def sums_of(
    groups: list[int], values: list[float | None], pivot: float, batches: int
) -> dict[tuple[int, int], tuple[int, Fraction]]:
    """What Spark does with `partial_sums`, on one machine."""
    table = pa.table({"group": pa.array(groups, pa.int32()), "c0": pa.array(values, pa.float64())})
    rows = itertools.chain.from_iterable(table.slice(i * 3, 3).to_batches() for i in range(batches))
    totals: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for batch in partial_sums(["c0"], [pivot])(rows):
        for row in batch.to_pylist():
            for place, name in enumerate(("high", "low", "values")):
                totals[row["term"], row["bin"]][place] += row[name]
    return add_up((*key, *total) for key, total in totals.items())


@given(st.lists(st.tuples(st.integers(0, 3), DOUBLES), min_size=1, max_size=40), DOUBLES)
def test_sums_of_doubles_are_exact_whatever_their_size_and_sign(rows: list[tuple[int, float]], pivot: float) -> None:
    found = sums_of([g for g, _ in rows], [v for _, v in rows], pivot, 14)
    for group in {g for g, _ in rows}:
        own = [v for g, v in rows if g == group]
        count, total = found[0, group]
        assert count == len(own)
        assert total == sum(map(Fraction, own))
        assert float(total) == math.fsum(own)
        assert found[1, group][1] == sum(Fraction((v - pivot) * (v - pivot)) for v in own)


def test_missing_and_infinite_values_are_left_out_of_sums() -> None:
    found = sums_of([0, 0, 0, 0], [1.5, None, math.nan, -math.inf], 0.0, 2)
    assert found[0, 0] == (1, Fraction(3, 2))


def test_the_smallest_doubles_are_summed_too() -> None:
    assert sums_of([2, 2], [5e-324, 5e-324], 0.0, 1)[0, 2] == (2, 2 * Fraction(5e-324))


@given(st.integers(-(10**14), 10**14), st.integers(1, 10**6), st.sampled_from([0, 2, 3, 4]))
def test_money_is_divided_exactly_and_rounded_half_away_from_zero(amount_e4: int, by: int, digits: int) -> None:
    exact = Fraction(amount_e4, 10_000 * by)
    rounded = money_ratio(amount_e4, by, digits)
    assert rounded is not None
    assert abs(Fraction(rounded) - exact) <= Fraction(1, 2 * 10**digits)
    if by == 1:
        one = Decimal(1).scaleb(-digits)
        assert rounded == Decimal(amount_e4).scaleb(-4).quantize(one, ROUND_HALF_UP)


def test_no_orders_means_no_average() -> None:
    assert money_ratio(100, 0, 2) is None
    assert money_ratio(None, 3, 2) is None


def test_a_name_that_is_taken_or_that_delta_refuses_is_changed() -> None:
    assert published_names(["as_of", "Annual Income (k$)", "a.b", "a_b"], ASSIGNMENTS, "_feature") == {
        "as_of": "as_of_feature",
        "Annual Income (k$)": "Annual_Income__k$_",
        "a.b": "a_b",
        "a_b": "a_b_feature",
    }
    assert published_names(["Customer_ID"], CUSTOMERS, "_attribute") == {"Customer_ID": "Customer_ID_attribute"}


def test_the_calendar_has_every_day_of_its_years_once() -> None:
    days = calendar(2019, 2024)
    assert len(days) == 365 * 4 + 366 * 2
    assert days[0]["date"] == dt.date(2019, 1, 1)
    assert days[-1] == {
        "date": dt.date(2024, 12, 31),
        "date_key": 20241231,
        "year": 2024,
        "quarter": 4,
        "month": 12,
        "month_name": "December",
        "year_month": "2024-12",
        "iso_week": 1,
        "day_of_week": 2,
        "day_name": "Tuesday",
        "is_weekend": False,
    }
    conform_rows(days, by_name("dates"), 2, "p")


def row_of(table: str) -> dict[str, object]:
    (row,) = tables("p")[table].to_pylist()
    return {name: value for name, value in row.items() if name != "publication_id"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"extra": 1}, "not declared: extra"),
        ({"k": "many"}, "int"),
        ({"decision": None}, "null"),
    ],
)
def test_rows_of_another_shape_are_refused_by_name(changed: dict[str, object], told: str) -> None:
    with pytest.raises(PublicationError) as refused:
        conform_rows([row_of("models") | changed], MODELS, 2, "p")
    assert told in str(refused.value)
    assert "models" in str(refused.value)


def test_a_missing_column_and_a_repeated_key_are_refused() -> None:
    row = row_of("models")
    with pytest.raises(PublicationError, match="share a key"):
        conform_rows([row, row], MODELS, 2, "p")
    del row["k"]
    with pytest.raises(PublicationError) as refused:
        conform_rows([row], MODELS, 2, "p")
    assert "missing: k" in str(refused.value)


def test_cumulative_rows_stay_unless_new_ones_take_their_place() -> None:
    def kpis(publication: str, *days: int) -> pa.Table:
        rows = [row_of("segment_kpis") | {"as_of": AS_OF + dt.timedelta(days=d)} for d in days]
        return conform_rows(rows, SEGMENT_KPIS, 2, publication)

    merged = carried_rows(kpis("new", 1), kpis("old", 0, 1, 2), SEGMENT_KPIS)
    assert merged.column("publication_id").to_pylist() == ["old", "new", "old"]
    assert merged.column("as_of").to_pylist() == [AS_OF + dt.timedelta(days=d) for d in (0, 1, 2)]


def test_money_of_another_currency_is_never_mixed_in() -> None:
    old = conform_rows([row_of("segment_kpis")], SEGMENT_KPIS, 0, "old")
    with pytest.raises(PublicationError, match="do not fit") as refused:
        carried_rows(tables("new")["segment_kpis"], old, SEGMENT_KPIS)
    assert "decimal(20,0) so far, decimal(20,2) now" in str(refused.value)


@pytest.mark.parametrize(("column", "now"), [("active_90_days", 1), ("lifetime_value_365d", Decimal("1.00"))])
def test_rows_of_an_older_version_may_lack_a_column_that_may_be_null(column: str, now: object) -> None:
    old = tables("old", as_of=AS_OF - dt.timedelta(days=9))["segment_kpis"].drop_columns([column])
    merged = carried_rows(tables("new")["segment_kpis"], old, SEGMENT_KPIS)
    assert merged.column(column).to_pylist() == [None, now]


def test_the_bridge_and_the_lanes_are_published_and_add_up_in_minor_units() -> None:
    steps = (
        BridgeStep("source", 10, None, 1_000_149),
        BridgeStep("returns dropped", -1, None, -50),
        BridgeStep("lane too_new", None, -2, -49),
        BridgeStep("segments", None, 3, 1_000_050),
    )
    measures = Measures({0: Counts(3, 1_000_050, 4)}, {"too_new": Counts(2, 49, 1), "no_purchases": Counts(1)}, 2024)
    rows = small_rows(facts(bridge=steps), measures)
    amounts = [Decimal(str(row["amount"])) for row in rows["bridge"]]
    assert sum(amounts[:-1]) == amounts[-1] == Decimal("100.01")
    assert [row["is_balance"] for row in rows["bridge"]] == [True, False, False, True]
    assert rows["runs"][0]["amount_assigned"] == amounts[-1]
    assert [(row["lane"], row["customers"]) for row in rows["lanes"]] == [("too_new", 2), ("no_purchases", 1)]
    assert small_rows(facts(), measures)["bridge"] == []
