"""Order lines: every row is in exactly one place, by the first rule that it meets."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import Row

from segengine.contract import CheckedLines, complete, line_totals, reconcile
from segengine.contract.lines import one_part
from segengine.errors import ConfigError, InputError, QualityError
from tests.spark.contract_tables import check, config, counts, quarantined, source, texts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.usefixtures("compiled")

COLUMNS = "id order at amount"
GOOD = ("7", "o1", "2023-12-30T10:00:00", "5.00")


def lines(checked: CheckedLines, *columns: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in checked.lines.select(*columns).collect()), key=repr)


BAD = (
    (None, "o", "2023-12-30", "1", "missing_customer_id"),
    ("", "o", "2023-12-30", "1", "missing_customer_id"),
    ("   ", "o", "2023-12-30", "1", "missing_customer_id"),
    ("\u200b", "o", "2023-12-30", "1", "missing_customer_id"),
    ("\0", "o", "2023-12-30", "1", "missing_customer_id"),
    ("\ufeff \u00a0", "o", "2023-12-30", "1", "missing_customer_id"),
    ("1", "o", "2023-12-30", None, "missing_amount"),
    ("1", "o", "2023-12-30", "  ", "missing_amount"),
    ("1", "o", "2023-12-30", "abc", "bad_amount"),
    ("1", "o", "2023-12-30", "1234,50", "bad_amount"),
    ("1", "o", "2023-12-30", "NaN", "bad_amount"),
    ("1", "o", "2023-12-30", "Infinity", "bad_amount"),
    ("1", "o", "2023-12-30", "1e400", "bad_amount"),
    ("1", "o", "2023-12-30", "1000000000000", "amount_overflow"),
    ("1", "o", None, "1", "missing_ordered_at"),
    ("1", "o", " ", "1", "missing_ordered_at"),
    ("1", "o", "2023-02-30", "1", "bad_ordered_at"),
    ("1", "o", "03/04/2023", "1", "bad_ordered_at"),
    ("1", "o", "0001-01-01", "1", "ordered_before_1900"),
    ("1", "o", "1899-12-31T23:59:59", "1", "ordered_before_1900"),
    ("1", "o", "9999-12-31", "1", "future_date"),
    ("1", "o", "2024-06-02T00:00:01", "1", "future_date"),
)


def test_every_bad_value_of_a_text_table_goes_to_quarantine_under_its_rule(spark: SparkSession, tmp_path: Path):
    checked = check(texts(spark, COLUMNS + " expected", (*GOOD, None), *BAD), config(), tmp_path)
    rejected = quarantined(spark, checked)
    assert [rule for rule, _ in rejected] == [row["expected"] for _, row in rejected]
    assert {tuple(row.values()) for _, row in rejected} == set(BAD)
    assert [line for line in lines(checked, "customer_id", "rule") if line[1] is None] == [("7", None)]
    assert counts(checked.quality) == {"used": 1} | Counter(row[-1] for row in BAD)


def test_rows_of_every_kind_add_up_and_the_quarantine_says_where_each_came_from(spark: SparkSession, tmp_path: Path):
    found = spark.createDataFrame(
        [
            (*GOOD, None, None),
            ("G", "o2", "2023-12-30", "3", None, None),
            ("8", "o3", "2024-01-02", "4", None, None),
            (None, "o4", "2024-01-02", "x", None, None),
            ("8", "C5", "2023-12-30", "-2.5", None, None),
            (None, None, None, None, "short_row", "8;o6"),
            (None, None, None, None, "long_row", '8;o6;"a";b;c'),
            ("9", "o7", "1999-01-01", "6", None, None),
        ],
        "id string, order string, at string, amount string, _defect string, _defect_text string",
    )
    settings = config(table={"returns": "order LIKE 'C%'", "ignore_customers": ["G", "absent"]}, history="24 months")
    checked = check(source(found, text=True), settings, tmp_path)
    assert {row.rule: (row.outcome, row.rows, row.amount_e4) for row in checked.quality} == {
        "used": ("used", 1, 50_000),
        "short_row": ("rejected", 1, 0),
        "long_row": ("rejected", 1, 0),
        "after_as_of": ("ignored", 2, 40_000),
        "ignored_customer": ("ignored", 1, 30_000),
        "returned": ("ignored", 1, -25_000),
        "before_history": ("ignored", 1, 60_000),
    }
    assert (checked.rows_read, checked.amount_read_e4, checked.ignored_customers) == (8, 155_000, ("G",))
    assert quarantined(spark, checked) == [("long_row", '8;o6;"a";b;c'), ("short_row", "8;o6")]
    kept = spark.read.parquet(str(tmp_path / "quarantine"))
    assert {(r["run_id"], r["table"], r["source_file"]) for r in kept.collect()} == {
        ("r1", "transactions", "part-1.csv")
    }
    totals = line_totals(checked)
    reconcile(checked, complete(checked, totals), totals)
    assert lines(checked, "customer_id", "status", "rule", "amount_e4") == [
        ("7", "used", None, 50_000),
        ("8", "ignored", "returned", -25_000),
        ("9", "ignored", "before_history", 60_000),
    ]


def test_a_run_as_of_an_earlier_date_does_not_fail_on_bad_rows_that_came_later(spark: SparkSession, tmp_path: Path):
    later = [(None, "o", "2024-02-01", "x")] * 5
    checked = check(texts(spark, COLUMNS, GOOD, *later), config(quality={"max_rejected_share": 0.0}), tmp_path)
    assert counts(checked.quality) == {"used": 1, "after_as_of": 5}


def test_nothing_rejected_leaves_no_quarantine_behind(spark: SparkSession, tmp_path: Path):
    checked = check(texts(spark, COLUMNS, GOOD), config(), tmp_path)
    assert checked.quarantine is None
    assert not (tmp_path / "quarantine").exists()


def test_equal_rejected_rows_are_all_in_quarantine_however_many(spark: SparkSession, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("segengine.contract.scan._REPEATED", 4)
    rows = [("1", "o", "2023-12-01", "5"), *[("1", "o", "never", "5")] * 11, *[(None, "o", "2023-12-01", "5")] * 4]
    checked = check(texts(spark, "id order at amount", *rows), config(csv=True), tmp_path)
    assert counts(checked.quality) == {"used": 1, "missing_customer_id": 4, "bad_ordered_at": 11}
    rules = [rule for rule, _ in quarantined(spark, checked)]
    assert (rules.count("bad_ordered_at"), rules.count("missing_customer_id"), len(rules)) == (11, 4, 15)


def test_too_many_rejected_rows_stop_the_run_and_their_quarantine_is_kept(spark: SparkSession, tmp_path: Path):
    rows = texts(spark, COLUMNS, GOOD, ("1", "o", "2023-12-30", "abc"))
    with pytest.raises(QualityError, match="bad_amount 1 rows"):
        check(rows, config(quality={"max_rejected_share": 0.4}), tmp_path)
    assert spark.read.parquet(str(tmp_path / "quarantine")).count() == 1


def test_a_table_of_rejected_rows_only_stops_the_run(spark: SparkSession, tmp_path: Path):
    with pytest.raises(QualityError, match="no row is left"):
        check(texts(spark, COLUMNS, ("1", "o", "2023-12-30", "abc")), config(), tmp_path)


def test_a_table_without_rows_is_an_input_error(spark: SparkSession, tmp_path: Path):
    with pytest.raises(InputError, match="no rows"):
        check(texts(spark, COLUMNS), config(), tmp_path)


def test_fewer_rows_than_the_footers_promise_is_an_input_error(spark: SparkSession, tmp_path: Path):
    rows = spark.createDataFrame([GOOD], "id string, order string, at string, amount string")
    with pytest.raises(InputError, match="the files promise 25"):
        check(source(rows, expected=25), config(), tmp_path)


TYPED = "id double, order int, at timestamp, amount {}"
AT = dt.datetime(2023, 12, 30, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            "double",
            (
                (1.00005, 10_001),
                (-1.00005, -10_001),
                (float("nan"), "bad_amount"),
                (float("-inf"), "bad_amount"),
                (1e300, "amount_overflow"),
                (-1e12, "amount_overflow"),
                (999_999_999_999.5, 9_999_999_999_995_000),
                (None, "missing_amount"),
            ),
        ),
        ("float", ((19.99, 199_900), (3.4e38, "amount_overflow"))),
        ("bigint", ((3, 30_000), (2**62, "amount_overflow"))),
        ("decimal(38,18)", ((Decimal("1.00005"), 10_001), (Decimal("1e19"), "amount_overflow"))),
    ],
)
def test_typed_amounts_become_ten_thousandths_or_meet_a_rule(spark: SparkSession, tmp_path: Path, kind, expected):
    rows = spark.createDataFrame(
        [(float(i), i, AT, amount) for i, (amount, _) in enumerate(expected)], TYPED.format(kind)
    )
    found = {row["customer_id"]: row for row in check(source(rows), config(), tmp_path).lines.collect()}
    assert [found[str(i)]["rule"] or found[str(i)]["amount_e4"] for i in range(len(expected))] == [
        e for _, e in expected
    ]


def test_amounts_with_more_than_four_decimals_are_rounded_and_noted_but_noise_of_doubles_is_not(
    spark: SparkSession, tmp_path: Path
):
    rows = spark.createDataFrame([(1.0, 1, AT, 0.1 * 3), (2.0, 1, AT, 0.12345)], TYPED.format("double"))
    noted = [row for row in check(source(rows), config(), tmp_path).quality if row.outcome == "noted"]
    assert [(row.rule, row.rows, row.amount_e4) for row in noted] == [("amount_rounded", 1, 1_235)]


def test_returns_that_net_stay_used_with_their_negative_amount(spark: SparkSession, tmp_path: Path):
    rows = texts(spark, COLUMNS, GOOD, ("7", "C1", "2023-12-31", "-2.00"), ("7", None, "2023-12-31", "1"))
    settings = config(table={"returns": "order LIKE 'C%'"}, quality={"returns": "net", "max_rejected_share": 1.0})
    checked = check(rows, settings, tmp_path)
    assert lines(checked, "amount_e4", "is_return", "status") == [
        (-20_000, True, "used"),
        (10_000, False, "used"),
        (50_000, False, "used"),
    ]
    assert "is_return" in checked.mapped


def test_a_line_without_an_order_id_gets_its_local_day(spark: SparkSession, tmp_path: Path):
    spark.conf.set("spark.sql.session.timeZone", "Asia/Kolkata")
    try:
        rows = texts(spark, COLUMNS, ("1", " ", "2023-12-30T20:00:00Z", "1"), ("2", "o", "2023-12-30", "1"))
        checked = check(rows, config(timezone="Asia/Kolkata"), tmp_path)
        assert lines(checked, "customer_id", "order_id") == [("1", "2023-12-31"), ("2", "o")]
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    assert counts(checked.quality)["missing_order_id"] == 1


def test_own_rules_reject_what_is_false_and_what_is_unknown_in_the_order_of_the_configuration(
    spark: SparkSession, tmp_path: Path
):
    rows = texts(
        spark,
        "id order at amount price pieces",
        (*GOOD, "2.5", "1"),
        (*GOOD, "0", "0"),
        (*GOOD, "1", "0"),
        (*GOOD, "1", "many"),
        (*GOOD, None, "1"),
    )
    settings = config(table={"rules": {"price_positive": "price > 0", "has_pieces": "pieces >= 1 AND pieces < 1000"}})
    assert counts(check(rows, settings, tmp_path).quality) == {"used": 1, "price_positive": 2, "has_pieces": 2}


def test_unknown_customers_are_rejected_only_when_asked_for_and_never_multiply_lines(
    spark: SparkSession, tmp_path: Path
):
    rows = texts(spark, COLUMNS, GOOD, GOOD, ("8", "o", "2023-12-30", "1"))
    known = spark.createDataFrame([Row(customer_id="7"), Row(customer_id="7"), Row(customer_id="9")])
    customers = {"path": "people", "columns": {"customer_id": "id"}}
    keep = check(rows, config(customers=customers), tmp_path, known_customers=known)
    assert counts(keep.quality) == {"used": 3}
    reject = config(customers=customers, quality={"unknown_customers": "reject", "max_rejected_share": 1.0})
    assert counts(check(rows, reject, tmp_path, known_customers=known).quality) == {"used": 2, "unknown_customer": 1}


def test_exact_duplicates_are_counted_by_order_and_customer(spark: SparkSession, tmp_path: Path):
    rows = texts(spark, COLUMNS, GOOD, GOOD, GOOD, ("7", "o1", None, "5.00"), ("7", "o1", "2023-12-30T10:00:00", "5.0"))
    checked = check(rows, config(table={"duplicates": "drop"}), tmp_path)
    totals = line_totals(checked)
    assert (totals.used_rows, totals.duplicates, totals.duplicates_amount_e4) == (4, 2, 100_000)
    quality = complete(checked, totals)
    reconcile(checked, quality, totals)
    assert counts(quality) == {"used": 2, "missing_ordered_at": 1, "exact_duplicate": 2}


def test_latest_is_the_local_midnight_after_the_newest_good_row_whatever_bad_rows_say(
    spark: SparkSession, tmp_path: Path
):
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        rows = texts(
            spark,
            COLUMNS,
            ("1", "o", "2023-01-05", "1"),
            ("2", "o", "2024-03-10T03:30:00Z", "2"),
            ("3", "o", "2024-03-12", "abc"),
            ("4", "o", "9999-01-01", "1"),
            (None, "o", "2024-03-20", "1"),
        )
        checked = check(rows, config(as_of="latest", history="12 months", timezone="America/New_York"), tmp_path)
        assert checked.as_of == dt.datetime(2024, 3, 10, 5, tzinfo=dt.UTC)
        assert checked.window_start == dt.datetime(2023, 3, 10, 5, tzinfo=dt.UTC)
        totals = line_totals(checked)
        quality = complete(checked, totals)
        reconcile(checked, quality, totals)
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    assert counts(quality) == {
        "used": 1,
        "before_history": 1,
        "bad_amount": 1,
        "future_date": 1,
        "missing_customer_id": 1,
    }
    assert lines(checked, "customer_id", "rule") == [("1", "before_history"), ("2", None)]


def test_latest_and_the_date_it_stands_for_give_the_same_account(spark: SparkSession, tmp_path: Path):
    rows = texts(
        spark,
        COLUMNS,
        GOOD,
        ("1", "o", "2021-01-05", "1"),
        ("1", "o", "2021-01-05", "abc"),
        ("2", "o", "2023-12-29", "2"),
    )
    found = []
    for as_of in ("latest", "2023-12-31"):
        checked = check(rows, config(as_of=as_of, history="12 months", quality={"max_rejected_share": 0.25}), tmp_path)
        found.append(sorted(complete(checked, line_totals(checked)), key=lambda row: row.rule))
    assert found[0] == found[1]


def test_a_last_day_that_looks_incomplete_is_told(spark: SparkSession, tmp_path: Path):
    evening = [("1", "o", f"2024-01-{day:02}T18:00:00", "1") for day in range(1, 6)]
    rows = texts(spark, COLUMNS, *evening, ("1", "o", "2024-01-06T06:00:00", "1"))
    assert "last day looks incomplete" in check(rows, config(as_of="latest"), tmp_path).warnings[0]
    assert check(texts(spark, COLUMNS, *evening), config(as_of="latest"), tmp_path).warnings == ()


def test_days_without_times_never_look_incomplete(spark: SparkSession, tmp_path: Path):
    rows = texts(spark, COLUMNS, ("1", "o", "2024-01-01", "1"), ("1", "o", "2024-01-02", "1"))
    assert check(rows, config(as_of="latest"), tmp_path).warnings == ()


def test_many_ignored_customers_are_told_apart(spark: SparkSession, tmp_path: Path):
    listed = [f"H{index}" for index in range(150)]
    rows = texts(spark, COLUMNS, GOOD, *((f"H{i}", "o", "2023-12-30", "1") for i in (0, 61, 62, 149)))
    checked = check(rows, config(table={"ignore_customers": listed}), tmp_path)
    assert checked.ignored_customers == ("H0", "H61", "H62", "H149")
    assert checked.warnings == ("146 of the ignore_customers of transactions do not occur in the table.",)


def test_the_account_is_the_same_for_any_order_and_partitioning(spark: SparkSession, tmp_path: Path):
    rows = [(str(i % 7), f"o{i % 13}", "2023-12-30", "abc" if i % 11 == 0 else f"{i % 5}.123456") for i in range(200)]
    first = spark.createDataFrame(rows, "id string, order string, at string, amount string")
    found = []
    for frame in (first.repartition(1), first.repartition(4), first.orderBy("amount").repartition(16)):
        checked = check(source(frame, text=True), config(), tmp_path)
        found.append(complete(checked, line_totals(checked)))
    assert found[0] == found[1] == found[2]


def test_lines_carry_only_what_is_mapped(spark: SparkSession, tmp_path: Path):
    rows = texts(spark, COLUMNS + " pieces", (*GOOD, "2,5"))
    columns = {"customer_id": "id", "ordered_at": "at", "amount": "amount", "quantity": "pieces"}
    checked = check(rows, config(columns=columns), tmp_path)
    assert checked.lines.columns == [
        "customer_id",
        "order_id",
        "ordered_at",
        "amount_e4",
        "quantity",
        "is_return",
        "row_hash",
        "status",
        "rule",
    ]
    assert lines(checked, "order_id", "quantity") == [("2023-12-30", None)]
    assert counts(checked.quality)["bad_quantity"] == 1


def test_a_decimal_comma_is_read_in_columns_and_in_expressions(spark: SparkSession, tmp_path: Path):
    rows = texts(
        spark,
        "id order at price pieces",
        ("1", "o", "2023-12-30", "1234,50", "2"),
        ("2", "o", "2023-12-30", "1234.50", "2"),
    )
    columns = {"customer_id": "id", "ordered_at": "at", "amount": "price * pieces"}
    checked = check(rows, config(columns=columns, csv=True, table={"csv": {"decimal": ","}}), tmp_path)
    assert lines(checked, "customer_id", "amount_e4", "rule") == [("1", 24_690_000, None), ("2", None, "bad_amount")]


def test_a_missing_mapping_is_a_config_error(spark: SparkSession, tmp_path: Path):
    with pytest.raises((ConfigError, ValueError), match="amount"):
        check(texts(spark, COLUMNS, GOOD), config(columns={"customer_id": "id", "ordered_at": "at"}), tmp_path)


def test_a_part_of_the_lines_is_that_of_the_same_customers_in_any_table(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(f" {number % 40}", f"o{number}", "2023-12-30", str(number)) for number in range(200)]
    checked = check(texts(spark, COLUMNS, *rows, *(bad[:4] for bad in BAD)), config(), tmp_path)
    part = checked.of_part(3)
    expected = [tuple(row) for row in one_part(checked.lines, 3).collect()]
    assert sorted(map(repr, map(tuple, part.collect()))) == sorted(map(repr, expected))
    assert 0 < len(expected) < checked.lines.count()
    assert checked.of_part(1).count() == checked.lines.count()
