"""Looking back: customers as they were, nothing of what came after, and what they did next as pandas counts it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from segengine import runs
from segengine.job import open_job
from segengine.runs.ahead import Past, looking_back
from segengine.runs.customers import Customers, asked_features, customer_rows
from segengine.runs.tables import read_and_check
from tests import shops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BACK = pd.Timestamp("2023-10-03")
"""90 days before the shop's as_of."""


@contextmanager
def looking(config: Path, spark: SparkSession, as_of: str | None = None) -> Iterator[tuple[Past | str, Customers]]:
    with open_job("train", config, steps=4, spark=spark, as_of=as_of, now=None, listener=None) as job:
        found = read_and_check(job)
        with customer_rows(job, found, asked_features(job, found)) as people, looking_back(job, found, people) as past:
            yield past, people


@pytest.mark.parametrize("history", ["all", "6 months"])
def test_customers_are_as_a_run_of_that_day_would_have_found_them(
    spark: SparkSession, tmp_path: Path, history: str
) -> None:
    frame = shops.lines(customers=320)
    shops.write_parquet(frame, tmp_path / "lines")
    config = shops.write_config(tmp_path)
    config.write_text(config.read_text().replace("history: all", f"history: {history}"))
    with looking(config, spark) as (past, people):
        assert isinstance(past, Past)
        assert (past.why_not(1), past.before(1)) == (None, BACK.tz_localize("UTC"))
        then = past.then(1, people.chosen)
    with looking(config, spark, as_of="2023-10-03") as (_, people):
        names = ["customer_id", *(feature.name for feature in people.chosen.features)]
        expected = people.rows.where("lane is null").select(*names).toPandas()
    found = then.sample.frame[names].sort_values("customer_id", ignore_index=True)
    pd.testing.assert_frame_equal(found, expected.sort_values("customer_id", ignore_index=True), check_dtype=False)

    after = frame[frame["sold at"] >= BACK].groupby("client")
    told = {one.name: pd.Series(one.values, then.sample.ids) for one in then.behaviours}
    revenue = after["price"].apply(lambda prices: (prices * 100).round().sum()).reindex(then.sample.ids).fillna(0)
    np.testing.assert_allclose(told["revenue"] / 100, revenue)
    late = frame[frame["sold at"] >= BACK + pd.Timedelta(days=45)].groupby("client").size()
    assert (told["active_later"] == (late.reindex(then.sample.ids).fillna(0) > 0)).all()
    orders = after["ticket"].nunique().reindex(then.sample.ids)
    average = np.log(revenue * 100 / orders)
    np.testing.assert_allclose(told["log_order_value"].dropna(), average[orders > 0])
    varieties = np.log(after["aisle"].nunique().reindex(then.sample.ids))
    np.testing.assert_allclose(told["log_variety"].dropna(), varieties[orders > 0])


def test_a_model_tells_what_it_predicts_and_what_was_weighed(spark: SparkSession, tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(customers=240), tmp_path / "lines")
    config = shops.write_config(tmp_path, extra="prepare: {weights: auto}\n")
    summary = runs.run(config, spark=spark)
    gate = next(gate for gate in summary.gates if gate.gate == "next_period")
    assert gate.verdict in ("passed", "warned")
    folder = tmp_path / "out" / "models" / "v0001"
    card = json.loads((folder / "model_card.json").read_text())
    assert {one["method"] for one in card["prediction"]["separations"]} == {"segments", "rfm_grid", "raw_rfm_kmeans"}
    assert card["weights"]["picked"].startswith("automatically, as of 2023-07-05")
    assert card["weights"]["weights"]["rfm"] == 1.0
    assert len(card["weights"]["trials"]) > 3
    assert "| log\\_revenue |" in (folder / "model_card.md").read_text()
    current = json.loads((tmp_path / "out" / "gold" / "current.json").read_text())
    table = pd.read_parquet(tmp_path / "out" / "gold" / current["folder"] / "prediction")
    assert set(table["behaviour"]) == {"log_revenue", "active_later", "log_order_value", "log_variety", "revenue"}
    again = runs.run(config, spark=spark)
    assert not again.trained


def test_a_short_history_and_few_customers_are_told_and_no_error(spark: SparkSession, tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(customers=210, days=150), tmp_path / "lines")
    with looking(shops.write_config(tmp_path), spark) as (past, _):
        assert isinstance(past, Past)
        assert "days of orders, and 180 are needed" in str(past.why_not(1))
    shops.write_parquet(shops.lines(customers=60), tmp_path / "few")
    with looking(shops.write_config(tmp_path, path="few"), spark) as (past, _):
        assert past == "there are 60 customers, and 200 are needed"
