"""Segments below min_share: refused, kept, or dissolved into the nearest ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from segengine.model.choose import choose, survivors
from segengine.model.history import recipe_fingerprint
from segengine.model.rare import dissolve, merged
from segengine.model.sweep import sweep
from tests.pure.configs import config


def points(sizes=(300, 280, 6, 5), seed=3):
    """Blobs around (0, 0), (10, 0), and far off around (12, 6) and (0, 40)."""
    random = np.random.default_rng(seed)
    middles = np.array([[0.0, 0.0], [10.0, 0.0], [12.0, 6.0], [0.0, 40.0]])
    return np.concatenate([middles[i] + random.normal(0, 0.3, (n, 2)) for i, n in enumerate(sizes)])


def test_small_segments_go_to_the_nearest_ones_the_smallest_first():
    x = points()
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [12.0, 6.0], [0.0, 40.0]])
    left = dissolve(x, centres, min_share=0.03, fewest=2, seed=1)
    assert len(left) == 2
    labels = ((x[:, None, :] - left[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert np.bincount(labels).tolist() == [305, 286]
    assert len(dissolve(x, centres, min_share=0.03, fewest=3, seed=1)) == 3
    assert dissolve(x, centres, min_share=0.001, fewest=2, seed=1) is centres


def test_where_no_number_passes_what_larger_ones_leave_is_tried():
    x = points()
    trials = sweep(x, range(2, 5), restarts=5, seed=1)
    assert not survivors([trial for trial in trials if trial.k > 2], min_share=0.03, max_share=0.9)
    plain = [dataclasses.replace(trial, skipped="not tried") if trial.k == 2 else trial for trial in trials]
    tried = merged(plain, x, min_share=0.03, fewest=2, seed=1)
    assert [trial.k for trial in tried] == [2, 3, 4]
    decision = choose(tried, min_share=0.03, max_share=0.9)
    assert decision.k == 2
    best = next(trial for trial in tried if trial.k == 2)
    assert best.shares.min() >= 0.03
    assert best.inertia == pytest.approx(((x - best.centres[best.labels]) ** 2).sum())


def test_kept_rare_segments_have_no_least_share_and_the_default_leaves_old_models_current():
    assert config(segments={"too_small": "keep", "min_share": 0.05}).segments.least_share == 0
    assert config(segments={"too_small": "merge", "min_share": 0.05}).segments.least_share == 0.05
    plain = recipe_fingerprint(config())
    assert recipe_fingerprint(config(segments={"too_small": "refuse"})) == plain
    assert recipe_fingerprint(config(segments={"too_small": "merge"})) != plain
