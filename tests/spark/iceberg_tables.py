"""Tests of Iceberg tables, for a Spark that Iceberg has a JAR for; `test_read_iceberg.py` runs this file there."""

from __future__ import annotations

import json

import pytest

from segengine import runs
from segengine.config import Config, TransactionsTable
from segengine.errors import InputError
from segengine.io import read_table
from tests import shops

COLUMNS = {"customer_id": "id", "ordered_at": "at", "amount": "amount"}
TABLE = "lake.shop.`order lines`"


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """A Hadoop catalog on a local folder, in the session as `lake`."""
    spark.conf.set("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog")
    spark.conf.set("spark.sql.catalog.lake.type", "hadoop")
    spark.conf.set("spark.sql.catalog.lake.warehouse", str(tmp_path_factory.mktemp("warehouse")))


@pytest.fixture
def table(spark, lake):
    """A table with two snapshots of one line each; its name."""
    spark.sql(f"CREATE TABLE {TABLE} (id string, at timestamp_ntz, amount double) USING iceberg")
    append(spark, "1")
    append(spark, "2")
    yield TABLE
    spark.sql(f"DROP TABLE {TABLE}")


def append(spark, customer):
    spark.sql(f"INSERT INTO {TABLE} VALUES ('{customer}', timestamp_ntz '2024-07-01 12:00:00', 1.5D)")


def read(spark, **more):
    table = TransactionsTable(table=TABLE, columns=COLUMNS, timezone="Europe/Paris", **more)
    config = Config(name="t", tables={"transactions": table}, output={"path": "/nowhere/out"})
    return read_table(spark, table, "transactions", config)


def ids(source):
    return sorted(row[0] for row in source.rows.select("id").collect())


def snapshots(spark):
    listed = spark.sql(f"SELECT snapshot_id FROM {TABLE}.snapshots ORDER BY committed_at").collect()
    return [row[0] for row in listed]


def test_a_table_stays_at_one_snapshot_while_it_moves_on(spark, table):
    source = read(spark)
    append(spark, "3")
    spark.sql(f"DELETE FROM {TABLE} WHERE id = '1'")
    assert ids(source) == ["1", "2"]
    assert source.rows.selectExpr("unix_seconds(at)").distinct().collect()[0][0] == 1719828000
    facts = source.facts
    assert (facts.format, facts.iceberg_snapshot, facts.delta_version) == ("iceberg", snapshots(spark)[1], None)
    assert (facts.files, facts.size_bytes > 0, facts.warnings) == (2, True, ())
    later = read(spark)
    assert ids(later) == ["2", "3"]
    assert later.facts.fingerprint != facts.fingerprint


def test_an_older_snapshot_is_read_when_the_configuration_names_it(spark, table):
    first, _ = snapshots(spark)
    source = read(spark, version=first)
    assert (ids(source), source.facts.iceberg_snapshot) == (["1"], first)
    with pytest.raises(InputError, match="no snapshot 7"):
        read(spark, version=7)


def test_a_table_that_nothing_was_written_to_is_refused(spark, lake):
    spark.sql(f"CREATE TABLE {TABLE} (id string, at timestamp, amount double) USING iceberg")
    try:
        with pytest.raises(InputError, match="0 rows"):
            read(spark)
    finally:
        spark.sql(f"DROP TABLE {TABLE}")


def test_a_run_records_the_snapshot_it_read(spark, lake, tmp_path):
    frame = shops.lines(customers=60)
    spark.createDataFrame(frame).writeTo("lake.shop.lines").using("iceberg").create()
    file = shops.write_config(tmp_path)
    text = file.read_text()
    start = text.index("    path:")
    file.write_text(text[:start] + "    table: lake.shop.lines\n" + text[text.index("    columns:") :])
    summary = runs.check(file, spark=spark)
    assert summary.rows_of("used") == len(frame)
    (record,) = (tmp_path / "out" / "runs").glob("*.json")
    newest = spark.sql("SELECT snapshot_id FROM lake.shop.lines.snapshots").collect()[0][0]
    assert json.loads(record.read_text())["inputs"][0]["iceberg_snapshot"] == newest
