"""Delta and catalog tables: one version for the whole run, and clear words when there is none."""

from __future__ import annotations

import pytest
from pyspark.sql import functions as F

from segengine.config import Config, TransactionsTable
from segengine.errors import ConfigError, InputError
from segengine.io import Source, read_table
from segengine.io.delta import catalog_name

COLUMNS = {"customer_id": "id", "ordered_at": "at", "amount": "amount"}


def read(spark, *, columns=COLUMNS, timezone="UTC", **where) -> Source:
    table = TransactionsTable(columns=columns, **where)
    config = Config(name="t", timezone=timezone, tables={"transactions": table}, output={"path": "/nowhere/out"})
    return read_table(spark, table, "transactions", config)


def lines(spark, *ids):
    return spark.createDataFrame([(i, 1.5) for i in ids], "id string, amount double").withColumn(
        "at", F.timestamp_seconds(F.lit(1704067200))
    )


def ids(source):
    return sorted(row[0] for row in source.rows.select("id").collect())


def test_a_delta_table_stays_at_one_version_while_it_moves_on(spark, tmp_path):
    path = str(tmp_path / "a b.delta")
    lines(spark, "1", "2").write.format("delta").save(path)
    source = read(spark, path=path, format="delta")
    lines(spark, "3").write.format("delta").mode("append").save(path)
    assert ids(source) == ["1", "2"]
    assert (source.facts.delta_version, source.facts.format, source.text_casts) == (0, "delta", False)
    assert source.facts.files >= 1
    assert source.facts.size_bytes > 0
    later = read(spark, path=path, format="delta")
    assert (ids(later), later.facts.delta_version) == (["1", "2", "3"], 1)
    assert later.facts.fingerprint != source.facts.fingerprint
    pinned = read(spark, path=path, format="delta", version=0)
    assert (ids(pinned), pinned.facts.fingerprint) == (["1", "2"], source.facts.fingerprint)
    assert {str(row[0])[:6] for row in source.rows.select("_source_file").collect()} == {"file:/"}
    assert source.columns == ("id", "amount", "at")


def test_a_version_that_is_not_there_is_refused(spark, tmp_path):
    lines(spark, "1").write.format("delta").save(str(tmp_path / "d"))
    with pytest.raises(InputError, match="at version 7"):
        read(spark, path=str(tmp_path / "d"), format="delta", version=7)


def test_what_is_no_delta_table_is_told(spark, tmp_path):
    with pytest.raises(InputError, match="nothing at this path"):
        read(spark, path=str(tmp_path / "gone"), format="delta")
    lines(spark, "1").write.parquet(str(tmp_path / "p"))
    with pytest.raises(InputError, match="not a Delta table"):
        read(spark, path=str(tmp_path / "p"), format="delta")


def test_a_delta_table_without_rows_is_told(spark, tmp_path):
    lines(spark, "1").where("false").write.format("delta").save(str(tmp_path / "d"))
    with pytest.raises(InputError, match="0 rows"):
        read(spark, path=str(tmp_path / "d"), format="delta")


def test_a_column_that_a_delta_table_lacks_is_named(spark, tmp_path):
    lines(spark, "1").drop("amount").write.format("delta").save(str(tmp_path / "d"))
    with pytest.raises(InputError, match="column 'amount' not found") as caught:
        read(spark, path=str(tmp_path / "d"), format="delta")
    assert caught.value.found == "columns: id, at"


def test_a_log_that_is_damaged_is_told(spark, tmp_path):
    lines(spark, "1").write.format("delta").save(str(tmp_path / "d"))
    for log in (tmp_path / "d" / "_delta_log").iterdir():
        if log.is_file():
            log.unlink()
    with pytest.raises(InputError) as caught:
        read(spark, path=str(tmp_path / "d"), format="delta")
    assert str(tmp_path / "d") in str(caught.value)


def test_zoneless_times_of_a_delta_table_are_wall_clock_in_the_zone(spark, tmp_path):
    lines(spark, "1").withColumn("at", F.expr("timestamp_ntz'2024-07-01 10:00:00'")).write.format("delta").save(
        str(tmp_path / "d")
    )
    source = read(spark, path=str(tmp_path / "d"), format="delta", timezone="Europe/London")
    assert source.rows.select(F.unix_micros("at")).collect() == [(1719824400000000,)]


@pytest.fixture
def shop(spark):
    spark.sql("CREATE DATABASE IF NOT EXISTS io_shop")
    yield "io_shop"
    spark.sql("DROP DATABASE io_shop CASCADE")


def test_a_catalog_table_in_delta_is_pinned(spark, shop):
    lines(spark, "1", "2").write.format("delta").saveAsTable("io_shop.lines")
    source = read(spark, table="spark_catalog.io_shop.lines")
    lines(spark, "3").write.format("delta").mode("append").saveAsTable("io_shop.lines")
    assert ids(source) == ["1", "2"]
    assert source.facts.delta_version == 0
    assert source.facts.location == "spark_catalog.io_shop.lines"
    assert source.rows.select("_source_file", "_defect").distinct().collect() == [(None, None)]
    assert ids(read(spark, table="`io_shop`.lines", format="delta", version=1)) == ["1", "2", "3"]


def test_a_catalog_table_without_versions_is_read_with_a_warning(spark, shop):
    lines(spark, "1").write.format("parquet").saveAsTable("io_shop.plain")
    source = read(spark, table="io_shop.plain")
    assert ids(source) == ["1"]
    assert source.facts.delta_version is None
    assert "keeps no versions" in source.facts.warnings[0]
    with pytest.raises(InputError, match="keeps no versions"):
        read(spark, table="io_shop.plain", format="delta", version=0)


def test_a_view_is_read(spark):
    lines(spark, "1").createOrReplaceTempView("io_view")
    assert ids(read(spark, table="io_view")) == ["1"]


def test_a_table_that_is_not_there_is_named(spark):
    with pytest.raises(InputError, match="no such table") as caught:
        read(spark, table="nowhere.nothing")
    assert "nowhere.nothing" in caught.value.where


@pytest.mark.parametrize("name", ["a b", "x; DROP TABLE y", "a..b", "a.", "", "`a`b"])
def test_what_is_no_name_of_a_table_is_refused(name):
    with pytest.raises(ConfigError, match="not a name"):
        catalog_name(name, "transactions")


def test_a_table_name_is_never_read_as_sql():
    assert catalog_name("my-catalog.`a.b`.(select-1)", "transactions") == "`my-catalog`.`a.b`.`(select-1)`"
