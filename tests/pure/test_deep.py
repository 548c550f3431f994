"""Gap, prediction strength and Spark's silhouette against their definitions; the right k of clear clouds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from segengine.model.choose import choose, survivors
from segengine.model.deep import deepen, gap_statistic, prediction_strength
from segengine.model.silhouette import squared_silhouette
from segengine.model.sweep import sweep
from tests.pure.test_stability import clouds


def fit(points: np.ndarray, k: int, seed: int) -> KMeans:
    return KMeans(k, n_init=2, tol=1e-4, max_iter=100, random_state=seed).fit(points)


def test_the_squared_silhouette_is_the_mean_of_scikit_learns_with_squared_distances():
    random = np.random.default_rng(5)
    points, labels = random.normal(size=(80, 3)) + 100.0, random.integers(0, 4, 80)
    labels[labels == 3] = np.where(np.arange((labels == 3).sum()) == 0, 3, 0)  # one of them alone in its segment
    expected = silhouette_score(points, labels, metric="sqeuclidean")
    assert squared_silhouette(points, labels) == pytest.approx(expected, abs=1e-9)


def test_the_gap_is_what_tibshirani_walther_and_hastie_define():
    points, _ = clouds(30, 30, 40, apart=4.0)
    found, error = gap_statistic(points, 3, seed=9, references=5)
    middle = points.mean(axis=0)
    axes = np.linalg.svd(points - middle)[2]
    turned = (points - middle) @ axes.T
    logs = []
    for number in range(5):
        box = np.random.default_rng([9, number]).uniform(turned.min(axis=0), turned.max(axis=0), size=turned.shape)
        logs.append(math.log(within(box @ axes + middle, 3, 9)))
    assert found == pytest.approx(np.mean(logs) - math.log(within(points, 3, 9)))
    assert error == pytest.approx(math.sqrt(np.mean((np.array(logs) - np.mean(logs)) ** 2)) * math.sqrt(1 + 1 / 5))


def within(points: np.ndarray, k: int, seed: int) -> float:
    """W_k: pair by pair, the sum over segments of squared distances over twice their size."""
    labels, total = fit(points, k, seed).labels_, 0.0
    for segment in range(k):
        own = points[labels == segment]
        total += ((own[:, None] - own[None, :]) ** 2).sum() / (2 * len(own))
    return total


def test_prediction_strength_is_counted_pair_by_pair():
    points, _ = clouds(20, 20, 20, apart=2.0)
    k, values = 3, []
    for split in range(4):
        order = np.random.default_rng([5, split]).permutation(60)
        halves = points[order[:30]], points[order[30:]]
        fits = [fit(half, k, 5 + split) for half in halves]
        for mine, other in ((0, 1), (1, 0)):
            own, predicted = fits[mine].labels_, fits[other].predict(halves[mine])
            shares = []
            for segment in range(k):
                members = np.flatnonzero(own == segment)
                pairs = [(a, b) for a in members for b in members if a != b]
                together = sum(predicted[a] == predicted[b] for a, b in pairs)
                shares.append(together / len(pairs) if pairs else 1.0)
            values.append(min(shares))
    assert prediction_strength(points, k, seed=5, splits=4) == pytest.approx(np.mean(values))


def test_clear_clouds_are_counted_right_and_nothing_depends_on_order_of_asking():
    points, _ = clouds(150, 120, 90, 80)
    trials = sweep(points, range(2, 7), restarts=4, seed=7)
    whole = survivors(trials, min_share=0.03, max_share=0.8)
    deep = deepen(points, {k: trial.labels for k, trial in whole.items()}, seed=7)
    alone = deepen(points, {4: whole[4].labels}, seed=7)
    assert alone[4] == deep[4]
    decision = choose(trials, deep, min_share=0.03, max_share=0.8)
    assert decision.k == 4
    assert "the gap statistic would take 4, prediction strength of 0.8 or more 4" in decision.sentence
    assert deep[4].jaccard_min > 0.95 > 0.85 > deep[5].jaccard_min
    assert all(c.gap is not None and c.squared_silhouette is not None for c in decision.candidates)


def test_too_few_customers_are_no_error():
    points = np.array([[0.0], [1.0], [2.0], [3.0]])
    found = deepen(points, {2: np.array([0, 0, 1, 1]), 4: np.arange(4)}, seed=7)
    assert (found[2].prediction_strength, found[4].gap) == (None, None)
    alike = deepen(np.zeros((20, 2)), {2: np.arange(20) % 2}, seed=7)[2]
    assert (alike.gap, alike.gap_error) == (None, None)
