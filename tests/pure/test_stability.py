"""Bootstrap stability: the definition by brute force, and clear and imaginary segments told apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segengine.model.stability import bootstrap_jaccard, largest_jaccards


def clouds(*sizes: int, apart: float = 10.0, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    centres = random.permutation(np.eye(len(sizes), 4 if len(sizes) <= 4 else len(sizes))) * apart
    return centres[labels] + random.normal(size=(len(labels), centres.shape[1])), labels


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_the_largest_jaccard_is_that_of_sets(pairs):
    before, after = (np.array(part, dtype=np.int64) for part in zip(*pairs, strict=True))
    found = largest_jaccards(before, after, 4)
    for segment in range(4):
        own = set(np.flatnonzero(before == segment).tolist())
        others = [set(np.flatnonzero(after == other).tolist()) for other in range(4)]
        if not own:
            assert np.isnan(found[segment])
        else:
            assert found[segment] == pytest.approx(max(len(own & one) / len(own | one) for one in others))


def test_clear_segments_are_stable_and_halves_of_one_cloud_are_not():
    points, labels = clouds(200, 150, 100)
    assert bootstrap_jaccard(points, labels, 3, seed=7, draws=20).min() > 0.95
    round_one = np.random.default_rng(3).normal(size=(400, 8))
    halves = (round_one[:, 0] > 0).astype(np.int64)
    assert bootstrap_jaccard(round_one, halves, 2, seed=7, draws=20).min() < 0.75


def test_one_shaky_segment_does_not_hide_behind_sound_ones():
    points, labels = clouds(200, 200, 300)
    labels = np.where((labels == 2) & (points[:, 3] > 0), 3, labels)  # a round cloud cut in two where nothing is
    found = bootstrap_jaccard(points, labels, 4, seed=7, draws=20)
    assert found[:2].min() > 0.9
    assert found[2:].max() < 0.75


def test_the_same_seed_gives_the_same_numbers():
    points, labels = clouds(60, 60, apart=3.0)
    first = bootstrap_jaccard(points, labels, 2, seed=7, draws=10)
    assert np.array_equal(first, bootstrap_jaccard(points, labels, 2, seed=7, draws=10))


def test_a_handful_of_customers_is_no_error():
    points = np.array([[0.0], [0.1], [5.0], [5.1]])
    found = bootstrap_jaccard(points, np.array([0, 0, 1, 1]), 2, seed=7, draws=10)
    assert found.shape == (2,)


def test_it_is_what_clusterboot_calculates_draw_by_draw():
    """fpc::clusterboot(bootmethod = "boot", multipleboot = FALSE): Jaccard on the distinct points of each draw."""
    from sklearn.cluster import KMeans

    points, labels = clouds(40, 30, 30, apart=2.5)
    k, seed, draws = 3, 11, 6
    expected = []
    for draw in range(draws):
        random = np.random.default_rng([seed, k, draw])
        chosen = sorted(set(random.integers(0, 100, 100).tolist()))
        start = int(random.integers(2**31 - 1))
        again = KMeans(k, n_init=3, tol=1e-4, max_iter=100, random_state=start).fit(points[chosen]).labels_
        row = []
        for segment in range(k):
            own = {i for i in chosen if labels[i] == segment}
            new = [{i for i, label in zip(chosen, again, strict=True) if label == other} for other in range(k)]
            row.append(max(len(own & one) / len(own | one) for one in new))
        expected.append(row)
    found = bootstrap_jaccard(points, labels, k, seed=seed, draws=draws)
    np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=1e-12)
