"""The report of real runs: drawn from what is published, the same numbers everywhere, and ten questions in SQL."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from segengine import runs
from segengine.config import load
from segengine.demo.shop import Shop
from segengine.errors import PublicationError
from segengine.io.files import store_for
from segengine.publish.publication import current
from segengine.publish.read_back import collected, small_tables
from segengine.report.published import READ
from tests import shops
from tests.browser.calculator import fill_calculator
from tests.chromium import chromium, open_page
from tests.workbooks import Read

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DOCS = Path(__file__).parents[2] / "docs" / "queries.md"
TABLES = ("segments", "assignments", "customers", "segment_profiles", "segment_kpis", "quality", "lanes", "bridge",
          "expected_kpis")  # fmt: skip


@pytest.fixture(scope="module")
def shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A shop with returns, dirt and people who opted out, published as of two dates; its folder and last summary."""
    folder = tmp_path_factory.mktemp("shop")
    made = Shop(customers=300, seed=5, returns=0.03, dirt=0.02, opted_out=0.03)
    config = made.write(folder)
    config.write_text(config.read_text().replace("k: [3, 10]", "k: [4, 5], restarts: 2"))
    runs.run(config, spark=spark, as_of=made.as_of - dt.timedelta(days=30))
    return folder, runs.run(config, spark=spark)


def folder_of(output: Path) -> Path:
    return output / "gold" / str(json.loads((output / "gold" / "current.json").read_text())["folder"])


def page_of(shop: tuple[Path, Any]) -> Path:
    folder, summary = shop
    return folder / "out" / "reports" / str(summary.run_id) / "index.html"


def test_a_run_draws_its_report_and_says_where_it_is(shop):
    page = page_of(shop)
    assert page.is_file()
    (step,) = [step for step in shop[1].next_steps if step.what == "the report"]
    assert step.how.endswith(f"reports/{shop[1].run_id}/index.html")


def test_page_summary_and_tables_agree_the_bridge_included(shop):
    folder, summary = shop
    tables = {name: pq.read_table(folder_of(folder / "out") / name).to_pylist() for name in TABLES}
    text = page_of(shop).read_text()
    assert len(summary.segments) == len(tables["segments"])
    for row in tables["segments"]:
        (line,) = [line for line in summary.segments if line.segment_id == row["segment_id"]]
        assert (line.customers, Decimal(line.revenue_e4) / 10_000) == (row["customers"], row["revenue"])
        assert f"{row['customers']:,} customers" in text and f"{row['revenue']:,} {summary.currency}" in text
        own = [a for a in tables["assignments"] if a["segment_key"] == row["segment_key"]]
        assert len(own) == row["customers"]
        assert sum(a["revenue"] for a in own) == pytest.approx(row["revenue"], abs=Decimal("0.01") * len(own))
    now = max(row["as_of"] for row in tables["bridge"])
    bridge = sorted((r for r in tables["bridge"] if r["as_of"] == now), key=lambda r: r["step"])
    assert [Decimal(step.amount_e4) / 10_000 for step in summary.bridge] == [row["amount"] for row in bridge]
    assert sum(row["amount"] for row in bridge[:-1]) == bridge[-1]["amount"]
    assert all(f"{row['amount']:,} {summary.currency}" in text for row in bridge)
    lanes = {row["lane"]: row["customers"] for row in tables["lanes"] if row["as_of"] == now}
    assert {name: n for name, n in summary.lanes if n} == {name: n for name, n in lanes.items() if n}
    assert lanes == pd.Series([a["lane"] for a in tables["assignments"] if a["lane"]]).value_counts().to_dict()


def test_the_workbook_agrees_with_the_tables_too_the_bridge_included(shop):
    tables = {name: pq.read_table(folder_of(shop[0] / "out") / name).to_pylist() for name in TABLES}
    book = Read(page_of(shop).with_name("segments.xlsx").read_bytes()).tables
    rows = {row["Id"]: (row["Customers"], row["Revenue (EUR)"]) for row in book["segments"]}
    assert rows == {row["segment_id"]: (row["customers"], float(row["revenue"])) for row in tables["segments"]}
    now = max(row["as_of"] for row in tables["bridge"])
    bridge = sorted((r for r in tables["bridge"] if r["as_of"] == now), key=lambda r: r["step"])
    assert [row["Amount (EUR)"] for row in book["revenue_bridge"]] == [float(row["amount"]) for row in bridge]
    assert len(book["history"]) == len(tables["segment_kpis"])
    figures = {row["Figure"]: row["Value"] for row in book["key_figures"]}
    assert figures["Customers"] == len(tables["assignments"])
    assert figures["Revenue of the segments (EUR)"] == float(bridge[-1]["amount"])
    shown = {row["kpi"]: row["value"] for row in tables["expected_kpis"] if row["segment_key"] == 0}  # Power BI's
    for name, wanted in (("Customers", figures["Customers in a segment"]), ("Bridge Amount", bridge[-1]["amount"]),
                         ("Amount in Segments", bridge[-1]["amount"]), ("Bridge Difference", 0),
                         ("Rows Read", figures["Rows read"])):  # fmt: skip
        assert shown[name] == pytest.approx(float(wanted), abs=0.001)
    (step,) = [step for step in shop[1].next_steps if step.what == "in Excel"]
    assert step.how.endswith(f"reports/{shop[1].run_id}/segments.xlsx")


