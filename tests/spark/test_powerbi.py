"""The Power BI project of a run: Spark's expected results are DuckDB's, and drawing again changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from segengine import runs
from segengine.config import load
from segengine.errors import ConfigError
from segengine.io.files import LocalStore
from segengine.publish.kpis import check_kpis, with_kpis
from segengine.publish.parquet import read_pointer
from segengine.report.powerbi.measures import checked
from segengine.report.powerbi.project import OWN_FILE, model_of
from segengine.runs.power_bi import options_of, published_facts
from tests import shops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def database(output: Path) -> duckdb.DuckDBPyConnection:
    """The tables of the current publication as views."""
    found = duckdb.connect()
    folder = output / "gold" / json.loads((output / "gold" / "current.json").read_text())["folder"]
    for table in folder.iterdir():
        found.execute(f"CREATE VIEW {table.name} AS SELECT * FROM read_parquet('{table}/*.parquet')")
    return found


def test_expected_results_are_those_of_another_engine_and_the_project_comes_back(
    spark: SparkSession, tmp_path: Path
) -> None:
    tables_before = spark.sql("SHOW TABLES").collect()
    shops.write_parquet(shops.lines(customers=200), tmp_path / "lines", files=2)
    config = shops.write_config(tmp_path, extra="powerbi: {enabled: true}\nkpis: {margin: revenue * 0.25 - orders}\n")
    for day in ("2023-11-01", "2024-01-01"):
        summary = runs.run(config, spark=spark, as_of=day)
    assert not [warning for warning in summary.warnings if "Power BI" in warning]

    tables = database(tmp_path / "out")
    rows = tables.execute("SELECT kpi, segment_key, value FROM expected_kpis").fetchall()
    expected = {(kpi, key): value for kpi, key, value in rows}
    assert expected["Customers", 0] == 200
    assert expected["Customers Before", 0] > 0
    assert len(expected) == len(rows) > 60
    ((margin,),) = tables.execute("SELECT sum(revenue * 0.25 - orders) FROM assignments").fetchall()
    assert expected["Total Margin", 0] == pytest.approx(float(margin))
    folder = tmp_path / "out" / "powerbi"
    asked = [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()]
    assert len(asked) == 30
    for question in asked:
        ((found,),) = tables.execute(question["sql"]).fetchall()
        assert question["expected"] == (None if found is None else pytest.approx(float(found)))

    (folder / OWN_FILE).write_text("mine")
    page = next(folder.glob("*.Report/definition/pages/*/page.json"))
    page.write_text("changed")
    told = runs.draw_report(config, spark=spark)
    (warning,) = told.warnings
    assert warning.startswith("Power BI: files changed since they were drawn are kept: 1 (")
    assert [step.how for step in told.next_steps if step.what == "Power BI"] == [str(folder / "SegEngine.pbip")]
    assert page.read_text() == "changed"
    assert (folder / OWN_FILE).read_text() == "mine"
    assert spark.sql("SHOW TABLES").collect() == tables_before


def test_every_paired_sql_gives_what_spark_published_per_segment(spark: SparkSession, tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(customers=150), tmp_path / "lines")
    config = shops.write_config(tmp_path, extra="powerbi: {enabled: true}\n")
    runs.run(config, spark=spark)
    tables = database(tmp_path / "out")
    rows = tables.execute("SELECT kpi, segment_key, value FROM expected_kpis").fetchall()
    store, loaded = LocalStore(str(tmp_path / "out")), load(config)
    facts = published_facts(store, spark, loaded, read_pointer(store))
    model = model_of(facts, options_of(loaded))
    by_name = {m.name: m.sql for m in checked(model.measures.values())}
    assert {kpi for kpi, _, _ in rows} <= set(by_name)
    for kpi, key, value in rows:
        ((found,),) = tables.execute(by_name[kpi].query(key or None)).fetchall()
        assert value == (None if found is None else pytest.approx(float(found)))


def test_a_key_figure_divided_by_nothing_is_null(spark: SparkSession) -> None:
    kpis = {"per_order": "revenue / orders", "share": "100 * (revenue % orders)"}
    check_kpis(spark, kpis, (), 2)
    rows = spark.createDataFrame([(10.0, 4), (0.0, 0)], "revenue double, orders bigint")
    found = [tuple(row) for row in with_kpis(rows, kpis).select("per_order_kpi", "share_kpi").collect()]
    assert found == [(2.5, 200.0), (None, None)]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("revenue +", "cannot be computed"),
        ("lane", "has to be a number"),
        ("turnover", "cannot be computed"),
        ("max(revenue)", "cannot be computed"),
    ],
)
def test_a_key_figure_that_cannot_be_is_refused_by_name(spark: SparkSession, sql: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        check_kpis(spark, {"margin": sql}, (), 2)
    assert caught.value.where == "kpis.margin"
