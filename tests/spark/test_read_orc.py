"""ORC files: as Parquet, and wall clock that no Java's zone moves."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import orc

from segengine.config import Config, TransactionsTable
from segengine.errors import InputError
from segengine.io import read_table

ROOT = Path(__file__).parents[2]
NOON = dt.datetime(2024, 7, 1, 12, 0, 0, 123456)
MICROS = int(NOON.replace(tzinfo=dt.UTC, microsecond=0).timestamp()) * 1_000_000 + NOON.microsecond
"""Noon in UTC, in microseconds since 1970."""
COLUMNS = {"customer_id": "id", "ordered_at": "at", "amount": "amount"}


def rows(*ids, **more) -> pa.Table:
    count = len(ids)
    plain = {"id": list(ids), "at": pa.array([NOON] * count), "amount": [1.5] * count}
    return pa.table({**plain, **more})


def write(table: pa.Table, file: Path) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    orc.write_table(table, str(file))
    return str(file)


def read(spark, path, timezone="Europe/Paris"):
    table = TransactionsTable(path=str(path), format="orc", columns=COLUMNS, timezone=timezone)
    config = Config(name="t", tables={"transactions": table}, output={"path": "/nowhere/out"})
    return read_table(spark, table, "transactions", config)


def test_rows_are_counted_in_the_footers_and_read(spark, tmp_path):
    write(rows("1", "2"), tmp_path / "lines/year=2023/a.orc")
    write(rows("3"), tmp_path / "lines/year=2024/b.orc")
    source = read(spark, tmp_path / "lines")
    found = source.rows.selectExpr("id", "year", "_source_file").collect()
    assert sorted((r[0], r[1], r[2].rsplit("/", 1)[1]) for r in found) == [
        ("1", "2023", "a.orc"),
        ("2", "2023", "a.orc"),
        ("3", "2024", "b.orc"),
    ]
    assert (source.facts.rows_expected, source.facts.files, source.facts.format) == (3, 2, "orc")


def test_times_without_a_zone_are_wall_clock(spark, tmp_path):
    source = read(spark, write(rows("1"), tmp_path / "a.orc"))
    assert source.rows.selectExpr("unix_micros(at)").collect()[0][0] == MICROS - 2 * 3600 * 1_000_000


def test_instants_are_read_where_spark_reads_them_and_refused_by_name_elsewhere(spark, tmp_path):
    file = write(rows("1", utc=pa.array([NOON], pa.timestamp("us", "UTC"))), tmp_path / "a.orc")
    if tuple(map(int, spark.version.split(".")[:2])) < (4, 2):
        with pytest.raises(InputError, match="does not read ORC's type") as caught:
            read(spark, file)
        assert "columns: utc" in str(caught.value)
        return
    at, utc = read(spark, file).rows.selectExpr("unix_micros(at)", "unix_micros(utc)").collect()[0]
    assert (at, utc) == (MICROS - 2 * 3600 * 1_000_000, MICROS)


ELSEWHERE = """
import os, sys
from pyspark.sql import SparkSession
from tests.spark.test_read_orc import read
zone = f"-Duser.timezone={os.environ['ZONE']}"
spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    .config("spark.driver.extraJavaOptions", zone).config("spark.sql.session.timeZone", "Asia/Tokyo").getOrCreate())
print("micros", read(spark, sys.argv[1]).rows.selectExpr("unix_micros(at)").collect()[0][0])
"""


def test_javas_zone_moves_no_time(tmp_path):
    file = write(rows("1"), tmp_path / "a.orc")
    mine = {"ZONE": "America/New_York", "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1"}
    command = [sys.executable, "-c", ELSEWHERE, file]
    done = subprocess.run(command, env={**os.environ, **mine}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"micros {MICROS - 2 * 3600 * 1_000_000}\n" in done.stdout


def test_files_that_differ_are_refused_naming_both(spark, tmp_path):
    write(rows("1"), tmp_path / "l/a.orc")
    write(rows("2", more=["x"]), tmp_path / "l/b.orc")
    with pytest.raises(InputError) as caught:
        read(spark, tmp_path / "l")
    assert "'more'" in str(caught.value) and "a.orc" in str(caught.value) and "b.orc" in str(caught.value)
    write(rows("2").set_column(2, "amount", pa.array([1])), tmp_path / "l/b.orc")
    with pytest.raises(InputError, match="'amount' has different types"):
        read(spark, tmp_path / "l")


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"id,at\n1,2\n" * 99]
)
def test_a_damaged_file_is_named(spark, tmp_path, damage):
    file = Path(write(rows("1"), tmp_path / "l/a.orc"))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match="cannot be read as ORC") as caught:
        read(spark, tmp_path / "l")
    assert "a.orc" in str(caught.value)


def test_no_rows_at_all_are_refused(spark, tmp_path):
    write(rows("1").slice(1), tmp_path / "l/a.orc")
    with pytest.raises(InputError, match="0 rows in 1 file"):
        read(spark, tmp_path / "l")
