"""All contestants of the benchmarks build the same features; those that use scikit-learn are run to the end."""

from __future__ import annotations

import datetime as dt
import json
import subprocess

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import contest, quality
from benchmarks.contestants.task import FEATURES, Task
from segengine.demo.shop import Shop

ALONE = ["pandas_sklearn", "polars_sklearn", "duckdb_sklearn"]

MIDNIGHT_OF_LAST, MIDNIGHT_OF_PREVIOUS = dt.datetime(2023, 10, 3), dt.datetime(2023, 7, 5)

LINES = [
    # customer, order, time, product, quantity, amount
    ("once", "1", dt.datetime(2023, 5, 1, 12), "tea", 2, 9.5),
    ("a day", "1", dt.datetime(2023, 5, 1, 9), "tea", 1, 4.0),  # the id of another customer's order
    ("a day", "2", dt.datetime(2023, 5, 1, 23, 59), "tea", 1, 4.0),
    ("two days", "3", dt.datetime(2023, 1, 31, 8), "tea", 1, 1.0),
    ("two days", "4", dt.datetime(2023, 2, 10, 8), None, 3, 2.0),
    ("borders", "5", MIDNIGHT_OF_LAST, "tea", 1, 30.0),
    ("borders", "6", MIDNIGHT_OF_LAST - dt.timedelta(seconds=1), "tea", 1, 7.0),
    ("borders", "7", MIDNIGHT_OF_PREVIOUS, "rice", 1, 3.0),
    ("borders", "8", MIDNIGHT_OF_PREVIOUS - dt.timedelta(seconds=1), "tea", 1, 100.0),
    ("borders", "5", MIDNIGHT_OF_LAST, "tea", 2, 60.0),
    ("borders", "5", MIDNIGHT_OF_LAST, "rice", 4, 10.0),
    ("borders", "5", MIDNIGHT_OF_LAST, None, 4, 0.1),
]
"""Lines of an order have the same time, as the tutorial takes for granted."""


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """LINES and a small shop, an order's lines spread over two files."""
    folder = tmp_path_factory.mktemp("bench") / "lines"
    folder.mkdir()
    names = ("customer_id", "order_id", "ordered_at", "product", "quantity", "amount")
    by_hand = pd.DataFrame(LINES, columns=list(names))
    shop = Shop(customers=150, seed=3).tables().lines[list(names)]
    table = pa.Table.from_pandas(pd.concat([by_hand, shop], ignore_index=True), preserve_index=False)
    table = table.set_column(2, "ordered_at", table["ordered_at"].cast(pa.timestamp("us")))
    half = len(LINES) - 2
    pq.write_table(table.slice(0, half), folder / "a.parquet")
    pq.write_table(table.slice(half), folder / "b.parquet")
    return folder


def start(contestant, lines, out, *options):
    """As the contest starts it, in a process of its own."""
    if contestant.startswith("polars") and not (contest.PACKAGES / "polars").is_dir():
        pytest.skip("polars is not installed here; `make bench-setup` installs it")
    words = contest.command(contestant, lines, out, *options)
    answer = subprocess.run(words, env=contest.environment(), capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr[-3000:]
    return out


def by_customer(customers):
    return customers.set_index("customer_id").sort_index()[list(FEATURES)].astype(float)


@pytest.fixture(scope="module")
def ours(spark, lines, tmp_path_factory):
    """segengine's own features of the lines, with the configuration of the contest."""
    from benchmarks.contestants.segengine_run import config
    from segengine import contract, features, io
    from segengine.config import load

    folder = tmp_path_factory.mktemp("segengine")
    file = folder / "bench.yaml"
    file.write_text(config(Task(lines, folder, (2, 10))), encoding="utf-8")
    loaded, now = load(file), dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", loaded.timezone)
    try:
        source = io.read_table(spark, loaded.tables.transactions, "transactions", loaded)
        checked = contract.check_transactions(source, loaded, now=now, run_id="bench", quarantine=str(folder / "bad"))
        rows = features.customer_rows(checked, None, features.choose(loaded, checked.mapped, None), loaded).rows
        return by_customer(rows.toPandas())
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)


def assert_same(found, ours):
    assert list(found.columns) == list(FEATURES)
    pd.testing.assert_frame_equal(found, ours, check_exact=False, rtol=1e-9, atol=1e-9, check_names=False)


def test_segengine_builds_the_features_of_the_task(ours):
    borders = dict(zip(FEATURES, ours.loc["borders"], strict=True))
    assert borders["frequency_orders"] == 4
    assert borders["products_per_order"] == (2 + 1 + 1 + 1) / 4
    assert borders["monetary_trend_90d"] == pytest.approx((100.1 - 10) / (100.1 + 10), rel=1e-12)
    assert borders["orders_trend_90d"] == pytest.approx((1 - 2) / (1 + 2), rel=1e-12)
    assert np.isnan(ours.loc["a day", "days_between_orders_mean"])
    assert ours.loc["two days", "days_between_orders_mean"] == 10
    assert len(ours.columns) == len(FEATURES)


@pytest.mark.parametrize("contestant", ALONE)
def test_a_contestant_builds_the_features_that_segengine_builds(contestant, lines, ours, tmp_path):
    out = start(contestant, lines, tmp_path, "--features-only")
    assert_same(by_customer(pd.read_parquet(out / "customers.parquet")), ours)


@pytest.mark.parametrize("contestant", ["tutorial_spark", "corrected_spark"])
def test_a_spark_contestant_builds_the_features_that_segengine_builds(contestant, spark, lines, ours):
    import importlib

    module = importlib.import_module(f"benchmarks.contestants.{contestant}")
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    try:
        assert_same(by_customer(module.features(spark.read.parquet(str(lines))).toPandas()), ours)
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)


@pytest.mark.parametrize("contestant", ALONE)
def test_a_contestant_gives_every_customer_a_segment_and_an_account(contestant, lines, tmp_path):
    out = start(contestant, lines, tmp_path, "--k", "2", "4")
    rows, account = quality.segmented(out), json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert account["customers"] == rows.num_rows == 154
    assert rows["customer_id"].type == pa.string()
    assert account["k"] in (2, 3, 4)
    assert set(rows["segment"].to_pylist()) == set(range(account["k"]))
    assert sorted(account["inertia"]) == ["2", "3", "4"]
    assert sum(account["shares"].values()) == pytest.approx(1, abs=1e-5)
    assert set(account["seconds"]) == {"features", "prepare", "sweep", "fit", "write"}
