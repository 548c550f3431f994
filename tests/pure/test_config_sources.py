"""Databases, queries and Spark settings in a configuration: what is taken, what is refused, and secrets kept secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from segengine.config import Config, JdbcOptions, TransactionsTable, parse
from segengine.config.expressions import why_refused_foreign_query, why_refused_query
from segengine.errors import ConfigError
from segengine.jars import extras_for

COLUMNS = {"customer_id": "id", "ordered_at": "at", "amount": "price"}
LOGIN = {"user": "${env:SHOP_USER}", "password": "${env:SHOP_PASSWORD}"}
JDBC = {"url": "jdbc:postgresql://db.example.com:5432/shop", "table": "sales.lines", **LOGIN}
ENVIRON = {"SHOP_USER": "reader-account", "SHOP_PASSWORD": "hunter-2-hunter", "KEY": "AKIA-SOMETHING"}


def text(spark: dict[str, str] | None = None, output: str = "out", **table: Any) -> str:
    tables = {"transactions": {"columns": COLUMNS, **table}}
    return yaml.safe_dump({"name": "shop", "tables": tables, "output": {"path": output}, "spark": spark or {}})


def config(**given: Any) -> Config:
    return parse(text(**given), folder=Path("/shop"), environ=ENVIRON)


def refused(**given: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config(**given)
    return str(caught.value)


def test_a_database_is_read_with_a_login_from_the_environment() -> None:
    it = config(format="jdbc", jdbc=JDBC)
    assert it.tables.transactions is not None
    jdbc = it.tables.transactions.jdbc
    assert jdbc is not None and jdbc.password is not None
    assert (jdbc.user, jdbc.password.get_secret_value()) == ("reader-account", "hunter-2-hunter")
    for shown in (repr(it), str(it.model_dump()), it.model_dump_json(), it.redact("x hunter-2-hunter reader-account")):
        assert "hunter" not in shown
        assert "reader-account" not in shown
    other = parse(text(format="jdbc", jdbc=JDBC), folder=Path("/shop"), environ={**ENVIRON, "SHOP_PASSWORD": "changed"})
    assert other.fingerprint() == it.fingerprint()


def test_a_password_given_in_python_is_kept_out_of_every_text() -> None:
    jdbc = JdbcOptions(url=JDBC["url"], table="t", user="reader", password="hunter-2-hunter")
    table = TransactionsTable(format="jdbc", jdbc=jdbc, columns=COLUMNS)
    it = Config(name="t", tables={"transactions": table}, output={"path": "/out"})
    assert "hunter" not in repr(it) + it.model_dump_json() + it.redact("hunter-2-hunter failed")


@pytest.mark.parametrize("key", ["user", "password"])
@pytest.mark.parametrize("value", ["plain-text-in-the-file", "half-${env:SHOP_PASSWORD}"])
def test_a_login_in_the_file_itself_is_refused_and_not_shown(key: str, value: str) -> None:
    message = refused(format="jdbc", jdbc={**JDBC, key: value})
    assert f"jdbc.{key} must come from the environment" in message
    assert "plain-text" not in message and "hunter" not in message


@pytest.mark.parametrize(
    "url",
    [
        "jdbc:postgresql://reader:secret@db/shop",
        "jdbc:postgresql://db/shop?user=me&ssl=true",
        "jdbc:postgresql://db/shop?ssl=true&password=secret",
        "jdbc:sqlserver://db;databaseName=shop;password=secret",
        "jdbc:oracle:thin:scott/tiger@db:1521:shop",
        "postgresql://db/shop",
    ],
)
def test_addresses_with_a_login_are_refused(url: str) -> None:
    assert "jdbc.url must" in refused(format="jdbc", jdbc={**JDBC, "url": url})


@pytest.mark.parametrize("url", ["jdbc:oracle:thin:@//db:1521/shop", "jdbc:mysql://db:3306/shop?useSSL=true"])
def test_addresses_without_a_login_are_taken(url: str) -> None:
    assert config(format="jdbc", jdbc={**JDBC, "url": url})


@pytest.mark.parametrize(
    ("table", "key", "says"),
    [
        ({"format": "jdbc"}, "format", "needs a jdbc section"),
        ({"format": "jdbc", "path": "x", "jdbc": JDBC}, "jdbc", "beside path"),
        ({"jdbc": JDBC}, "jdbc", "format: jdbc only"),
        ({"query": "SELECT 1", "table": "t"}, "query", "beside table"),
        ({"query": "DROP TABLE t"}, "query", "SELECT or WITH"),
        ({"query": "SELECT 1", "version": 3}, "version", "catalog"),
        ({"format": "jdbc", "jdbc": {**JDBC, "query": "SELECT 1"}}, "jdbc.query", "beside table"),
        ({"format": "jdbc", "jdbc": {"url": JDBC["url"]}}, "jdbc", "table or a query"),
        ({"format": "jdbc", "jdbc": {**JDBC, "table": "(SELECT 1) x"}}, "jdbc.table", "a table's name"),
        ({"format": "jdbc", "jdbc": {**JDBC, "partitions": 4}}, "jdbc.partitions", "partition_column"),
        ({"format": "jdbc", "jdbc": {**JDBC, "user": None}}, "jdbc.user", "is missing"),
    ],
)
def test_what_cannot_be_meant_is_refused(table: dict[str, Any], key: str, says: str) -> None:
    message = refused(**table)
    assert f"tables.transactions.{key}" in message and says in message


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM lake.sales.lines",
        "select l.*, p.kind from lines l join products p using (product) where l.at > date '2020-01-01'",
        "WITH newest AS (SELECT max(at) AS at FROM lines) SELECT * FROM lines WHERE at < (SELECT at FROM newest)",
        "(SELECT `insert` AS x, t.update FROM t) UNION ALL (SELECT 'delete; --', 1)",
        "SELECT transform(tags, tag -> upper(tag)) AS tags FROM delta.lines",
    ],
)
def test_queries_over_the_catalog(query: str) -> None:
    assert why_refused_query(query) is None


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "empty"),
        ("INSERT INTO t SELECT 1", "SELECT or WITH"),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "INSERT"),
        ("with x as (select 1) delete from t", "DELETE"),
        ("SELECT 1; SELECT 2", "semicolon"),
        ("SELECT 1 -- all", "comment"),
        ("SELECT java_method('java.lang.System', 'exit', 1)", "java_method"),
        ("SELECT `reflect`('a', 'b')", "reflect"),
        ("SELECT *, rand() r FROM t", "rand"),
        ("SELECT * FROM t WHERE at < current_date", "current_date"),
        ("SELECT first(at) FROM t GROUP BY id", "first"),
        ("SELECT * FROM t WHERE at < date 'now'", "date 'now'"),
        ("SELECT * FROM t TABLESAMPLE (10 PERCENT)", "TABLESAMPLE"),
        ("SELECT TRANSFORM(id) USING 'rm -rf x' AS (id) FROM t", "script"),
        ("SELECT * FROM parquet.`/data/lines`", "files"),
        ("SELECT * FROM `delta`.`s3a://lake/lines`", "files"),
        ("SELECT '${env:HOME}'", "${"),
        ("SELECT 'open FROM t", "quote"),
        ("SELECT * FROM t WHERE x = 'a\\' AND rand() > 0 AND y = 'b'", "quote"),
    ],
)
def test_queries_that_write_reach_out_or_change_are_refused(query: str, says: str) -> None:
    reason = why_refused_query(query)
    assert reason is not None and says in reason


def test_a_databases_own_sql_may_hold_what_only_it_knows() -> None:
    assert why_refused_foreign_query("SELECT first(x), now(), y::date FROM t@link WHERE z ~ 'a'") is None
    assert why_refused_foreign_query("DELETE FROM t") is not None


def test_spark_settings_for_stores_and_catalogs_are_taken_and_others_are_not() -> None:
    spark = {
        "spark.hadoop.fs.s3a.endpoint": "http://127.0.0.1:9000",
        "spark.hadoop.fs.s3a.secret.key": "${env:KEY}",
        "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
        "spark.jars.packages": "a:b:1",
    }
    it = config(spark=spark, path="s3a://lake/lines")
    assert it.spark["spark.hadoop.fs.s3a.secret.key"] == ENVIRON["KEY"]
    assert ENVIRON["KEY"] not in repr(it) + it.model_dump_json()
    assert "not a setting that belongs here" in refused(spark={"spark.executor.memory": "4g"}, path="x")
    assert "Did you mean spark.jars.packages" in refused(spark={"spark.jars.package": "a:b:1"}, path="x")


@pytest.mark.parametrize(
    "key",
    [
        "spark.hadoop.fs.s3a.access.key",
        "spark.hadoop.fs.azure.account.key.shop.dfs.core.windows.net",
        "spark.hadoop.fs.azure.sas.fixed.token.x",
        "spark.sql.catalog.lake.credential",
    ],
)
def test_keys_in_the_file_itself_are_refused_and_not_shown(key: str) -> None:
    message = refused(spark={key: "plain-text-in-the-file"}, path="x")
    assert "must come from the environment" in message and "plain-text" not in message


@pytest.mark.parametrize(
    ("given", "extras"),
    [
        ({"path": "lines"}, ()),
        ({"path": "s3a://lake/lines", "output": "abfss://c@a.dfs.core.windows.net/out"}, ("azure", "s3")),
        ({"format": "jdbc", "jdbc": JDBC}, ("postgresql",)),
        ({"format": "jdbc", "jdbc": {**JDBC, "url": "jdbc:mysql://db/shop"}}, ()),
        (
            {
                "table": "lake.sales.lines",
                "spark": {
                    "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
                    "spark.sql.catalog.lake.warehouse": "s3a://lake/tables",
                },
            },
            ("iceberg", "s3"),
        ),
    ],
)
def test_the_jars_that_a_configuration_needs_are_known(given: dict[str, Any], extras: tuple[str, ...]) -> None:
    assert tuple(sorted(extras_for(config(**given)))) == extras
    assert extras_for(None) == ()
