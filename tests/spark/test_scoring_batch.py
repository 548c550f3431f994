"""Scoring agrees with the saved pipeline, keeps every row and column, and is stopped by nothing."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import sysconfig
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark import cloudpickle
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from segengine.model.blocks import packing
from segengine.model.lloyd import pass_kernel
from segengine.scoring.batch import SCORE_COLUMNS, score, score_kernel
from tests.models import train
from tests.spark.model_customers import as_rows, chosen, config, shop


@pytest.fixture(scope="module")
def rows(spark):
    return as_rows(spark, shop()).persist()


@pytest.fixture(scope="module")
def model(spark, rows):
    return train(rows, chosen(), config(k=4), seed=7)


def by_id(scored) -> dict[str, dict[str, Any]]:
    return {row["customer_id"]: row.asDict() for row in scored.collect()}


def test_scores_agree_with_the_pipeline_and_with_numpy_for_every_customer(rows, model):
    scored = by_id(score(rows, model))
    prepared = model.pipeline.transform(rows).select(
        "customer_id", "prediction", vector_to_array(F.col("features")).alias("x")
    )
    for row in prepared.collect():
        distances = np.linalg.norm(np.array(row["x"]) - model.centres, axis=1)
        nearest, second = np.argsort(distances)[:2]
        got = scored[row["customer_id"]]
        assert got["segment_index"] == row["prediction"] == nearest
        assert got["runner_up_index"] == second
        assert got["distance"] == pytest.approx(distances[nearest])
        assert got["margin"] == pytest.approx((distances[second] - distances[nearest]) / distances[second])
        assert got["is_outlier"] == (distances[nearest] > model.outlier_limits[nearest])
        assert got["assigned_by"] == "nearest"
    assert len(scored) == 600


def test_a_customer_far_from_everybody_is_an_outlier(spark, rows, model):
    uncapped = train(
        rows, chosen(), config(k=4, prepare=config().prepare.model_copy(update={"cap": None, "log": "never"})), seed=7
    )
    far = as_rows(spark, shop(1).assign(monetary_total=1e7, recency_days=9e5))
    assert score(far, uncapped).first()["is_outlier"] is True
    assert score(rows, uncapped).where("is_outlier").count() < 30


def test_nulls_nan_infinities_and_unseen_levels_all_get_a_segment(spark, model):
    odd = [None, float("nan"), float("inf"), float("-inf"), 1e308, -5e-324]
    table: list[tuple[object, ...]] = [
        (f"{i}{j}", x, y, x, y, None) for i, x in enumerate(odd) for j, y in enumerate(odd)
    ]
    table += [(f"text{i}", 1.0, 2.0, 3.0, 4.0, text) for i, text in enumerate(["", "unseen", "\\'`", "\U0001f600"])]
    schema = (
        "customer_id string, recency_days double, frequency_orders double, monetary_total double, "
        "days_between_orders double, plan string"
    )
    scored = by_id(score(spark.createDataFrame(table, schema), model))
    assert len(scored) == len(table)
    for got in scored.values():
        assert got["segment_index"] in range(4)
        assert np.isfinite(got["distance"])
        assert 0 <= got["margin"] <= 1


def test_customers_in_a_lane_stay_and_get_no_segment(spark, model):
    frame = shop(10)
    frame["lane"] = [None, "too_new"] * 5
    scored = by_id(score(as_rows(spark, frame), model))
    for row in frame.itertuples():
        got = scored[str(row.customer_id)]
        assert all((got[name] is None) == (row.lane is not None) for name, _ in SCORE_COLUMNS)


def test_a_table_of_lanes_only_or_without_rows_is_no_error(spark, model):
    lanes = as_rows(spark, shop(5).assign(lane="opted_out"))
    assert score(lanes, model).where("segment_index is null").count() == 5
    assert score(lanes.where("false"), model).count() == 0


def test_columns_of_every_type_come_through_unchanged(spark, rows, model):
    moment = dt.datetime(1899, 12, 31, 23, 59, 59, 999999)
    rich = (
        rows.limit(20)
        .select(
            "*",
            F.lit(moment).alias("first_ordered_at"),
            F.lit(dt.date(2024, 2, 29)).alias("day"),
            F.lit(Decimal("12345678901234567.8901")).cast("decimal(38,4)").alias("money"),
            F.lit(True).alias("is_known"),
            F.lit(2**62).alias("large"),
            F.array(F.lit("a"), F.lit(None).cast("string")).alias("tags"),
            F.lit(None).cast("timestamp").alias("never"),
        )
        .persist()
    )
    scored = score(rich, model).drop(*(name for name, _ in SCORE_COLUMNS))
    assert [(f.name, f.dataType) for f in scored.schema] == [(f.name, f.dataType) for f in rich.schema]
    assert scored.exceptAll(rich).count() == 0
    assert rich.exceptAll(scored).count() == 0


def test_columns_called_like_the_pipelines_own_do_no_harm(spark, rows, model):
    clashing = rows.withColumns({"prediction": F.lit("mine"), "features": F.lit(1), "distance": F.lit(-1.0)})
    got = score(clashing, model).first()
    assert (got["prediction"], got["features"]) == ("mine", 1)
    assert got["distance"] >= 0


def test_scoring_twice_is_scoring_once(rows, model):
    once = score(rows, model)
    assert by_id(score(once, model)) == by_id(once)


WITHOUT_THE_PACKAGE = """
import importlib.util, sys
assert importlib.util.find_spec("segengine") is None
import pyarrow as pa
from pyspark import cloudpickle
kernel = cloudpickle.loads(open(sys.argv[1], "rb").read())
batches = list(pa.ipc.open_stream(open(sys.argv[2], "rb")))
print("RESULT", pa.Table.from_batches(kernel(iter(batches))).to_pylist())
"""


def run_elsewhere(kernel, batch, folder) -> str:
    (folder / "kernel").write_bytes(cloudpickle.dumps(kernel))
    with pa.OSFile(str(folder / "batch"), "wb") as sink, pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    # -S: no .pth file is followed, so that the package installed in place is not found; the others are.
    command = [sys.executable, "-S", "-P", "-c", WITHOUT_THE_PACKAGE, str(folder / "kernel"), str(folder / "batch")]
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_runs_on_executors_needs_no_segengine_there(tmp_path):
    points = pa.array([[0.0, 1.0], [9.0, 9.0]], pa.list_(pa.float64()))
    centres = np.array([[0.0, 0.0], [10.0, 10.0]])
    rows = [points, pa.array([5.0, 7.0]), pa.array([0, 1], pa.int32())]
    (one_pass,) = packing()([pa.RecordBatch.from_arrays(rows, names=["x", "revenue", "draw"])])
    totals = run_elsewhere(pass_kernel([centres]), one_pass, tmp_path)
    assert totals == "RESULT [{'partition': 0, 'totals': [1.0, 1.0, 5.0, 7.0, 3.0, 0.0, 1.0, 9.0, 9.0]}]"
    to_score = pa.RecordBatch.from_arrays(
        [pa.array(["a", "b"]), points, pa.array([0, 1], pa.int32())], names=["id", "x", "n"]
    )
    scored = run_elsewhere(score_kernel(centres, np.array([0.5, 9.0])), to_score, tmp_path)
    assert "'id': 'a', 'segment_index': 0, 'distance': 1.0" in scored
    assert "'runner_up_index': 1, 'is_outlier': True" in scored


def test_exactly_on_the_border_the_margin_is_zero_and_on_the_centre_one():
    points = pa.array([[1.0], [0.0], None], pa.list_(pa.float64()))
    batch = pa.RecordBatch.from_arrays([points, pa.array([0, 0, None], pa.int32())], names=["x", "n"])
    (scored,) = score_kernel(np.array([[0.0], [2.0]]), np.array([9.0, 9.0]))([batch])
    assert scored.column("margin").to_pylist() == [0.0, 1.0, None]
