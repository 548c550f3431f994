"""Tables of a real PostgreSQL: read once, in parallel, with their types, and without a word about the password."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from segengine import runs
from segengine.config import Config, JdbcOptions, TransactionsTable
from segengine.errors import InfrastructureError, InputError, QualityError
from segengine.io import read_table
from segengine.io.jdbc import read_jdbc
from tests import servers, shops

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def database(spark):
    servers.need_jars("postgresql")
    with servers.postgres() as it:
        it.sql("""
            CREATE SCHEMA sales;
            CREATE TABLE sales."Order Lines" (
                line bigint, half numeric(12,2), day date, local timestamp, instant timestamptz,
                client text, note text);
            INSERT INTO sales."Order Lines"
            SELECT n, n / 2.0, date '2024-01-01' + n::int, timestamp '2024-07-01 12:00' + n * interval '1 hour',
                   timestamptz '2024-07-01 12:00+02' + n * interval '1 hour', 'C' || n % 7, NULL
            FROM generate_series(1, 100) n;
            INSERT INTO sales."Order Lines" VALUES (NULL, 1, NULL, NULL, NULL, 'C1', 'no number');
        """)
        yield it


def options(database, **changes) -> JdbcOptions:
    given = {"url": database.url, "table": 'sales."Order Lines"', "user": "reader", "password": servers.PASSWORD}
    return JdbcOptions(**{**given, **changes})


def read(spark, tmp_path, jdbc, *, columns=None, timezone="UTC"):
    columns = columns or {"customer_id": "client", "ordered_at": "local", "amount": "half"}
    table = TransactionsTable(format="jdbc", jdbc=jdbc, columns=columns, timezone=timezone)
    config = Config(name="t", tables={"transactions": table}, output={"path": str(tmp_path / "out")})
    return read_table(spark, table, "transactions", config, work=(tmp_path / "work").as_uri())


def test_rows_and_types_are_those_of_the_database(spark, database, tmp_path):
    source = read(spark, tmp_path, options(database), timezone="Europe/Paris")
    rows = source.rows.where("line = 1").selectExpr(
        "cast(half as string)", "unix_seconds(local)", "unix_seconds(instant)"
    )
    wall = pd.Timestamp("2024-07-01 13:00", tz="Europe/Paris").timestamp()
    assert [tuple(row) for row in rows.collect()] == [("0.50", wall, wall)]
    assert source.rows.schema["half"].dataType.simpleString() == "decimal(12,2)"
    assert source.columns == ("line", "half", "day", "local", "instant", "client", "note")
    assert (source.facts.rows_expected, source.facts.format, source.text_casts) == (101, "jdbc", False)
    assert source.facts.location == f'{database.url} sales."Order Lines"'
    assert source.rows.select("_source_file").distinct().collect()[0][0] is None


def test_every_scan_sees_what_was_read_once(spark, database, tmp_path):
    database.sql('CREATE TABLE moving AS SELECT * FROM sales."Order Lines"')
    source = read(spark, tmp_path, options(database, table="moving"))
    before = sorted(source.rows.select("line").toPandas()["line"].dropna())
    database.sql("DELETE FROM moving WHERE line < 50; UPDATE moving SET half = 0; DROP TABLE moving")
    assert sorted(source.rows.select("line").toPandas()["line"].dropna()) == before == list(range(1, 101))


@pytest.mark.parametrize("column", ["line", "half", "day", "local", "instant", "LINE"])
def test_ranges_of_a_partition_column_hold_every_row_once(spark, database, column):
    rows = read_jdbc(spark, options(database, partition_column=column, partitions=4), "transactions")
    found = rows.selectExpr("spark_partition_id() p", "line").toPandas()
    assert sorted(found["line"].dropna()) == list(range(1, 101))
    assert len(found) == 101
    assert found["p"].nunique() == 4
    assert found.groupby("p").size().max() <= 30


def test_a_query_is_read_in_ranges_too(spark, database, tmp_path):
    query = 'WITH few AS (SELECT * FROM sales."Order Lines" WHERE line <= 10) SELECT line, client, local, half FROM few'
    jdbc = options(database, table=None, query=query, partition_column="line", partitions=2)
    source = read(spark, tmp_path, jdbc)
    assert source.rows.count() == 10
    assert source.facts.location == f"{database.url} query"


def test_a_table_without_rows_is_refused(spark, database, tmp_path):
    jdbc = options(
        database, table=None, query='SELECT * FROM sales."Order Lines" WHERE line < 0', partition_column="line"
    )
    with pytest.raises(InputError, match="0 rows"):
        read(spark, tmp_path, jdbc)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"table": "sales.nothing"}, "does not exist"),
        ({"password": "wrong"}, "password authentication failed"),
        ({"partition_column": "client"}, "cannot be cut into ranges"),
        ({"partition_column": "lime"}, "Did you mean 'line'"),
    ],
)
def test_what_the_database_refuses_is_told_in_its_words(spark, database, tmp_path, changes, says):
    with pytest.raises(InputError) as caught:
        read(spark, tmp_path, options(database, **changes))
    assert says in str(caught.value)
    assert servers.PASSWORD not in str(caught.value)


def test_a_column_that_is_not_there_is_told_before_any_row_is_read(spark, database, tmp_path):
    with pytest.raises(InputError, match="column 'prize' not found"):
        read(
            spark,
            tmp_path,
            options(database),
            columns={"customer_id": "client", "ordered_at": "local", "amount": "prize"},
        )
    assert not (tmp_path / "work").exists()


def test_a_database_that_is_not_there_is_a_failure_of_the_surroundings(spark, database, tmp_path):
    jdbc = options(database, url=f"jdbc:postgresql://127.0.0.1:{servers.free_port()}/postgres")
    with pytest.raises(InfrastructureError, match="cannot be reached"):
        read(spark, tmp_path, jdbc)


def test_a_driver_that_is_not_there_says_where_to_get_it(spark, database, tmp_path):
    with pytest.raises(InfrastructureError) as caught:
        read(spark, tmp_path, options(database, url="jdbc:nosuchdb://127.0.0.1:1/x"))
    assert "spark.jars.packages" in str(caught.value)


CONFIG = """\
name: test-shop
as_of: 2024-01-01
history: all
currency: EUR
tables:
  transactions:
    format: jdbc
    jdbc:
      url: {url}
      table: shop_lines
      user: ${{env:SHOP_USER}}
      password: ${{env:SHOP_PASSWORD}}
      partition_column: sold at
      partitions: 3
    columns:
      customer_id: client
      order_id: ticket
      ordered_at: sold at
      amount: price
      quantity: pieces
      category: aisle
