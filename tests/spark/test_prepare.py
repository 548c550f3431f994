"""The preparation as a pipeline of stock stages: it calculates what numpy does, and nothing can break it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from segengine.errors import FeatureError, ModelError
from segengine.features.prepare import Prepare
from segengine.features.prepare_fit import InputColumn, Options
from segengine.features.prepare_numbers import prepare
from segengine.features.prepare_sample import _likely, hash_sample
from segengine.features.prepare_stages import double_literal, point_sql, stages, text_literal
from tests.spark.model_customers import as_rows, shop

OPTIONS = Options((0.01, 0.99), "auto", "standard", {"rfm": 1.0, "others": 0.5})
COLUMNS = (
    InputColumn("recency_days", "rfm", "numeric"),
    InputColumn("monetary_total", "rfm", "numeric"),
    InputColumn("days_between_orders", "rhythm", "numeric"),
    InputColumn("plan", "attributes", "categorical"),
)


def points_of(pipeline, rows) -> np.ndarray:
    prepared = pipeline.transform(rows).orderBy("customer_id").select(vector_to_array(F.col("features")).alias("x"))
    return np.array([row["x"] for row in prepared.collect()])


def test_the_pipeline_calculates_what_numpy_does(spark):
    rows = as_rows(spark, shop())
    estimator = Prepare(inputs=COLUMNS, options=OPTIONS)
    sample = hash_sample(rows, COLUMNS)
    by_numpy = prepare(estimator.learn(sample.columns), sample.columns)[np.argsort(sample.ids)]
    assert points_of(estimator.fit(rows), rows) == pytest.approx(by_numpy, abs=1e-12)


def test_points_in_plain_sql_are_those_of_the_pipeline_to_the_bit(spark):
    frame = shop()
    frame.loc[:30, "days_between_orders"] = np.nan
    odd = [float("inf"), float("nan"), 1e308, -1e308, 5e-324, -0.0]
    frame.loc[40 : 39 + len(odd), "monetary_total"] = odd
    frame.loc[50, "plan"] = "never seen"
    rows = as_rows(spark, frame)
    for log in ("auto", "always", "never"):
        options = Options(OPTIONS.cap, log, OPTIONS.scale, OPTIONS.weights)
        preparation = Prepare(inputs=COLUMNS, options=options).learn(hash_sample(rows, COLUMNS).columns)
        cleaned, point = point_sql(preparation)
        by_sql = rows.selectExpr("*", *cleaned).selectExpr("customer_id", f"{point} AS x").orderBy("customer_id")
        assert np.array_equal(
            np.array([row["x"] for row in by_sql.collect()]), points_of(PipelineModel(stages(preparation)), rows)
        )


def test_no_null_nan_infinity_or_unseen_level_gets_into_the_vector(spark):
    pipeline = Prepare(inputs=COLUMNS, options=OPTIONS).fit(as_rows(spark, shop()))
    odd = [None, float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 5e-324, -0.0]
    texts = [None, "", "never seen", "NaN", "'; --", "\\'", "\U0001f600", "basic"]
    table = [(str(i), x, x, x, text) for i, (x, text) in enumerate(zip(odd, texts, strict=True))]
    schema = "customer_id string, recency_days double, monetary_total double, days_between_orders double, plan string"
    points = points_of(pipeline, spark.createDataFrame(table, schema))
    assert points.shape[0] == len(table)
    assert np.isfinite(points).all()


def test_column_names_may_hold_anything(spark):
    names = ["with space", "a.b", "tick`tick", "quote'\"", "Ünïcode", "select", "--", "50%"]
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(40, len(names))), columns=names)
    rows = spark.createDataFrame(frame).withColumn("customer_id", F.monotonically_increasing_id().cast("string"))
    estimator = Prepare(inputs=[InputColumn(name, "rfm", "numeric") for name in names], options=OPTIONS)
    assert points_of(estimator.fit(rows), rows).shape == (40, len(names))


def test_levels_may_hold_anything(spark):
    levels = ["plain", "it's", 'dou"ble', "back\\slash", "ünï \U0001f600", "new\nline", "", "%s {} $x", "__THIS__"]
    rows = spark.createDataFrame(
        [(f"{level}{i}", level) for level in levels for i in range(3)], "customer_id string, plan string"
    )
    pipeline = Prepare(inputs=[InputColumn("plan", "attributes", "categorical")], options=OPTIONS).fit(rows)
    assert len(np.unique(points_of(pipeline, rows), axis=0)) == len(levels)


def test_literals_come_back_exactly(spark):
    random = np.random.default_rng(0)
    numbers = [0.1, 1 / 3, 1e-300, 5e-324, 1.7976931348623157e308, 123456789.123456789, *random.normal(size=50) ** 9]
    numbers += [-number for number in numbers]
    texts = ["", "it's", "\\", "ünï\U0001f600"]
    expressions = [double_literal(number) for number in numbers] + [text_literal(text) for text in texts]
    row = spark.range(1).selectExpr(*[f"{e} AS c{i}" for i, e in enumerate(expressions)]).first()
    assert list(row) == [*numbers, *texts]


def test_the_layout_of_the_rows_does_not_reach_the_preparation(spark):
    frame = shop(400)
    estimator = Prepare(inputs=COLUMNS, options=OPTIONS)
    learnt = [
        estimator.learn(hash_sample(as_rows(spark, frame.sample(frac=1, random_state=n), n), COLUMNS, 150).columns)
        for n in (1, 4, 16)
    ]
    assert learnt[0] == learnt[1] == learnt[2]


def test_the_sample_is_the_smallest_hashes_and_knows_how_many_there_are(spark):
    rows = as_rows(spark, shop(100))
    sample = hash_sample(rows, COLUMNS, 30)
    hashes = sorted(
        (row["h"], row["customer_id"])
        for row in rows.select("customer_id", F.xxhash64("customer_id").alias("h")).collect()
    )
    assert sample.ids.tolist() == [customer for _, customer in hashes[:30]]
    assert (sample.customers, sample.is_everybody) == (100, False)
    assert hash_sample(rows, COLUMNS, 100).is_everybody


@pytest.mark.parametrize("likely", [-(2**63), None])
def test_the_sample_is_the_same_when_hashes_are_not_as_even_as_they_should_be(spark, monkeypatch, likely):
    rows = as_rows(spark, shop(900))
    wanted = hash_sample(rows, COLUMNS, 300)
    monkeypatch.setattr("segengine.features.prepare_sample._likely", lambda limit, customers: likely)
    assert hash_sample(rows, COLUMNS, 300).frame.equals(wanted.frame)


def test_the_sample_takes_no_more_of_the_customers_to_the_driver_than_it_needs():
    assert _likely(200_000, 200_000) is None
    share = (_likely(200_000, 50_000_000) + 2**63) / 2**64
    assert 200_000 < share * 50_000_000 < 204_000


def test_only_stages_of_spark_itself_are_in_the_pipeline(spark):
    pipeline = Prepare(inputs=COLUMNS, options=OPTIONS).fit(as_rows(spark, shop(50)))
    assert {type(stage).__module__ for stage in pipeline.stages} == {"pyspark.ml.feature"}


def test_columns_that_cannot_be_prepared_are_named(spark):
    empty = as_rows(spark, shop(20).assign(days_between_orders=np.nan))
    with pytest.raises(FeatureError, match="days_between_orders"):
        Prepare(inputs=COLUMNS, options=OPTIONS).fit(empty)
    with pytest.raises(FeatureError, match="prediction"):
        Prepare(inputs=[InputColumn("prediction", "rfm", "numeric")], options=OPTIONS).learn(
            {"prediction": np.arange(3.0)}
        )
    with pytest.raises(ModelError, match="no customers"):
        Prepare(inputs=COLUMNS, options=OPTIONS).fit(as_rows(spark, shop(20)).where("false"))
