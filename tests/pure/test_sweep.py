"""The sweep over k on the sample, and its silhouettes."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_samples
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no stubs

from segengine.model.silhouette import macro_micro, pick_rows, silhouettes
from segengine.model.swap import improve
from segengine.model.sweep import SWAP_ROWS, carry, sweep


def blobs(centres: int, each: int, *, seed: int = 0, d: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    middles = 20 * np.eye(centres, d)
    labels = np.repeat(np.arange(centres), each)
    return middles[labels] + random.normal(0, 1, (centres * each, d)), labels


def rfm(customers: int, seed: int = 0) -> np.ndarray:
    """log1p and z-scored recency, frequency and monetary value: skewed, overlapping, not blobs."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 4, customers)
    raw = np.stack(
        [
            random.gamma(1 + kind, 30),
            1 + random.poisson(8 - 2 * kind),
            random.lognormal(5 - 0.5 * kind, 1.0),
        ],
        axis=1,
    )
    logged = np.log1p(raw)
    scores: np.ndarray = (logged - logged.mean(axis=0)) / logged.std(axis=0, ddof=1)
    return scores


def test_clean_blobs_are_found_again():
    points, truth = blobs(4, 100)
    trials = sweep(points, range(2, 7), restarts=5, seed=1)
    best = max(trials, key=lambda trial: trial.quality.macro_silhouette)
    assert best.k == 4
    assert adjusted_rand_score(truth, best.labels) == 1.0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_cost_is_that_of_a_hundred_restarts(seed):
    points = rfm(1000, seed)
    for trial in sweep(points, [4, 7, 10], restarts=10, seed=3):
        with threadpool_limits(limits=1):
            oracle = KMeans(trial.k, n_init=100, random_state=0, tol=1e-6).fit(points)
        assert trial.inertia <= 1.005 * oracle.inertia_


def test_swaps_get_out_of_a_start_that_restarts_would_need_luck_to_avoid():
    points, truth = blobs(6, 50, d=6)
    poor = KMeans(6, init=np.vstack([points[:5], points[50:51]]), n_init=1).fit(points)
    better = improve(points, poor, lambda centres: KMeans(6, init=centres, n_init=1).fit(points))
    assert adjusted_rand_score(truth, poor.labels_) < 0.7
    assert adjusted_rand_score(truth, better.labels_) == 1.0


def test_the_number_of_cores_changes_nothing(monkeypatch):
    points = rfm(3000)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    alone = sweep(points, range(3, 7), restarts=3, seed=1)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    together = sweep(points, range(3, 7), restarts=3, seed=1)
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.centres, other.centres)
        assert one.quality == other.quality


def test_a_large_sample_costs_hardly_more_than_starting_on_all_of_it(monkeypatch):
    points = rfm(6000)
    whole = sweep(points, [5], restarts=5, seed=1)[0]
    monkeypatch.setattr("segengine.model.sweep.START_ROWS", 1000)
    monkeypatch.setattr("segengine.model.sweep.SWAP_ROWS", 2000)
    part = sweep(points, [5], restarts=5, seed=1)[0]
    assert len(part.labels) == 6000
    assert part.inertia <= 1.005 * whole.inertia


@pytest.mark.parametrize("seed", [0, 1])
def test_starts_on_a_part_of_a_large_sample_cost_what_twenty_restarts_on_all_of_it_do(seed):
    points = rfm(SWAP_ROWS + 5_000, seed)
    for trial in sweep(points, [3, 6, 9], restarts=10, seed=3):
        with threadpool_limits(limits=1):
            oracle = KMeans(trial.k, n_init=20, random_state=0, tol=1e-6).fit(points)
        assert trial.inertia <= 1.005 * oracle.inertia_


def test_a_large_sample_of_few_distinct_customers_is_no_error(monkeypatch):
    monkeypatch.setattr("segengine.model.sweep.START_ROWS", 100)
    monkeypatch.setattr("segengine.model.sweep.SWAP_ROWS", 200)
    points = np.repeat(np.array([[0.0], [1.0], [5.0]]), [997, 2, 1], axis=0)
    (trial,) = sweep(points, [3], restarts=3, seed=1)
    assert trial.inertia <= 1.0


def test_centres_that_are_carried_on_come_to_rest():
    points, truth = blobs(4, 100)
    start = np.stack([points[truth == i][0] for i in range(4)])
    assert carry(points, start, seed=1) == pytest.approx(np.stack([points[truth == i].mean(axis=0) for i in range(4)]))


def test_k_beyond_the_distinct_customers_is_skipped_with_the_reason():
    points = np.repeat(np.array([[0.0], [1.0], [5.0]]), 20, axis=0)
    three, four = sweep(points, [3, 4], restarts=2, seed=1)
    assert three.inertia == 0.0
    assert four.centres is None
    assert "only 3 customers differ" in four.skipped


def test_k_needs_two_customers_a_segment():
    points, _ = blobs(2, 3)
    _, three, four = sweep(points, [2, 3, 4], restarts=2, seed=1)
    assert three.skipped is None
    assert four.skipped == "it needs at least 8 customers and there are 6"


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(0, 1000))
def test_silhouettes_are_those_of_scikit_learn(k, seed):
    random = np.random.default_rng(seed)
    points = random.normal(size=(60, 3))
    first = np.append(np.arange(k), random.integers(0, k, 60 - k))
    second = np.append(np.arange(2), random.integers(0, 2, 58))
    for labels, values in zip((first, second), silhouettes(points, [first, second]), strict=True):
        assert values == pytest.approx(silhouette_samples(points, labels), abs=1e-9)


def test_a_giant_segment_cannot_hide_a_bad_one_in_the_macro_silhouette():
    labels = np.array([0] * 98 + [1] * 2)
    macro, micro = macro_micro(np.where(labels == 0, 0.9, -0.5), labels)
    assert macro == pytest.approx(0.2)
    assert micro == pytest.approx(0.872)


def test_sampled_rows_leave_no_segment_out():
    labels = np.zeros(5000, dtype=np.int64)
    labels[[17, 4711]] = 1
    rows = pick_rows([labels], seed=1, limit=100)
    assert len(rows) == 100
    assert {17, 4711} <= set(rows.tolist())
    assert np.array_equal(rows, pick_rows([labels], seed=1, limit=100))
