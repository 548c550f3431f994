"""Customers: one row an id, attributes by what they hold, consent on the safe side."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from segengine.contract import CheckedCustomers, check_customers
from segengine.errors import InputError, QualityError
from segengine.io.source import Source
from tests.spark.contract_tables import config, counts, quarantined, source, texts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def checked(found: Source, folder: Path, **table: Any) -> CheckedCustomers:
    named = Source("customers", found.rows, found.columns, found.text_casts, found.facts)
    customers = {"path": "people", "columns": {"customer_id": "id"}, **table}
    return check_customers(named, config(customers=customers), run_id="r1", quarantine=str(folder / "quarantine"))


def rows(customers: CheckedCustomers) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in customers.customers.collect()), key=repr)


def test_identical_rows_collapse_and_conflicting_ones_all_go_to_quarantine(spark: SparkSession, tmp_path: Path):
    found = texts(
        spark,
        "id plan updated",
        ("1", "gold", "monday"),
        (" 1", "gold", "tuesday"),
        ("2", "gold", None),
        ("2", "iron", None),
        ("2", "gold", None),
        ("3", None, None),
        (None, "gold", None),
        ("", "iron", None),
    )
    result = checked(found, tmp_path, attributes=["plan"])
    assert rows(result) == [("1", False, "gold"), ("3", False, None)]
    assert counts(result.quality) == {
        "used": 3,
        "missing_customer_id": 2,
        "conflicting_duplicates": 3,
        "identical_duplicate": 1,
    }
    assert [rule for rule, _ in quarantined(spark, result)] == ["conflicting_duplicates"] * 3 + [
        "missing_customer_id"
    ] * 2
    assert result.rows_read == 8


def test_text_attributes_are_numbers_when_every_value_is_one(spark: SparkSession, tmp_path: Path):
    found = texts(
        spark,
        "id age plan postcode empty score",
        ("1", "31", "a", "01067", None, "1.5"),
        ("2", "", "b", "99999", " ", "x"),
        ("3", " 4e2", None, "10115", None, "2"),
    )
    result = checked(found, tmp_path, attributes=["age", "plan", "postcode", "empty", "score"])
    assert (result.numeric, result.categorical) == ((), ("age", "plan", "postcode", "empty", "score"))
    assert result.warnings == ("customers: attribute 'empty' has no value in any row.",)
    found = texts(spark, "id age plan", ("1", "31", "a"), ("2", "", "b"), ("3", " 4.5", None))
    result = checked(found, tmp_path, attributes=["plan"], protected=["age"])
    assert (result.numeric, result.categorical, result.protected) == (("age",), ("plan",), ("age",))
    assert rows(result) == [("1", False, "a", 31.0), ("2", False, "b", None), ("3", False, None, 4.5)]


def test_typed_attributes_are_what_their_type_says(spark: SparkSession, tmp_path: Path):
    found = spark.createDataFrame(
        [(1, 2.5, True, dt.date(2020, 1, 2), "7"), (2, float("nan"), None, None, "8")],
        "id int, `net.worth` double, member boolean, since date, code string",
    )
    result = checked(source(found), tmp_path, attributes=["net.worth", "member", "since", "code"])
    assert (result.numeric, result.categorical) == (("net.worth",), ("member", "since", "code"))
    assert rows(result) == [("1", False, 2.5, "true", "2020-01-02", "7"), ("2", False, None, None, None, "8")]


def test_an_attribute_may_be_an_expression_of_the_mapping(spark: SparkSession, tmp_path: Path):
    found = texts(spark, "id born", ("1", "1980"), ("2", "x"))
    result = checked(found, tmp_path, attributes={"age": "2024 - born"})
    assert rows(result) == [("1", False, 44.0), ("2", False, None)]


def test_unknown_consent_is_taken_as_opted_out_and_noted(spark: SparkSession, tmp_path: Path):
    found = texts(spark, "id consent", ("1", "true"), ("2", "FALSE"), ("3", None), ("4", "maybe"))
    result = checked(found, tmp_path, opted_out="consent = false")
    assert rows(result) == [("1", False), ("2", True), ("3", True), ("4", True)]
    assert counts(result.quality) == {"used": 4, "opted_out_unknown": 2}


def test_a_column_can_say_who_opted_out(spark: SparkSession, tmp_path: Path):
    found = spark.createDataFrame([(1, 0), (2, 1)], "id int, gone int")
    assert rows(checked(source(found), tmp_path, opted_out="gone")) == [("1", False), ("2", True)]


def test_rules_ignored_customers_and_defects_are_counted_and_kept_out(spark: SparkSession, tmp_path: Path):
    found = spark.createDataFrame(
        [("1", "20", None, None), ("2", "-4", None, None), ("GUEST", "1", None, None), (None, None, "short_row", "9")],
        "id string, age string, _defect string, _defect_text string",
    )
    result = checked(
        source(found, text=True), tmp_path, rules={"grown": "age >= 0"}, ignore_customers=["GUEST", "HOUSE"]
    )
    assert counts(result.quality) == {"used": 1, "short_row": 1, "ignored_customer": 1, "grown": 1}
    assert (rows(result), result.ignored_customers) == ([("1", False)], ("GUEST",))


def test_a_wish_not_to_be_profiled_counts_even_in_rows_that_are_rejected(spark: SparkSession, tmp_path: Path):
    found = texts(
        spark,
        "id plan gone",
        ("1", "a", "false"),
        ("1", "a", "true"),
        ("2", "a", "false"),
        ("3", None, "true"),
        (None, "b", "true"),
    )
    result = checked(found, tmp_path, attributes=["plan"], opted_out="gone", rules={"has_plan": "plan IS NOT NULL"})
    assert rows(result) == [("1", True, None), ("2", False, "a"), ("3", True, None)]
    assert counts(result.quality) == {"used": 1, "missing_customer_id": 1, "has_plan": 1, "conflicting_duplicates": 2}


def test_an_attribute_that_is_not_there_is_named_with_the_nearest_one(spark: SparkSession, tmp_path: Path):
    with pytest.raises(
        InputError, match=r"column 'cuntry' not found[\s\S]*attributes.cuntry[\s\S]*Did you mean 'country'"
    ):
        checked(texts(spark, "id country", ("1", "DE")), tmp_path, attributes=["cuntry"])


def test_customers_who_all_contradict_themselves_stop_the_run(spark: SparkSession, tmp_path: Path):
    with pytest.raises(QualityError, match="conflicting_duplicates 2 rows"):
        checked(texts(spark, "id plan", ("1", "a"), ("1", "b")), tmp_path, attributes=["plan"])
    assert spark.read.parquet(str(tmp_path / "quarantine")).count() == 2