def test_drawn_again_page_and_workbook_are_the_same(shop, spark):
    files = (page_of(shop), page_of(shop).with_name("segments.xlsx"))
    before = [file.read_bytes() for file in files]
    again = runs.draw_report(shop[0] / "shop.yaml", spark=spark)
    assert [file.read_bytes() for file in files] == before
    assert again.segments == shop[1].segments
    assert again.bridge == shop[1].bridge


@pytest.mark.skipif(chromium() is None, reason="there is no Chromium on PATH (Debian: apt install chromium)")
def test_the_calculator_agrees_with_what_was_published_on_200_customers(shop, tmp_path):
    folder = shop[0] / "out"
    rows = pq.read_table(folder_of(folder) / "assignments").to_pandas()
    rows = rows[rows["segment_key"].notna() & (rows["assigned_by"] == "nearest")].head(200)
    model = json.loads((folder / "models" / "v0001" / "model.json").read_text())
    names = [item["name"] for item in model["preparation"]["inputs"]]
    kinds = [item["kind"] for item in model["preparation"]["inputs"]]
    typed = [[as_typed(row[name], kind) for name, kind in zip(names, kinds, strict=True)] for _, row in rows.iterrows()]
    with open_page(str(chromium()), tmp_path) as page:
        page.show(page_of(shop))
        answers = fill_calculator(page, typed)
        ids = page.evaluate("JSON.parse(document.getElementById('model-numbers').textContent).segments.map(s => s.id)")
    assert len(rows) == 200
    assert [ids[int(answer[0])] for answer in answers] == [f"S-{int(key):03d}" for key in rows["segment_key"]]
    assert [answer[1] for answer in answers] == pytest.approx(rows["distance"].tolist(), rel=1e-9)


def as_typed(value: Any, kind: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(float(value)) if kind == "numeric" else f"={value}"


def test_a_delta_output_is_drawn_from_its_files_or_through_spark_alike(spark, tmp_path):
    shops.write_parquet(shops.lines(customers=100), tmp_path / "lines")
    summary = runs.run(shops.write_config(tmp_path, output_format="delta"), spark=spark)
    assert (tmp_path / "out" / "reports" / summary.run_id / "index.html").is_file()
    store, gold = store_for(str(tmp_path / "out")), tmp_path / "out" / "gold"
    published = current(load(tmp_path / "shop.yaml").output, spark)
    tables = small_tables(store, spark, published, READ)
    assert {"segments", "bridge", "runs"} <= set(tables)
    for name, table in tables.items():
        through_spark = collected(spark.read.format("delta").load(str(gold / name)))
        assert sorted(map(str, through_spark.to_pylist())) == sorted(map(str, table.to_pylist())), name


def test_customers_without_orders_have_a_report_without_a_bridge(spark, tmp_path):
    random = np.random.default_rng(5)
    ages = np.concatenate([random.normal(m, 2, 80) for m in (25, 45, 70)])
    pd.DataFrame({"id": range(240), "age": ages, "income": ages * 100}).to_parquet(tmp_path / "people.parquet")
    (tmp_path / "people.yaml").write_text(
        "name: people\nkind: customers\nas_of: 2024-01-01\n"
        "tables: {customers: {path: people.parquet, columns: {customer_id: id}, attributes: [age, income]}}\n"
        "features: {include: [attributes]}\nsegments: {k: [2, 4]}\noutput: {path: out}\n"
    )
    summary = runs.run(tmp_path / "people.yaml", spark=spark)
    text = (tmp_path / "out" / "reports" / summary.run_id / "index.html").read_text()
    assert 'id="map"' in text and 'id="calculator"' in text
    assert 'id="bridge"' not in text and "Revenue bridge and lanes (no rows in bridge)" in text


def test_nothing_published_is_told(spark, tmp_path):
    shops.write_parquet(shops.lines(customers=20), tmp_path / "lines")
    with pytest.raises(PublicationError, match="Nothing is published"):
        runs.draw_report(shops.write_config(tmp_path), spark=spark)


def questions() -> list[tuple[str, str, str]]:
    """Title, DuckDB's SQL and Spark's of every question of docs/queries.md."""
    found = []
    for part in re.split(r"^## ", DOCS.read_text(), flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"^```sql\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
        spark_own = [block for block in blocks if block.startswith("-- Spark SQL\n")]
        (duck,) = [block for block in blocks if block not in spark_own]
        found.append((part.splitlines()[0], duck, spark_own[0] if spark_own else duck))
        assert len(re.findall(r"^```dax\n", part, re.MULTILINE)) == 1
    return found


def test_there_are_ten_questions():
    assert len(questions()) == 10


@pytest.mark.parametrize(("title", "duck", "spark_sql"), questions(), ids=[title for title, _, _ in questions()])
def test_duckdb_and_spark_answer_alike(shop, spark, title, duck, spark_sql):
    folder = folder_of(shop[0] / "out")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in TABLES:
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{folder}/{table}/*.parquet')")
            spark.read.parquet(f"file://{folder}/{table}").createOrReplaceTempView(table)
        answered = connection.execute(duck)
        columns = [column[0] for column in answered.description]
        expected = [plain(row) for row in answered.fetchall()]
    result = spark.sql(spark_sql)
    assert result.columns == columns
    assert [plain(tuple(row)) for row in result.collect()] == expected
    assert expected, title


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values without what the two engines only dress differently: zones of times, widths of decimals."""
    made: list[Any] = []
    for value in row:
        if isinstance(value, dt.datetime):
            value = value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
        made.append(Decimal(value).normalize() if isinstance(value, Decimal) else value)
    return tuple(made)
