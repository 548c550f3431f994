"""Training: the same segments however the customers arrive, as good as scikit-learn's, in a stock pipeline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no stubs

from segengine.config import Prepare
from segengine.errors import ModelError
from segengine.features.prepare_numbers import Preparation
from segengine.model import blocks, pipeline
from segengine.model.fit import contest, lay_out
from segengine.model.lloyd import run
from segengine.model.pipeline import kmeans_model
from segengine.model.sweep import carry
from segengine.model.train import outlier_limits
from segengine.scoring import batch
from segengine.scoring.labelled import labelled, learnt_from
from tests.models import train
from tests.spark.model_customers import as_rows, chosen, config, shop


def labels_by_id(model, rows) -> dict[str, int]:
    predicted = model.pipeline.transform(rows).select("customer_id", "prediction").collect()
    return {row["customer_id"]: row["prediction"] for row in predicted}


@pytest.fixture(scope="module")
def rows(spark):
    return as_rows(spark, shop()).persist()


@pytest.fixture(scope="module")
def model(spark, rows):
    return train(rows, chosen(), config(k=(3, 6)), seed=7)


def test_segments_come_in_the_order_of_their_revenue(model, rows):
    predicted = (
        model.pipeline.transform(rows)
        .groupBy("prediction")
        .agg(F.sum("revenue_e4").alias("revenue"), F.count("*").alias("customers"))
    )
    by_segment = sorted(predicted.collect(), key=lambda row: row["prediction"])
    revenue = [row["revenue"] for row in by_segment]
    assert revenue == sorted(revenue, reverse=True)
    assert tuple(row["customers"] for row in by_segment) == model.sizes
    assert model.names == tuple(f"Segment {i + 1}" for i in range(model.k))


def test_the_sample_on_the_driver_has_the_segments_that_spark_gives_it(spark, model, rows):
    here, there = learnt_from(model), labelled(batch.score(rows, model), model)
    assert here is not None
    assert here.labels.tolist() == there.labels.tolist()
    assert list(here.columns) == list(there.columns)
    for name, values in there.columns.items():
        np.testing.assert_array_equal(here.columns[name], values)


def test_customers_only_models_are_ordered_by_size(spark):
    frame = shop().drop(columns=["revenue_e4"])
    model = train(as_rows(spark, frame), chosen(), config("customers", k=4), seed=7)
    assert list(model.sizes) == sorted(model.sizes, reverse=True)


@pytest.mark.parametrize("partitions", [1, 4, 16])
def test_shuffled_rows_in_any_partitioning_give_the_same_model(spark, model, rows, partitions):
    shuffled = as_rows(spark, shop().sample(frac=1, random_state=partitions), partitions)
    other = train(shuffled, chosen(), config(k=(3, 6)), seed=7)
    assert other.k == model.k
    assert other.centres == pytest.approx(model.centres, abs=1e-9)
    assert labels_by_id(other, rows) == labels_by_id(model, rows)


def test_a_sample_of_some_customers_is_as_independent_of_the_layout(spark):
    frame = shop(900)
    models = [
        train(as_rows(spark, frame.sample(frac=1, random_state=n), n), chosen(), config(k=4), seed=7, sample_limit=300)
        for n in (1, 7)
    ]
    assert models[0].metrics["sampled_customers"] == 300
    assert models[1].centres == pytest.approx(models[0].centres, abs=1e-9)
    assert models[1].sizes == models[0].sizes
    assert sum(models[0].sizes) == 900


def test_renaming_every_customer_moves_nobody(spark, model, rows):
    renamed = shop().assign(customer_id=[f"z{(n * 7919) % 10007}" for n in range(600)])
    other = train(as_rows(spark, renamed, 3), chosen(), config(k=(3, 6)), seed=7)
    assert np.array_equal(other.centres, model.centres)
    assert labels_by_id(other, rows) == labels_by_id(model, rows)


def test_money_in_another_currency_gives_the_same_segments(spark, model, rows):
    dear = shop().assign(
        monetary_total=lambda f: f["monetary_total"] * 130.0, revenue_e4=lambda f: f["revenue_e4"] * 130
    )
    other = train(as_rows(spark, dear), chosen(), config(k=(3, 6)), seed=7)
    assert other.centres == pytest.approx(model.centres, abs=1e-9)
    assert labels_by_id(other, as_rows(spark, dear)) == labels_by_id(model, rows)


def rfm(customers: int) -> pd.DataFrame:
    """log1p and z-scored recency, frequency and monetary value of the shop."""
    frame = shop(customers, seed=5)
    for name in ("recency_days", "frequency_orders", "monetary_total"):
        logged = np.log1p(frame[name])
        frame[name] = (logged - logged.mean()) / logged.std(ddof=1)
    return frame


def test_the_cost_on_rfm_is_that_of_scikit_learn_with_a_hundred_restarts(spark):
    frame = rfm(1500)
    names = ["recency_days", "frequency_orders", "monetary_total"]
    plain = Prepare(cap=None, log="never", scale="none", weights={"rfm": 3.0, "others": 0.0})  # sqrt(3 / 3 columns) = 1
    for k in (4, 7):
        model = train(
            as_rows(spark, frame),
            chosen(**dict.fromkeys(names, "rfm")),
            config(k=k, prepare=plain, min_share=0.0, restarts=10),
            seed=7,
        )
        with threadpool_limits(limits=1):
            oracle = KMeans(k, n_init=100, random_state=0, tol=1e-6).fit(frame[names].to_numpy())
        assert model.metrics["inertia"] <= 1.005 * oracle.inertia_


def test_kinds_of_customers_that_differ_are_found(spark):
    random = np.random.default_rng(0)
    kind = np.arange(400) % 4
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{n}" for n in range(400)],
            "recency_days": random.normal(20 + 60 * (kind % 2), 4),
            "monetary_total": random.lognormal(3 + 3 * (kind // 2), 0.1),
        }
    )
    frame["revenue_e4"] = (frame["monetary_total"] * 10_000).astype("int64")
    rows = as_rows(spark, frame)
    model = train(rows, chosen(recency_days="rfm", monetary_total="rfm"), config(k=(2, 6)), seed=1)
    found = labels_by_id(model, rows)
    assert model.k == 4
    assert adjusted_rand_score(kind, [found[f"c{n}"] for n in range(400)]) == 1.0


def test_every_contestant_is_on_record_with_its_cost(model):
    contestants = model.metrics["contest"]
    assert [contestant["name"] for contestant in contestants] == ["sweep", "spark"]
    assert sorted(contestant["verdict"] for contestant in contestants) == ["lost", "won"]
    cheapest = min(contestant["cost"] for contestant in contestants)
    assert model.metrics["inertia"] <= cheapest * (1 + 1e-6)
    assert all(contestant["cost"] <= contestant["first_cost"] * (1 + 1e-12) for contestant in contestants)


def test_poor_centres_lose_the_contest_to_spark(spark, rows, model):
    points = lay_out(rows, Preparation.from_dict(model.preparation), 600, has_revenue=True).persist()
    k = model.k
    poor = np.vstack(
        [model.centres.mean(axis=0), np.full((k - 1, model.centres.shape[1]), 50.0) + np.arange(k - 1)[:, None]]
    )
    fit = contest(points, poor, seed=7, min_share=0.0, max_share=1.0)
    assert [contestant.verdict for contestant in fit.contestants] == ["lost", "won"]
    assert fit.contestants[0].smallest_share == 0.0  # empty centres stayed where they were
    refused = contest(points, poor, seed=7, min_share=0.9, max_share=1.0)
    assert [contestant.verdict for contestant in refused.contestants] == ["won", "refused"]
    points.unpersist()


def test_a_contestant_that_rests_far_above_the_other_is_carried_no_further(spark, rows, model):
    points = lay_out(rows, Preparation.from_dict(model.preparation), 600, has_revenue=True).persist()
    x = np.vstack([np.frombuffer(row["x"]).reshape(row["customers"], -1) for row in points.collect()])
    assert len(x) == rows.count()
    poor = np.vstack([model.centres[:-1], model.centres[:1] + 0.001])
    good, lost = run(points, [model.centres, poor], hopeless=0.01)
    assert good.converged
    assert (lost.converged, lost.passes) == (False, 1)
    assert lost.last.cost > 1.01 * good.last.cost
    assert run(points, [model.centres, poor])[1].passes > 1
    assert carry(x, model.centres, seed=1) == pytest.approx(model.centres, abs=1e-6)
    points.unpersist()


def test_customers_so_alike_that_a_draw_holds_none_of_them_are_no_error(spark, model):
    x = model.centres[0].tolist()
    points = spark.createDataFrame([(x, 1.0, 1)] * 50, "x array<double>, revenue double, draw int")
    points = points.mapInArrow(blocks.packing(), blocks.SCHEMA)
    fit = contest(points, model.centres[:2], seed=7, min_share=0.0, max_share=1.0)
    assert fit.contestants[1].reason == "came back with 0 centres instead of 2"


def test_the_record_of_the_decision_covers_every_k(model):
    assert [candidate.k for candidate in model.decision.candidates] == [3, 4, 5, 6]
    assert model.decision.k == model.k == len(model.centres)
    assert sum(candidate.verdict == "chosen" for candidate in model.decision.candidates) == 1


def test_centres_in_original_units_are_values_a_customer_could_have(model):
    frame = shop()
    for centre in model.centres_original:
        assert set(centre) == {feature.name for feature in model.features}
        assert frame["recency_days"].min() <= centre["recency_days"] <= frame["recency_days"].max()
        assert frame["monetary_total"].min() <= centre["monetary_total"] <= frame["monetary_total"].max()
        assert centre["plan"] in ("basic", "pro", "missing")


@pytest.mark.parametrize("k", [2, 3, 5, 8, 12, 20])
def test_a_stock_model_has_exactly_the_given_centres_in_the_given_order(spark, k):
    centres = np.random.default_rng(k).normal(size=(k, 5)) * 10.0 ** np.arange(-2, 3)
    model = kmeans_model(spark, centres)
    assert np.array_equal(np.array(model.clusterCenters()), centres)
    assert type(model).__module__ == "pyspark.ml.clustering"


def test_the_order_that_spark_draws_in_is_known_and_learnt_again_when_it_is_not(spark, monkeypatch):
    drawn = []

    def draw(*given, stock=pipeline._draw):
        drawn.append(given)
        return stock(*given)

    monkeypatch.setattr(pipeline, "_draw", draw)
    known = tuple(pipeline.DRAWN)
    for k in known:
        kmeans_model(spark, np.arange(2.0 * k).reshape(k, 2))
    assert len(drawn) == len(known)
    monkeypatch.setattr(pipeline, "DRAWN", {4: (3, 2, 1, 0)})
    centres = np.arange(8.0).reshape(4, 2)
    assert np.array_equal(np.array(kmeans_model(spark, centres).clusterCenters()), centres)
    assert len(drawn) == len(known) + 3


def test_two_equal_centres_are_refused(spark):
    with pytest.raises(ModelError, match="same centre"):
        kmeans_model(spark, np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 0.0]]))


def test_too_few_customers_is_an_error_that_says_how_many(spark):
    with pytest.raises(ModelError, match="too few customers") as caught:
        train(as_rows(spark, shop(5)), chosen(), config(k=(3, 5)), seed=7)
    assert "5 customers; 6 are needed" in str(caught.value)
    with pytest.raises(ModelError, match="too few customers"):
        train(as_rows(spark, shop(5)).where("false"), chosen(), config(k=(3, 5)), seed=7)


def test_customers_that_are_all_equal_are_an_error(spark):
    frame = pd.concat([shop(1)] * 50).assign(customer_id=[f"c{n}" for n in range(50)])
    with pytest.raises(ModelError, match="same for all customers"):
        train(as_rows(spark, frame), chosen(recency_days="rfm", monetary_total="rfm"), config(k=(3, 5)), seed=7)


def test_three_kinds_of_equal_customers_give_three_segments_and_a_reason_for_the_rest(spark):
    frame = pd.concat([shop(3, seed=3)] * 30).assign(customer_id=[f"c{n}" for n in range(90)])
    model = train(as_rows(spark, frame), chosen(recency_days="rfm", monetary_total="rfm"), config(k=(2, 6)), seed=7)
    assert model.sizes == (30, 30, 30)
    assert ["only 3 customers differ" in candidate.reason for candidate in model.decision.candidates[2:]] == [True] * 3


def test_a_limit_nobody_meets_tells_why_for_every_k(spark, rows):
    with pytest.raises(ModelError, match="No number of segments") as caught:
        train(rows, chosen(), config(k=(2, 3), min_share=0.333, max_share=0.34), seed=7)
    assert "k = 2: its largest segment" in str(caught.value)
    assert "k = 3: " in str(caught.value)


def test_outlier_limits_are_tukeys_far_fences():
    own = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    distances = np.stack([own, own + 10], axis=1)
    assert outlier_limits(distances) == pytest.approx([4 + 3 * 2, 4 + 3 * 2])
