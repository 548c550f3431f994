"""Lifetime values against what was published on CDNOW, and against the paper's own integral."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from segengine.errors import FeatureError
from segengine.features import clv
from tests.spark.features_oracle import paper

CDNOW = pd.read_csv(Path(__file__).parents[1] / "data" / "cdnow_sample.csv")
INPUTS = tuple(CDNOW[name].to_numpy(dtype=float) for name in CDNOW.columns)


@pytest.fixture(scope="module")
def fitted() -> clv.Fitted:
    return clv.fit(*INPUTS)


def test_the_published_parameters_of_cdnow_are_found(fitted):
    p = fitted.purchases
    assert (round(p.r, 3), round(p.alpha, 3), round(p.a, 3), round(p.b, 3)) == (0.243, 4.414, 0.793, 2.426)
    v = fitted.value
    assert (round(v.p, 2), round(v.q, 2), round(v.v, 2)) == (6.25, 3.74, 15.45)
    assert (fitted.customers, fitted.repeaters) == (2357, 946)


def test_the_unit_of_time_and_of_money_changes_nothing_but_the_scale(fitted):
    x, recency, age, money = INPUTS
    in_days = clv.fit(x, recency * 7, age * 7, money * 100)
    assert in_days.purchases.alpha == pytest.approx(7 * fitted.purchases.alpha, rel=1e-6)
    assert in_days.purchases.r == pytest.approx(fitted.purchases.r, rel=1e-6)
    assert in_days.value.v == pytest.approx(100 * fitted.value.v, rel=1e-6)


def test_columns_give_what_the_paper_says(spark, fitted):
    rows = spark.createDataFrame(CDNOW.head(300))
    x, recency, age = F.col("repeats").cast("double"), F.col("recency_weeks"), F.col("age_weeks")
    found = rows.select(
        x.alias("x"),
        recency.alias("t_x"),
        age.alias("t"),
        clv.probability_active(fitted.purchases, x, recency, age).alias("active"),
        clv.expected_transactions(fitted.purchases, x, recency, age, 39.0).alias("soon"),
        clv.expected_transactions(fitted.purchases, x, recency, age, 400.0).alias("late"),
    ).toPandas()
    for ahead, column in ((39.0, "soon"), (400.0, "late")):
        expected = [paper(fitted.purchases, row.x, row.t_x, row.t, ahead) for row in found.itertuples()]
        assert np.allclose(found[column], expected, rtol=1e-9, atol=0)
    assert (found.loc[found["x"] == 0, "active"] == 1).all() and found["active"].between(0, 1).all()


def test_the_known_customer_of_the_literature(spark, fitted):
    # The worked example of Hardie's note on BG/NBD in Excel: x = 2, t_x = 30.43, T = 38.86, the next 39 weeks.
    one = (
        spark.range(1)
        .select(
            clv.expected_transactions(fitted.purchases, F.lit(2.0), F.lit(30.43), F.lit(38.86), 39.0).alias("orders"),
            clv.expected_value(fitted.value, F.lit(2.0), F.lit(2 * 22.35)).alias("value"),
        )
        .first()
    )
    assert one["orders"] == pytest.approx(1.226, abs=5e-4)
    assert one["value"] == pytest.approx(24.66, abs=5e-3)


def test_too_few_customers_who_came_back_are_refused():
    x = np.zeros(1_000)
    with pytest.raises(FeatureError, match="too few customers came back"):
        clv.fit(x, x, x + 30, x)


def test_the_parameters_survive_as_text(fitted):
    assert clv.Fitted.from_json(fitted.to_json()) == fitted