segments: {{k: 4, restarts: 2}}
output: {{path: out}}
"""


@pytest.fixture(scope="module")
def shop(database, tmp_path_factory):
    """The shop's lines in the database; how many."""
    frame = shops.lines(customers=120)
    text = frame.to_csv(index=False, header=False, sep="\t")
    database.sql(
        'CREATE TABLE shop_lines (client text, ticket text, "sold at" timestamp, price numeric(12,2), pieces int, '
        f"aisle text);\nCOPY shop_lines FROM stdin;\n{text}\\.\n"
    )
    return frame


def write(folder: Path, database) -> Path:
    file = folder / "shop.yaml"
    file.write_text(CONFIG.format(url=database.url))
    return file


def test_the_command_reads_the_database_and_never_shows_the_password(database, shop, tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "events").mkdir()
    log = f"spark.eventLog.enabled true\nspark.eventLog.dir {(tmp_path / 'events').as_uri()}\n"
    (tmp_path / "conf" / "spark-defaults.conf").write_text(log + "spark.eventLog.compress false\n")
    secrets = {"SHOP_USER": "reader", "SHOP_PASSWORD": servers.PASSWORD}
    mine = {"SPARK_CONF_DIR": str(tmp_path / "conf"), "SEGENGINE_SPARK_LOGS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "segengine.cli", "check", str(write(tmp_path, database))],
        env={**os.environ, "SEGENGINE_MASTER": "local[2]", **mine, **secrets},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    events = [file for file in files if "events" in file.parts]
    assert sum(file.stat().st_size for file in events) > 10_000
    assert any(b"shop_lines" in file.read_bytes() for file in events)
    assert not [file for file in files if servers.PASSWORD.encode() in file.read_bytes()]
    assert servers.PASSWORD not in done.stdout + done.stderr
    (record,) = (tmp_path / "out" / "runs").glob("*.json")
    told = json.loads(record.read_text())
    assert told["state"] == "done"
    assert sum(row["rows"] for row in told["quality"] if row["outcome"] == "used") == len(shop)
    assert not (tmp_path / "out" / "work").exists()


def test_a_run_that_fails_leaves_no_snapshot_and_no_password(spark, database, shop, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_USER", "reader")
    monkeypatch.setenv("SHOP_PASSWORD", servers.PASSWORD)
    left = tmp_path / "out" / "work" / "killed" / "transactions" / "part-0.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"rows of somebody")
    os.utime(left, (1_600_000_000, 1_600_000_000))
    config = write(tmp_path, database)
    config.write_text(config.read_text() + "quality: {max_rejected_share: 0}\n")
    config.write_text(config.read_text().replace("    columns:", "    rules: {few: pieces < 3}\n    columns:"))
    with pytest.raises(QualityError) as caught:
        runs.train(config, spark=spark)
    assert servers.PASSWORD not in str(caught.value)
    assert (tmp_path / "out" / "quarantine").exists()
    assert not (tmp_path / "out" / "work").exists()
    assert not [f for f in (tmp_path / "out").rglob("*") if f.is_file() and servers.PASSWORD.encode() in f.read_bytes()]
