"""Explanations are exact: shares add up, and brute force finds no smaller change of a feature that moves a customer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from segengine.errors import InputError
from segengine.report.explained import outwards, show_explanation
from segengine.scoring.explain import Explanation, explain
from segengine.scoring.online import Scorer
from tests.pure.online_bundles import GROUPING, customers, described, preparation, scorer

VARIANTS = {
    "usual": described(preparation()),
    "no caps": described(preparation(cap=None), seed=4),
    "all logged": described(preparation(log="always"), seed=5),
    "not scaled": described(preparation(scale="none", log="always"), seed=6),
}


def one_customer(i: int = 0, seed: int = 11) -> dict[str, object]:
    row = customers(i + 1, seed).to_dict("records")[i]
    return {str(name): None if value != value else value for name, value in row.items()}


def sizes_of_moves(model: Scorer, customer, feature: str, values) -> tuple[np.ndarray, np.ndarray]:
    """Which values of a feature move the customer, and how long each change is in standard deviations."""
    table = {name: [value] * (len(values) + 1) for name, value in customer.items()}
    table[feature] = [customer[feature], *values]
    labels = model.score(table)["segment_index"]
    numbers, codes, _ = model.raw({name: np.array(column, dtype=object) for name, column in table.items()})
    points = model.points.prepare(numbers, codes)
    sizes = np.linalg.norm((points - points[:, :1]) / model.points.weight, axis=0)
    return labels[1:] != labels[0], sizes[1:]


def tried(model: Scorer, feature: str) -> np.ndarray:
    """Many values of a feature over all that make a difference."""
    item = next(item for item in model.inputs if item["name"] == feature)
    if item["kind"] == "categorical":
        return np.array(item["levels"], dtype=object)
    low, high = item["cap"] or (-3000.0, 20000.0)
    low, high = (low, high) if feature == "monetary_total" else (max(low, 0.0), high)
    values = np.concatenate([np.linspace(low, high, 1501), np.geomspace(1e-3, high, 500)])
    return np.unique(np.round(values)) if item["whole"] else values


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_no_value_that_was_tried_moves_a_customer_with_a_smaller_change(variant):
    model = scorer(VARIANTS[variant])
    moved_by = set()
    for i in range(10):
        customer = one_customer(i)
        found = {change.feature: change for change in explain(model, customer).changes}
        moved_by |= set(found)
        for item in model.inputs:
            moves, sizes = sizes_of_moves(model, customer, item["name"], tried(model, item["name"]))
            if not moves.any():
                continue  # the border may lie between two tried values, or at none
            assert item["name"] in found
            assert found[item["name"]].size <= sizes[moves].min() + 1e-9
    assert len(moved_by) >= 4


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_every_change_moves_the_customer_and_the_number_before_it_does_not(variant):
    model = scorer(VARIANTS[variant])
    for i in range(10):
        customer = one_customer(i)
        explained = explain(model, customer)
        assert [c.size for c in explained.changes] == sorted(c.size for c in explained.changes)
        for change in explained.changes:
            moved = model.score({**customer, change.feature: change.to})
            assert moved["segment_key"] == change.segment_key != explained.segment_key
            if isinstance(change.to, str) or change.value is None:
                continue
            assert isinstance(change.value, float)
            item = next(item for item in model.inputs if item["name"] == change.feature)
            step = 1.0 if item["whole"] else 0.0
            before = change.to - math.copysign(step, change.to - change.value) if step else 0.0
            before = before if step else math.nextafter(change.to, change.value)
            if not step or abs(before - change.value) < abs(change.to - change.value):
                assert model.score({**customer, change.feature: before})["segment_key"] == explained.segment_key
            shown = change.to if step else outwards(change.value, change.to)
            assert model.score({**customer, change.feature: shown})["segment_key"] != explained.segment_key


@settings(max_examples=30)
@given(st.integers(0, 400), st.sampled_from(sorted(VARIANTS)))
def test_shares_add_up_to_the_margin_by_hand(i, variant):
    model = scorer(VARIANTS[variant])
    customer = one_customer(i % 40, seed=i)
    explained = explain(model, customer)
    scored = model.score(customer)
    assert explained.segment_key == scored["segment_key"]
    assert explained.margin == pytest.approx(scored["margin"])
    assert explained.runner_up_key == scored["runner_up_key"]
    assert explained.is_outlier == scored["is_outlier"]
    assert math.fsum(share.share or 0.0 for share in explained.shares) == pytest.approx(1.0)
    gap = (explained.runner_up_distance or 0.0) ** 2 - explained.distance**2
    numbers, codes, _ = model.raw({name: np.array([value], dtype=object) for name, value in customer.items()})
    x = model.points.prepare(numbers, codes)[:, 0]
    own, other = (model.centres[key - 1] for key in (explained.segment_key, explained.runner_up_key or 0))
    for share in explained.shares:
        at = [j for j, (name, _, _) in enumerate(model.points.vector) if name == share.feature]
        by_hand = float((((x - other) ** 2 - (x - own) ** 2)[at]).sum())
        assert (share.share or 0.0) * gap == pytest.approx(by_hand, abs=1e-9)
        assert share.value == customer[share.feature]


def test_centres_are_shown_in_the_features_own_units():
    model = scorer(VARIANTS["usual"])
    explained = explain(model, one_customer(3))
    for share in explained.shares:
        assert share.own == model.centres_original[explained.segment_key - 1][share.feature]


def test_a_missing_number_can_be_moved_by_becoming_known():
    model = scorer(VARIANTS["usual"])
    known = [c for i in range(25) for c in explain(model, {**one_customer(i), "recency_days": None}).changes]
    mine = [change for change in known if change.feature == "recency_days"]
    assert mine
    assert all(change.value is None for change in mine)


def test_a_group_of_one_segment_has_no_runner_up_and_nothing_moves_its_customers():
    model = scorer(described(preparation(), grouping=GROUPING))
    explained = explain(model, {**one_customer(), "country": "DE"})
    assert (explained.segment_key, explained.runner_up_key, explained.shares, explained.changes) == (3, None, (), ())
    assert explained.smallest_change is None
    in_france = explain(model, {**one_customer(), "country": "FR"})
    assert {in_france.segment_key, in_france.runner_up_key} == {1, 2}
    assert {change.segment_key for change in in_france.changes} <= {1, 2}


def test_one_customer_is_explained_at_a_time():
    with pytest.raises(InputError, match="One customer"):
        explain(scorer(VARIANTS["usual"]), {name: [value] for name, value in one_customer().items()})


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(2, 6))
def test_shown_numbers_are_rounded_away_from_where_the_customer_is(value, to, digits):
    shown = outwards(value, to, digits)
    assert shown >= to if to >= value else shown <= to
    assert shown == pytest.approx(to, rel=10.0 ** (1 - digits))


def drawn(explained: Explanation | None, **told) -> str:
    console = Console(width=130, record=True, file=open("/dev/null", "w"))  # noqa: SIM115  lives as long as the console
    given = {"customer_id": "C1", "as_of": "2024-01-01 00:00", "lane": None, "assigned_key": 1, **told}
    show_explanation(explained, console, **given)
    console.file.close()
    return console.export_text()


def test_it_is_drawn_with_shares_changes_and_what_is_special():
    model = scorer(VARIANTS["usual"])
    explained = explain(model, one_customer(2))
    text = drawn(explained, assigned_key=explained.segment_key)
    assert f"{explained.segment_id} {explained.segment_name}, at distance" in text
    assert all(share.feature in text for share in explained.shares)
    assert "smallest first" in text
    assert "kept there" not in text
    assert "kept there" in drawn(explained, assigned_key=99)
    assert "lane too_new" in drawn(None, lane="too_new")
    alone = explain(scorer(described(preparation(), grouping=GROUPING)), {**one_customer(), "country": "DE"})
    assert "the only segment of its group" in drawn(alone, assigned_key=3)
