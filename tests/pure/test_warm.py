"""A retrain starts from where the champion's centres are in the new preparation."""

from __future__ import annotations

import numpy as np
import pytest

from segengine.features.prepare_numbers import CategoricalInput, NumericInput, Preparation, VectorColumn, inverse
from segengine.model.warm import warm_start


def preparation(scale: float = 1.0) -> Preparation:
    return Preparation(
        (
            NumericInput("days", "rfm", 5.0, (0.0, 100.0), 2.0, 0, 0.0),
            NumericInput("money", "rfm", 1.0, None, None, 0, 0.0),
            CategoricalInput("plan", "attributes", ("basic", "pro"), 0),
        ),
        (
            VectorColumn("days", "value", None, 1.0, scale, 1.0),
            VectorColumn("money", "value", None, 10.0, 3.0, 1.0),
            VectorColumn("plan", "level", "pro", 0.5, 0.7, 1.0),
        ),
        (),
    )


def test_the_champions_centres_come_back_whatever_order_and_preparation_they_had():
    centres = np.array([[0.5, 1.0, 0.0], [1.5, -2.0, 1.0], [-0.2, 4.0, 0.0]])
    champion = inverse(preparation(2.0), centres * [0.5, 1.0, 1.0])
    start = warm_start(preparation(), centres[[2, 0, 1]] + 0.1, champion)
    assert start is not None
    assert start[:, :2] == pytest.approx(centres[[2, 0, 1], :2])


def test_a_centre_more_than_the_champion_has_stays():
    centres = np.array([[0.0, 0.0, 0.0], [9.0, 9.0, 0.0]])
    start = warm_start(preparation(), centres, inverse(preparation(), np.array([[0.3, 0.2, 0.0]])))
    assert start is not None
    assert start[1] == pytest.approx(centres[1])
    assert start[0, :2] == pytest.approx([0.3, 0.2])


def test_components_that_the_champion_does_not_know_stay():
    centres = np.array([[0.0, 0.0, 0.3], [3.0, 3.0, 0.7]])
    start = warm_start(preparation(), centres, [{"days": 3.0}, {"days": 50.0}])
    assert start is not None
    assert start[:, 1:] == pytest.approx(centres[:, 1:])
    assert warm_start(preparation(), centres, [{"age": 3.0}]) is None
