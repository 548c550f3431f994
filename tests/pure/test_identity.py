"""Ids that survive a retrain: matched on customers, or on centres; never given twice."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from segengine.errors import BundleError
from segengine.io.files import LocalStore
from segengine.model.identity import (
    ALIKE,
    Identity,
    by_centres,
    by_overlap,
    first,
    segment_id,
    unmatched,
)
from segengine.model.identity_file import identity_of, minted


def matched(counts: Any, fresh: Any = None, **changed: Any) -> Identity:
    """Matched with the champion's keys 1, 2, ... whose sizes are as now."""
    common = np.array(counts, dtype=np.int64)
    given_ = {
        "old": range(1, len(common) + 1),
        "minted": range(1, len(common) + 1),
        "champion": "v0001",
        "sizes": common.sum(axis=1).tolist(),
    }
    return by_overlap(common, fresh or [0] * common.shape[1], **{**given_, **changed})


def told(identity: Identity) -> set[tuple[str, int, int | None]]:
    return {(event.event, event.segment_key, event.other_segment_key) for event in identity.events}


def test_ids_look_like_this():
    assert [segment_id(key) for key in (1, 42, 1234)] == ["S-001", "S-042", "S-1234"]


def test_the_first_segments_are_numbered_in_their_order():
    identity = first(3)
    assert identity.keys == (1, 2, 3)
    assert told(identity) == {("new", 1, None), ("new", 2, None), ("new", 3, None)}


@given(st.permutations(range(5)), st.integers(0, 10_000))
def test_shuffled_centres_keep_their_segment_ids(order: list[int], seed: int):
    random = np.random.default_rng(seed)
    counts = random.integers(0, 20, (5, 5)) + np.diag(random.integers(200, 900, 5))
    identity = matched(counts[:, order])
    assert identity.keys == tuple(place + 1 for place in order)
    assert {event.event for event in identity.events} == {"kept"}
    assert identity.minted == (1, 2, 3, 4, 5)


@given(st.integers(2, 4), st.integers(2, 4), st.integers(0, 2**31 - 1))
def test_no_other_matching_of_alike_segments_keeps_more_customers(k_old: int, k_new: int, seed: int):
    counts = np.random.default_rng(seed).integers(0, 50, (k_old, k_new))
    assume(counts.any())
    identity = matched(counts)
    union = counts.sum(axis=1)[:, None] + counts.sum(axis=0)[None, :] - counts
    alike = counts >= ALIKE * np.maximum(union, 1)
    kept = sum(counts[key - 1, j] for j, key in enumerate(identity.keys) if key <= k_old)
    best = 0
    for size in range(min(k_old, k_new) + 1):
        for rows in itertools.combinations(range(k_old), size):
            for columns in itertools.permutations(range(k_new), size):
                pairs = list(zip(rows, columns, strict=True))
                if all(alike[pair] and counts[pair] for pair in pairs):
                    best = max(best, sum(int(counts[pair]) for pair in pairs))
    assert kept == best
    assert len(set(identity.keys)) == k_new
    assert set(identity.keys) <= set(identity.minted)
    news = {e.segment_key for e in identity.events if e.event in ("kept", "new", "split")}
    olds = {e.segment_key for e in identity.events if e.event in ("kept", "merged", "retired")}
    assert (news, olds) == (set(identity.keys), set(range(1, k_old + 1)))


def test_a_split_leaves_the_id_to_the_larger_part():
    identity = matched([[60, 40, 0], [0, 1, 99]])
    assert identity.keys == (1, 3, 2)
    assert told(identity) == {("kept", 1, None), ("kept", 2, None), ("split", 3, 1)}
    split = next(event for event in identity.events if event.event == "split")
    assert split.overlap == pytest.approx(40 / 41)


def test_a_merger_keeps_the_id_of_the_larger_part():
    identity = matched([[100, 0], [0, 50], [0, 70]])
    assert identity.keys == (1, 3)
    assert told(identity) == {("kept", 1, None), ("kept", 3, None), ("merged", 2, 3)}


