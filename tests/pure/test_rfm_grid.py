"""RFM grids: cells that are total and disjoint or refused, cut points that never split equal values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segengine.config.rfm_cells import DEFAULT_CELLS, codes_of, level_scores
from segengine.model.rfm_grid import BINS, RFM_FEATURES, cuts_of, learn, score
from tests.pure.configs import config, refused

NEGLECTED = {"At risk", "Cannot lose", "Lost", "About to sleep"}


def refused_grid(bins: int, **cells: str) -> str:
    return refused(rfm_grid={"bins": bins, "cells": cells})


def owners(cells: dict[str, str], bins: int) -> dict[tuple[int, int, int], list[str]]:
    scores = range(1, bins + 1)
    found: dict[tuple[int, int, int], list[str]] = {c: [] for c in itertools.product(scores, scores, scores)}
    for name, text in cells.items():
        for code in codes_of(text, bins):
            found[code].append(name)
    return found


@pytest.mark.parametrize("bins", BINS)
def test_the_default_cells_give_every_code_one_name(bins):
    assert all(len(names) == 1 for names in owners(dict(DEFAULT_CELLS), bins).values())
    assert config(rfm_grid={"bins": bins}).rfm_grid.bins == bins


@pytest.mark.parametrize("bins", BINS)
def test_no_recent_customer_is_called_lost_or_at_risk(bins):
    """A widely copied demo calls 12 of its 64 codes churned though they are of the most recent half."""
    high = level_scores(bins)["high"]
    for (recency, _, _), (name,) in owners(dict(DEFAULT_CELLS), bins).items():
        assert recency not in high or name not in NEGLECTED
        assert recency not in level_scores(bins)["low"] or name in NEGLECTED


def test_a_published_default_that_forgets_18_of_64_codes_is_refused():
    """The codes of a well-known package, whose `Other` holds recent and frequent customers such as 441."""
    said = refused_grid(
        4,
        premium="334 443 444 344 434 433 343 333",
        repeat="244 234 232 332 143 233 243",
        spender="424 414 144 314 324 124 224 423 413 133 323 313 134",
        risk="422 223 212 122 222 132 322 312 412 123 214",
        inactive="411 111 113 114 112 211 311",
    )
    assert "rfm_grid.cells leave 18 of 64 codes without a name" in said
    for code in ("121", "131", "141", "221", "231", "241", "242", "321", "331", "341", "342", "421", "431"):
        assert code in said or "more" in said


def test_rules_that_leave_recent_customers_to_a_rest_are_refused_with_their_codes():
    """In a widely copied demo 12 codes of the most recent half fall through to the last branch, which says churned."""
    fallen = ["311", "312", "313", "314", "324", "341", "411", "413", "414", "424", "441", "442"]
    cells: dict[str, list[str]] = {}
    for code, (name,) in owners(dict(DEFAULT_CELLS), 4).items():
        text = "".join(map(str, code))
        if text not in fallen:
            cells.setdefault(name, []).append(text)
    said = refused_grid(4, **{name: " ".join(codes) for name, codes in cells.items()})
    assert f"leave 12 of 64 codes without a name: {', '.join(fallen)}" in said


def test_a_code_with_two_names_is_refused_with_both():
    said = refused_grid(3, top="r=3 f=3", rest="r=1-2, r=3 f=1-2", again="r=3 f=3 m=3")
    assert "name 1 of 27 codes more than once: 333" in said
    assert "333 is in again and in top" in said


@pytest.mark.parametrize("text", ["r=4-6", "r=0", "r=2-1", "x=3", "r=3 r=4", "r=best", "555 666", "r=3,", "12", "r3"])
def test_what_is_no_cell_is_refused_by_name(text):
    assert "rfm_grid.cells.odd" in refused_grid(5, odd=text)


def test_a_grid_needs_the_features_it_scores():
    assert "needs monetary_total" in refused(rfm_grid={}, features={"include": ["rfm"], "exclude": ["monetary_total"]})
    assert "needs recency_days" in refused(rfm_grid={}, features={"include": ["frequency_orders", "monetary_total"]})


def columns(**values: list[float]) -> dict[str, np.ndarray]:
    some = {name: [1.0, 2.0] for name in RFM_FEATURES}
    return {name: np.array(values_, dtype=float) for name, values_ in {**some, **values}.items()}


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.sampled_from(list(BINS)))
def test_equal_values_are_never_split_and_order_is_kept(values, bins):
    learnt = learn(columns(recency_days=values, frequency_orders=values))
    cuts = cuts_of(learnt, bins)
    numbers = np.array(values, dtype=float)
    up = score("frequency_orders", numbers, cuts["frequency_orders"])
    down = score("recency_days", numbers, cuts["recency_days"])
    assert up.min() >= 1
    assert up.max() <= bins
    assert (up + down == bins + 1).all()
    order = np.argsort(numbers, kind="stable")
    assert (np.diff(up[order]) >= 0).all()
    for value in set(values):
        assert len(set(up[numbers == value])) == 1


def test_without_ties_scores_are_quintiles_and_the_most_recent_are_5():
    days = np.arange(100.0)
    cuts = cuts_of(learn(columns(recency_days=list(days))), 5)["recency_days"]
    scores = score("recency_days", days, cuts)
    assert [int((scores == s).sum()) for s in range(1, 6)] == [20] * 5
    assert scores[0] == 5
    assert scores[-1] == 1


def test_many_customers_with_one_order_share_the_lowest_score():
    orders = np.array([1.0] * 70 + [2.0] * 10 + list(range(3, 23)))
    cuts = cuts_of(learn(columns(frequency_orders=list(orders))), 5)["frequency_orders"]
    scores = score("frequency_orders", orders, cuts)
    assert set(scores[:70]) == {1}
    assert scores[-1] == 5


def test_no_grid_can_be_learnt_where_a_feature_is_missing_or_nobody_has_a_value():
    assert learn({"recency_days": np.array([1.0])}) is None
    assert learn(columns(monetary_total=[float("nan")])) is None
