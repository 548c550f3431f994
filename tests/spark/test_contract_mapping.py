"""Names and expressions of the configuration: what they resolve to, and that no value can make them stop the job."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from segengine.config import Config
from segengine.contract import CheckedLines, canonical_id
from segengine.contract.values import canonical_text
from segengine.errors import InputError
from tests.spark.contract_tables import check, config, counts, source, texts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AT = dt.datetime(2023, 12, 30, 12, tzinfo=dt.UTC)
DAY = "2023-12-30"


def with_amount(expression: str, **table: Any) -> Config:
    return config(columns={"customer_id": "id", "ordered_at": "at", "amount": expression}, table=table)


def amounts(checked: CheckedLines) -> list[Any]:
    rows = checked.lines.select("customer_id", "amount_e4", "rule").collect()
    return [row["rule"] or row["amount_e4"] for row in sorted(rows, key=lambda row: row["customer_id"])]


def test_an_exact_column_name_wins_over_an_expression_whatever_its_case_spaces_and_dots(
    spark: SparkSession, tmp_path: Path
):
    rows = spark.createDataFrame(
        [("1", AT, 3.0, 5.0, 2.0, 7.0)],
        "`Customer ID` string, `sold.at` timestamp, `a * b` double, a double, b double, `x.y` double",
    )
    columns = {"customer_id": "customer id", "ordered_at": "sold.at", "amount": "a * b", "quantity": "`x.y`"}
    line = check(source(rows), config(columns=columns), tmp_path).lines.collect()[0]
    assert (line["customer_id"], line["amount_e4"], line["quantity"]) == ("1", 30_000, 7.0)


def test_an_expression_over_text_rejects_bad_values_and_stops_at_none(spark: SparkSession, tmp_path: Path):
    cells = (("2", "1.5"), ("abc", "1"), ("1", "1,5"), ("", "1"), (None, "1"), ("NaN", "1"), ("9" * 20, "9" * 20))
    rows = texts(spark, "id at pieces price", *((str(i), DAY, *cell) for i, cell in enumerate(cells)))
    found = amounts(check(rows, with_amount("pieces * price"), tmp_path))
    assert found == [
        30_000,
        "bad_amount",
        "bad_amount",
        "missing_amount",
        "missing_amount",
        "bad_amount",
        "amount_overflow",
    ]


def test_a_column_is_a_number_where_it_is_used_as_one_and_text_elsewhere(spark: SparkSession, tmp_path: Path):
    rows = texts(
        spark,
        "id at kind price off",
        ("1", DAY, "R", "5", None),
        ("2", DAY, "S", "5", "1"),
        ("3", DAY, "007", "x", "1"),
    )
    sign = "CASE WHEN kind = 'R' THEN -price ELSE price END - coalesce(off, 0)"
    settings = with_amount(sign, returns="kind = 'R'", rules={"codes": "kind IN ('R', 'S')", "cheap": "price <= 10.5"})
    assert amounts(check(rows, settings, tmp_path)) == ["returned", 40_000, "bad_amount"]


def test_division_by_zero_and_overflow_reject_the_row(spark: SparkSession, tmp_path: Path):
    rows = spark.createDataFrame(
        [("1", AT, 8, 2), ("2", AT, 8, 0), ("3", AT, 2**31 - 1, 1)], "id string, at timestamp, total int, pieces int"
    )
    assert amounts(check(source(rows), with_amount("total * 2 / pieces"), tmp_path)) == [
        80_000,
        "missing_amount",
        42_949_672_940_000,
    ]


def test_casts_and_dates_in_expressions_give_null_instead_of_stopping(spark: SparkSession, tmp_path: Path):
    rows = texts(
        spark,
        "id at amount",
        ("1", "30.12.2023", "1"),
        ("2", "31.02.2023", "1"),
        ("3", "30.12.2023", "x"),
        ("4", " ", "1"),
    )
    columns = {"customer_id": "id", "ordered_at": "to_date(at, 'dd.MM.yyyy')", "amount": "cast(amount as double)"}
    found = check(
        rows,
        config(columns=columns, table={"rules": {"after": "to_timestamp(at, 'dd.MM.yyyy') > date '2000-01-01'"}}),
        tmp_path,
    )
    assert amounts(found) == [10_000, "bad_ordered_at", "missing_amount", "missing_ordered_at"]


def test_the_order_of_two_texts_is_not_guessed(spark: SparkSession, tmp_path: Path):
    rows = texts(spark, "id at amount got", ("1", DAY, "10", "9"))
    with pytest.raises(InputError, match=r"'amount' and 'got' are text[\s\S]*tables.transactions.rules.enough"):
        check(rows, with_amount("amount", rules={"enough": "amount > got"}), tmp_path)


def test_an_expression_that_stops_the_job_is_named(spark: SparkSession, tmp_path: Path):
    rows = spark.createDataFrame([("1", AT, "x")], "id string, at timestamp, code string")
    with pytest.raises(InputError, match=r"tables\.transactions\.columns\.amount: length") as caught:
        check(
            source(rows),
            with_amount("length(code) + month(make_date(2023, 12 + length(code), 1))"),
            tmp_path,
        )
    assert "tables.transactions.columns.customer_id" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Quantty * price", ["column 'Quantty' not found", "columns.amount", "Did you mean 'Quantity'?"]),
        ("Quantity *", ["neither a column nor a SQL expression", "columns.amount"]),
        ("sum(Quantity)", ["neither a column nor a SQL expression"]),
        ("explode(array(1, 2))", ["neither a column nor a SQL expression"]),
        ("at", ["must be a number", "columns.amount"]),
    ],
)
def test_what_cannot_be_a_column_is_named_with_its_key(spark: SparkSession, tmp_path: Path, text: str, says: list[str]):
    rows = spark.createDataFrame([("1", AT, 1, 1.0)], "id string, at timestamp, Quantity int, price double")
    with pytest.raises(InputError) as caught:
        check(source(rows), with_amount(text), tmp_path)
    assert [part for part in says if part not in str(caught.value)] == []


def test_a_rule_that_is_no_condition_is_refused(spark: SparkSession, tmp_path: Path):
    rows = spark.createDataFrame([("1", AT, 1.0)], "id string, at timestamp, price double")
    with pytest.raises(InputError, match="is not a condition"):
        check(source(rows), with_amount("price", rules={"day": "date(at)"}), tmp_path)


def test_a_time_that_is_a_number_is_refused_with_the_expression_to_write(spark: SparkSession, tmp_path: Path):
    rows = spark.createDataFrame([("1", 1700000000, 1.0)], "id string, at bigint, price double")
    with pytest.raises(InputError, match="timestamp_seconds"):
        check(source(rows), with_amount("price"), tmp_path)


def test_ids_of_all_types_have_one_spelling(spark: SparkSession):
    row = spark.sql(
        "select double(12345) a, bigint(12345) b, cast(12345.00 as decimal(12,2)) c, '00042' d, '12345.0' e,"
        " ' \u200b\ufeff7 \0' f, double('NaN') g, float(1.5) h, '\u00a0' i, double(-0.0) j,"
        " cast(120 as decimal(5,0)) k, 1e20D l, X'00FF' m, cast(null as int) n"
    )
    ids = row.select(
        *(canonical_id(row[field.name], field.dataType).alias(field.name) for field in row.schema.fields)
    ).collect()[0]
    assert list(ids) == [
        "12345",
        "12345",
        "12345",
        "00042",
        "12345.0",
        "7",
        None,
        "1.5",
        None,
        "0",
        "120",
        "1.0E20",
        "00ff",
        None,
    ]


def test_ids_lose_the_same_characters_at_their_ends_in_spark_as_in_python(spark: SparkSession):
    letters = [chr(code) for code in (*range(0xD800), *range(0xE000, 0x10000), 0x10000, 0x1F469, 0x10FFFF)]
    texts = [text for letter in letters for text in (letter, f"{letter}a", f"é{letter}", f"a{letter}{letter}")]
    rows = spark.createDataFrame(pd.DataFrame({"id": texts}))
    found = rows.select("id", canonical_id(rows["id"], rows.schema["id"].dataType).alias("canonical")).toPandas()
    expected = found["id"].map(lambda text: canonical_text(text) or None)
    assert found["canonical"].tolist() == expected.tolist()


def test_unicode_ids_come_through_byte_by_byte(spark: SparkSession, tmp_path: Path):
    ids = [
        "Ω≈ç√∫",
        "👩‍👩‍👧‍👦",
        "e\u0301",
        "\u00e9",
        "a\u200bb",
        "<script>alert(1)</script>",
        "=1+1",
        "表ポあA鷗ŒéＢ逍Üßªąñ丂㐀𠀀",
        "a\nb",
        "1;DROP TABLE",
        "\u202etest"[1:],
    ]
    rows = texts(spark, "id at amount", *((one, DAY, "1") for one in ids))
    found = check(rows, with_amount("amount"), tmp_path).lines.select("customer_id").collect()
    assert sorted(row[0] for row in found) == sorted(ids)


def test_leading_zeros_keep_customers_apart(spark: SparkSession, tmp_path: Path):
    rows = texts(spark, "id at amount", ("00042", DAY, "1"), ("42", DAY, "1"), (" 42 ", DAY, "1"))
    found = check(rows, with_amount("amount"), tmp_path)
    assert sorted(row[0] for row in found.lines.select("customer_id").collect()) == ["00042", "42", "42"]
    assert counts(found.quality) == {"used": 3}
