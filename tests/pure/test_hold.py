"""Customers near a border stay where they were; the kernel that scores them, without Spark."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from segengine.scoring.batch import SCORE_COLUMNS, score_kernel

CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 100.0]])
LIMITS = np.array([5.0, 5.0, 5.0])
KEYS = (4, 9, 2)


def scored(
    points: list[list[float] | None], prior: list[int | None] | None, hysteresis: float, groups: Any = None
) -> list[dict[str, Any]]:
    nearest = [None if p is None else int(np.linalg.norm(CENTRES - p, axis=1).argmin()) for p in points]
    arrays = [
        pa.array([f"c{i}" for i in range(len(points))]),
        pa.array(points, pa.list_(pa.float64())),
        pa.array(nearest, pa.int32()),
    ]
    arrays += [] if groups is None else [pa.array(groups[0], pa.int32())]
    arrays += [] if prior is None else [pa.array(prior, pa.int32())]
    batch = pa.RecordBatch.from_arrays(arrays, names=[f"a{i}" for i in range(len(arrays))])
    ranges = None if groups is None else groups[1]
    hold = None if prior is None else (hysteresis, KEYS)
    (answer,) = score_kernel(CENTRES, LIMITS, ranges, hold)(iter([batch]))
    assert answer.schema.names[1:] == [name for name, _ in SCORE_COLUMNS]
    return list(answer.to_pylist())


def test_a_customer_stays_until_the_other_centre_is_clearly_nearer():
    rows = scored([[5.2, 0.0], [5.3, 0.0], [5.2, 0.0], [5.2, 0.0], None], [4, 4, 9, None, 4], 0.1)
    assert [row["segment_index"] for row in rows] == [0, 1, 1, 1, None]
    assert [row["assigned_by"] for row in rows] == ["held", "nearest", "nearest", "nearest", None]
    held = rows[0]
    assert (held["margin"], held["runner_up_index"], held["distance"], held["is_outlier"]) == (0.0, 1, 5.2, True)


def test_segments_that_are_gone_and_keys_of_others_hold_nobody():
    rows = scored([[5.2, 0.0], [5.2, 0.0], [5.2, 0.0]], [7, 1_000_000, -3], 0.5)
    assert {row["assigned_by"] for row in rows} == {"nearest"}


def test_nobody_is_held_in_a_segment_of_another_group():
    groups = ([0, 1], [(0, 2), (2, 3)])
    rows = scored([[5.2, 0.0], [0.0, 99.0]], [4, 4], 0.99, groups)
    assert [(row["segment_index"], row["assigned_by"]) for row in rows] == [(0, "held"), (2, "nearest")]


@given(
    st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 120), st.sampled_from([None, *KEYS])), min_size=1),
    st.floats(0.01, 0.9),
)
def test_held_is_exactly_who_is_nearer_elsewhere_by_too_little(customers: list[Any], hysteresis: float):
    points: list[list[float] | None] = [[x, y] for x, y, _ in customers]
    plain, rows = scored(points, None, 0.0), scored(points, [key for *_, key in customers], hysteresis)
    for (x, y, key), free, row in zip(customers, plain, rows, strict=True):
        away = np.sqrt(((CENTRES - [x, y]) ** 2).sum(axis=1))
        own = KEYS.index(key) if key is not None else free["segment_index"]
        stays = own != free["segment_index"] and away[own] - away.min() < hysteresis * away[own]
        assert row["segment_index"] == (own if stays else free["segment_index"])
        assert (row["assigned_by"] == "held") == stays
        if not stays:
            assert row == {**free, "assigned_by": "nearest"}
