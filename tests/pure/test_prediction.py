"""What segments tell of the next period: eta squared by its definition, baselines, intervals, weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import f_oneway

from segengine.features.prepare_fit import InputColumn, Options
from segengine.features.prepare_sample import Sample
from segengine.model.ahead import judge_recipe, segments_of, weigh
from segengine.model.prediction import Behaviour, compare, eta_squared, etas_squared, panel_mean, raw_rfm, rfm_grid
from segengine.runs.ahead import behaviours_of

OPTIONS = Options((0.01, 0.99), "auto", "standard", {"rfm": 1.0, "others": 0.5})
RFM = ("recency_days", "frequency_orders", "monetary_total")


def test_eta_squared_is_that_of_the_analysis_of_variance():
    random = np.random.default_rng(1)
    labels = random.integers(0, 4, 300)
    values = random.normal(size=300) + labels * 0.4
    f = f_oneway(*(values[labels == group] for group in range(4))).statistic
    assert eta_squared(values, labels) == pytest.approx(f * 3 / (f * 3 + 296))


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_weights_count_like_repeated_customers(rows):
    values, labels, times = (np.array(part) for part in zip(*rows, strict=True))
    repeated = eta_squared(np.repeat(values, times), np.repeat(labels, times))
    weighted = etas_squared(values, [labels], times[None, :].astype(float))
    assert weighted[0, 0] == pytest.approx(repeated, abs=1e-6)


def test_each_draw_counts_its_own_customers_and_none_that_are_unknown():
    random = np.random.default_rng(2)
    values, labels = random.lognormal(3, 2, size=500), random.integers(0, 4, 500)
    values[random.random(500) < 0.1] = np.nan
    draws = [random.integers(0, 500, 500) for _ in range(20)]
    weights = np.stack([np.bincount(draw, minlength=500) for draw in draws]).astype(float)
    found = etas_squared(values, [labels], weights)
    for draw, share in zip(draws, found[:, 0], strict=True):
        one = draw[~np.isnan(values[draw])]
        groups = [values[one][labels[one] == group] for group in range(4)]
        f = f_oneway(*groups).statistic
        assert share == pytest.approx(f * 3 / (f * 3 + len(one) - 4), rel=1e-9)


def test_groups_that_know_everything_have_one_and_groups_that_know_nothing_have_zero():
    values = np.array([1.0, 1.0, 5.0, 5.0])
    assert eta_squared(values, np.array([0, 0, 1, 1])) == pytest.approx(1)
    assert eta_squared(values, np.array([0, 1, 0, 1])) == pytest.approx(0)
    assert eta_squared(np.ones(4), np.array([0, 1, 0, 1])) == 0


def test_the_grid_parts_no_equals_and_ranks_the_best_customers_highest():
    random = np.random.default_rng(2)
    recency = random.integers(0, 300, 900).astype(np.float64)
    frequency = random.integers(1, 5, 900).astype(np.float64)
    money = random.lognormal(size=900)
    grid = rfm_grid(recency, frequency, money, 7)
    assert sorted(set(grid.tolist())) == list(range(7))
    assert recency[grid == 6].mean() < recency[grid == 0].mean()
    assert money[grid == 6].mean() > money[grid == 0].mean()
    alike = rfm_grid(recency, np.ones(900), np.ones(900), 5)
    assert len({(r, g) for r, g in zip(recency, alike, strict=True)}) == len(set(recency))


def test_wins_losses_and_ties_are_told_by_paired_intervals():
    random = np.random.default_rng(3)
    truth, noise = random.integers(0, 3, 600), random.integers(0, 3, 600)
    behaviours = [Behaviour("seen", truth + random.normal(size=600)), Behaviour("unseen", random.normal(size=600))]
    found = compare(behaviours, {"segments": truth, "rfm_grid": noise, "raw_rfm_kmeans": truth}, seed=7, draws=100)
    outcomes = {(one.behaviour, one.baseline): one.outcome for one in found.against}
    assert outcomes["seen", "rfm_grid"] == "won"
    assert outcomes["seen", "raw_rfm_kmeans"] == "tied"
    lost = compare(behaviours, {"segments": noise, "rfm_grid": truth}, seed=7, draws=100)
    assert {one.outcome for one in lost.against if one.behaviour == "seen"} == {"lost"}
    assert lost.hardest.high < 0
    for one in found.separations:
        assert one.low <= one.high
        assert 0 <= one.eta_squared <= 1
    assert found.to_dict()["panel"][0]["outcome"] == "won"


def test_what_is_not_judged_does_not_move_the_panel_and_lift_is_of_who_spent_most_before():
    labels, before = np.array([0, 0, 1, 1]), np.array([1.0, 1.0, 9.0, 9.0])
    after = Behaviour("revenue", np.array([1.0, 1.0, 3.0, 3.0]), is_judged=False)
    plain = Behaviour("plain", np.array([0.0, 1.0, 0.0, 1.0]))
    found = compare(
        [plain, after], {"segments": labels, "rfm_grid": labels[::-1]}, seed=7, spent_before=before, draws=9
    )
    assert found.panel[0].difference == pytest.approx(0)
    assert (found.lift, found.lift_share) == (1.5, 0.5)


def test_behaviours_do_not_depend_on_the_currency_and_say_nothing_of_who_did_not_buy():
    did = {
        "revenue": np.array([0.0, 100e4, 400e4]),
        "orders": np.array([0.0, 1.0, 2.0]),
        "late_orders": np.array([0.0, 0.0, 1.0]),
        "varieties": np.array([0.0, 2.0, 3.0]),
        "discount": np.array([0.0, 100e4, 0.0]),
    }
    panel = {one.name: one.values for one in behaviours_of(did)}
    assert list(panel["active_later"]) == [0, 0, 1]
    assert np.isnan(panel["log_order_value"][0])
    assert panel["discount_share"][1] == 0.5
    yen = {**did, "revenue": did["revenue"] * 150, "discount": did["discount"] * 150}
    labels = np.array([0, 1, 1])
    for name in ("log_revenue", "discount_share"):
        other = {one.name: one.values for one in behaviours_of(yen)}[name]
        known = ~np.isnan(other)
        assert eta_squared(panel[name][known], labels[known]) == pytest.approx(eta_squared(other[known], labels[known]))


def shop(n: int = 600) -> tuple[Sample, list[Behaviour], list[InputColumn]]:
    """Customers whose future depends on RFM, beside three features that are noise."""
    random = np.random.default_rng(4)
    kind = random.integers(0, 3, n)
    frame = pd.DataFrame({"customer_id": [f"c{i}" for i in range(n)]})
    frame["recency_days"] = random.gamma(2.0, 10.0 * (kind + 1))
    frame["frequency_orders"] = random.poisson(2 + 4 * (2 - kind)) + 1.0
    frame["monetary_total"] = frame["frequency_orders"] * random.lognormal(3.0, 0.4, n)
    noise = [f"noise_{i}" for i in range(3)]
    for name in noise:
        frame[name] = random.integers(0, 2, n) * 8.0 + random.normal(size=n)
    inputs = [
        *(InputColumn(name, "rfm", "numeric") for name in RFM),
        *(InputColumn(n, "basket", "numeric") for n in noise),
    ]
    later = (2 - kind) + random.normal(0, 0.5, n)
    return Sample(frame, n), [Behaviour("later", later)], inputs


def test_automatic_weights_take_noise_away_and_never_pick_what_is_worse():
    sample, behaviours, inputs = shop()
    heavy = Options((0.01, 0.99), "auto", "standard", {"rfm": 1.0, "others": 2.0})
    found = weigh(sample, behaviours, inputs, heavy, 3, seed=7)
    assert found.weights["basket"] < 0.5
    scores = [score for _, score in found.trials]
    picked = next(score for weights, score in found.trials if weights == found.weights)
    assert picked > scores[0]
    assert picked >= max(scores) - 0.002 * len(scores)
    plain = segments_of(sample, inputs, heavy, 3, restarts=4, seed=7)
    assert panel_mean(behaviours, plain) < picked


def test_a_recipe_is_judged_with_both_baselines_and_rows_stay_in_order():
    sample, behaviours, inputs = shop()
    found = judge_recipe(sample, behaviours, inputs, OPTIONS, 3, restarts=4, seed=7)
    assert {one.method for one in found.separations} == {"segments", "rfm_grid", "raw_rfm_kmeans"}
    order = np.random.default_rng(1).permutation(600)
    mixed = Sample(sample.frame.iloc[order].reset_index(drop=True), 600)
    shuffled = [Behaviour(one.name, one.values[order]) for one in behaviours]
    again = judge_recipe(mixed, shuffled, inputs, OPTIONS, 3, restarts=4, seed=7)
    assert again.separations[0].eta_squared == pytest.approx(found.separations[0].eta_squared)
    columns = sample.columns
    recency, frequency, money = (columns[name] for name in RFM)
    assert len(set(raw_rfm(recency, frequency, money, 3, seed=7).tolist())) == 3
