"""Queries over tables of the catalog: analysed first, run once, the same for every scan."""

from __future__ import annotations

import pytest

from segengine.config import Config, TransactionsTable
from segengine.errors import InputError
from segengine.io import read_table

COLUMNS = {"customer_id": "id", "ordered_at": "at", "amount": "amount"}


@pytest.fixture
def lines(spark):
    """A view with two lines, and its name."""
    spark.sql(
        "SELECT id, timestamp_ntz '2024-07-01 12:00:00' at, 1.5D amount, NULL nothing, interval 1 day wait "
        "FROM VALUES ('1'), ('2') AS t(id)"
    ).createOrReplaceTempView("query_lines")
    yield "query_lines"
    spark.catalog.dropTempView("query_lines")


def read(spark, tmp_path, query, columns=COLUMNS, timezone="Europe/Paris"):
    table = TransactionsTable(query=query, columns=columns, timezone=timezone)
    config = Config(name="t", tables={"transactions": table}, output={"path": str(tmp_path / "out")})
    return read_table(spark, table, "transactions", config, work=(tmp_path / "work").as_uri())


def test_a_query_is_run_once_and_every_scan_sees_the_same(spark, lines, tmp_path):
    source = read(spark, tmp_path, f"WITH some AS (SELECT * FROM {lines}) SELECT *, amount * 2 AS twice FROM some")
    spark.sql("SELECT 'other' id").createOrReplaceTempView(lines)
    found = source.rows.selectExpr("id", "twice", "unix_seconds(at)", "nothing", "wait").orderBy("id").collect()
    assert [tuple(row) for row in found] == [(id, 3.0, 1719828000, None, "INTERVAL '1' DAY") for id in ("1", "2")]
    assert (source.facts.format, source.facts.rows_expected) == ("query", 2)
    assert source.facts.location == "tables.transactions.query"


def test_what_spark_refuses_is_told(spark, lines, tmp_path):
    with pytest.raises(InputError, match="does not accept the query"):
        read(spark, tmp_path, "SELECT * FROM no_such_table")
    with pytest.raises(InputError, match="column 'prize' not found"):
        read(spark, tmp_path, f"SELECT * FROM {lines}", columns={**COLUMNS, "amount": "prize"})
    assert not (tmp_path / "work").exists()


def test_two_columns_of_one_name_and_no_rows_are_refused(spark, lines, tmp_path):
    with pytest.raises(InputError, match="'ID' differ only in case"):
        read(spark, tmp_path, f"SELECT *, 1 AS ID FROM {lines}")
    with pytest.raises(InputError, match="0 rows"):
        read(spark, tmp_path, f"SELECT * FROM {lines} WHERE id = '9'")


def test_a_query_that_fails_on_a_value_is_an_input_error(spark, lines, tmp_path):
    with pytest.raises(InputError, match="the query fails") as caught:
        read(spark, tmp_path, f"SELECT id, at, amount / (id - 1) AS amount FROM {lines}")
    assert "DIVIDE_BY_ZERO" in str(caught.value)
