"""Twelve monthly retrains of a shop that changes: who did not change keeps the id, and what happens is told as such."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from tests import yearly

CUSTOMERS = 800


@dataclass(frozen=True)
class Month:
    rows: pd.DataFrame
    model: yearly.Model


@pytest.fixture(scope="module", params=[2])
def months(request: pytest.FixtureRequest) -> list[Month]:
    shop = yearly.shop(CUSTOMERS, seed=request.param)
    return [Month(*month) for month in yearly.year(shop.tables().lines, shop.start, yearly.config())]


def events(month: Month) -> dict[str, list[int]]:
    told: dict[str, list[int]] = {}
    for event in month.model.identity.events:
        told.setdefault(event.event, []).append(event.segment_key)
    return told


def kept(months: list[Month], hysteresis: float) -> list[float]:
    """For each retrain, of the customers whom the model before finds where they were, the share still there."""
    shares, was = [], months[0].model.keys(months[0].rows)
    for before, now in itertools.pairwise(months):
        there = before.rows.index.intersection(now.rows.index)
        still = before.model.keys(now.rows, was, hysteresis)[there]
        unchanged = there[(was[there] == still).to_numpy()]
        keys = now.model.keys(now.rows, was, hysteresis)
        shares.append(float((keys[unchanged] == was[unchanged]).mean()))
        was = keys
    return shares


def test_98_of_100_customers_who_did_not_change_keep_their_id_in_every_retrain(months: list[Month]) -> None:
    shares = kept(months, hysteresis=0.2)
    assert min(shares) >= 0.98, shares
    assert np.mean(shares) >= 0.99


def test_without_hysteresis_only_the_retrain_that_finds_a_new_segment_moves_more(months: list[Month]) -> None:
    shares = kept(months, hysteresis=0.0)
    new = shares.pop(yearly.APPEARS - 1)
    assert min(shares) >= 0.98, shares
    assert new >= 0.97


def test_prices_did_drift_and_half_a_year_of_matching_went_through_changing_models(months: list[Month]) -> None:
    first, last = months[1].model.preparation.vector[2], months[12].model.preparation.vector[2]
    assert first.mean != last.mean
    assert {len(month.model.centres) for month in months} == {4, 5}


def test_the_segment_that_appears_and_the_one_that_vanishes_are_told_and_no_other(months: list[Month]) -> None:
    for number, month in enumerate(months[1:], start=1):
        told = events(month)
        if number == yearly.APPEARS:
            assert told["new"] == [5] and "split" not in told
        elif number == yearly.VANISHES:
            (gone,) = told["retired"]
        else:
            assert set(told) == {"kept"}, (number, told)
    assert gone not in months[-1].model.identity.keys
    assert months[-1].model.identity.minted == (1, 2, 3, 4, 5)


def test_holding_customers_at_borders_halves_flip_flops(months: list[Month]) -> None:
    """A flip-flop: in a segment, in another one a month later, and back after two."""
    model = months[1].model

    def flip_flops(hysteresis: float) -> tuple[int, float]:
        prior: pd.Series | None = None
        found = []
        for month in months[1:]:
            prior = model.keys(month.rows, prior, hysteresis)
            found.append(prior)
        keys = pd.DataFrame(dict(enumerate(found))).to_numpy(np.float64)
        there = ~np.isnan(keys[:, 2:]) & ~np.isnan(keys[:, 1:-1])
        back = (keys[:, 2:] == keys[:, :-2]) & (keys[:, 1:-1] != keys[:, :-2]) & there
        held = float((found[-1] != model.keys(months[-1].rows)).mean())
        return int(back.sum()), held

    (free, _), (damped, held) = flip_flops(0.0), flip_flops(0.1)
    assert damped <= 0.65 * free
    assert held <= 0.03