def test_a_segment_of_customers_who_came_later_is_new():
    identity = matched([[100, 0, 4], [0, 90, 0]], fresh=[3, 2, 60])
    assert identity.keys == (1, 2, 3)
    assert ("new", 3, 1) in told(identity)


def test_a_segment_whose_customers_have_left_it_is_retired_not_merged():
    identity = matched([[100, 0], [0, 80], [1, 4]], sizes=[100, 80, 60])
    assert identity.keys == (1, 2)
    assert ("retired", 3, 2) in told(identity)


def test_a_few_stragglers_do_not_hand_on_an_id():
    identity = matched([[100, 0], [0, 0], [0, 2]], fresh=[0, 60], sizes=[100, 50, 50])
    assert identity.keys[0] == 1
    identity = matched([[100, 30], [0, 2]], sizes=[130, 50])
    assert identity.keys == (1, 3)
    assert told(identity) == {("kept", 1, None), ("split", 3, 1), ("retired", 2, 3)}


def test_an_id_is_never_given_twice():
    identity = matched([[60, 40], [0, 0]], minted=range(1, 8), old=[2, 5])
    assert identity.keys == (2, 8)
    assert identity.minted == (1, 2, 3, 4, 5, 6, 7, 8)
    assert first(2, identity.minted).keys == (9, 10)


def test_segments_of_another_group_do_not_hand_on_their_ids():
    allowed: NDArray[np.bool_] = np.array([[True, False], [False, True]])
    identity = matched([[5, 50], [50, 5]], allowed=allowed)
    assert identity.keys == (3, 4)


def centred(distances: Any, gaps: Any, **changed: Any) -> Identity:
    table = np.array(distances, dtype=np.float64)
    given_ = {"old": range(1, len(table) + 1), "minted": range(1, len(table) + 1), "champion": "v0001"}
    return by_centres(table, np.array(gaps, dtype=np.float64), **{**given_, **changed})


def test_without_common_customers_the_nearest_centre_decides():
    identity = centred([[0.2, 3.0], [2.9, 0.1]], [3.0, 3.0])
    assert identity.keys == (1, 2)
    assert identity.method == "centres"
    assert all(event.overlap is None for event in identity.events)


def test_centres_that_split_appear_and_vanish_are_told_apart():
    identity = centred([[0.2, 0.4, 2.0, 9.0], [3.0, 2.9, 9.0, 7.0], [9.0, 9.0, 9.0, 9.5]], [3.0, 3.0, 6.0])
    assert identity.keys[0] == 1
    assert told(identity) >= {("kept", 1, None), ("split", 4, 1), ("new", 5, None), ("retired", 3, None)}


def test_models_without_a_common_feature_share_no_segment():
    identity = unmatched(2, old=[1, 4], minted=[1, 2, 3, 4], champion="v0002")
    assert identity.keys == (5, 6)
    assert told(identity) == {("new", 5, None), ("new", 6, None), ("retired", 1, None), ("retired", 4, None)}


def test_an_identity_is_the_same_after_it_was_written(tmp_path):
    identity = matched([[60, 40, 0], [0, 1, 99]])
    store = LocalStore(str(tmp_path))
    store.write_atomic("models/v0002/identity.json", json.dumps(identity.to_dict()).encode())
    assert identity_of(store, "v0002", 3) == identity
    assert identity_of(store, "v0001", 4).keys == (1, 2, 3, 4)  # from before there were ids
    with pytest.raises(BundleError, match="cannot be read"):
        identity_of(store, "v0002", 4)


def test_a_rollback_does_not_free_ids(tmp_path):
    store = LocalStore(str(tmp_path))
    for version, k, identity in (("v0001", 2, first(2)), ("v0002", 2, matched([[60, 40], [0, 0]]))):
        store.write_atomic(f"models/{version}/manifest.json", json.dumps({"k": k}).encode())
        store.write_atomic(f"models/{version}/identity.json", json.dumps(identity.to_dict()).encode())
    assert minted(store, ["v0001", "v0002"]) == (1, 2, 3)
    after = matched([[60, 40], [0, 0]], minted=minted(store, ["v0001", "v0002"]))
    assert after.keys == (1, 4)
