"""What a preparation learns, in numpy alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segengine.errors import FeatureError, ModelError
from segengine.features.prepare_fit import InputColumn, Options, learn
from segengine.features.prepare_numbers import NumericInput, Preparation, inverse, prepare

NUMBER = InputColumn("spend", "rfm", "numeric")


def options(cap=None, log="never", scale="standard", weights=None) -> Options:
    return Options(cap, log, scale, weights or {"rfm": 1.0, "others": 0.5})


def learn_one(values, **kinds) -> Preparation:
    return learn([NUMBER], {"spend": np.array(values, dtype=float)}, options(**kinds))


def levels(values, **kinds) -> Preparation:
    column = InputColumn("plan", "attributes", "categorical")
    return learn([column], {"plan": np.array(values, dtype=object)}, options(**kinds))


def lognormal(n: int = 500) -> np.ndarray:
    return np.random.default_rng(0).lognormal(3, 1, n)


def test_prepared_columns_are_centred_on_a_sample_standard_deviation_of_one():
    values = np.array([1.0, 2.0, 4.0, 9.0])
    points = prepare(learn_one(values), {"spend": values})
    assert points[:, 0] == pytest.approx((values - 4.0) / np.std(values, ddof=1))


def test_a_missing_number_becomes_the_median_and_leaves_a_flag():
    preparation = learn_one([1.0, 2.0, 9.0, np.nan])
    assert preparation.inputs[0].impute == 2.0
    assert [column.part for column in preparation.vector] == ["value", "missing"]
    points = prepare(preparation, {"spend": np.array([2.0, np.nan, np.inf])})
    assert points[0, 0] == points[1, 0] == points[2, 0]
    assert points[0, 1] < points[1, 1] == points[2, 1]


def test_flags_of_the_same_customers_are_kept_once():
    gaps = np.array([1.0, 2.0, np.nan, 5.0])
    columns = [InputColumn("mean_gap", "rhythm", "numeric"), InputColumn("gap_variation", "rhythm", "numeric")]
    preparation = learn(columns, {"mean_gap": gaps, "gap_variation": gaps**2}, options())
    assert [column.part for column in preparation.vector] == ["value", "missing", "value"]
    assert preparation.dropped[0].reason == "missing for the same customers as mean_gap"


def test_caps_are_exact_quantiles_of_the_numbers_that_are_there():
    values = np.append(np.arange(101.0), [np.nan, np.inf])
    assert learn_one(values, cap=(0.05, 0.9)).inputs[0].cap == (5.0, 90.0)


def test_log_auto_takes_skewed_columns_only():
    assert learn_one(lognormal(), log="auto").inputs[0].log_scale is not None
    assert learn_one(np.random.default_rng(0).normal(0, 1, 500), log="auto").inputs[0].log_scale is None
    assert learn_one(-lognormal(), log="auto").inputs[0].log_scale is not None  # skewed to the left just as well


@settings(max_examples=50)
@given(st.floats(1e-4, 1e6))
def test_another_currency_gives_the_same_points(rate):
    values = np.append(lognormal(200), [0.0, -15.0])
    before = prepare(learn_one(values, cap=(0.01, 0.99), log="auto"), {"spend": values})
    after = prepare(learn_one(values * rate, cap=(0.01, 0.99), log="auto"), {"spend": values * rate})
    assert after == pytest.approx(before, abs=1e-9)


@settings(max_examples=50)
@given(st.permutations(range(12)))
def test_the_order_of_customers_does_not_matter_to_the_last_bit(order):
    values = np.append(lognormal(11), [np.nan])
    assert learn_one(values[list(order)], log="auto") == learn_one(values, log="auto")


@settings(max_examples=200)
@given(arrays(np.float64, 20, elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_no_number_however_odd_makes_a_point_that_is_not_finite(odd):
    preparation = learn_one(lognormal(), cap=(0.01, 0.99), log="auto")
    assert np.isfinite(prepare(preparation, {"spend": odd})).all()


def test_a_column_without_any_number_is_named():
    with pytest.raises(FeatureError, match="spend"):
        learn_one([np.nan, np.inf, -np.inf])


def test_constant_columns_are_dropped_with_a_note_and_all_constant_is_an_error():
    columns = [NUMBER, InputColumn("rate", "rfm", "numeric")]
    data = {"spend": np.array([1.0, 2.0, 3.0]), "rate": np.array([0.1 + 0.2, 0.3, 0.3])}
    preparation = learn(columns, data, options())
    assert [column.input for column in preparation.vector] == ["spend"]
    assert "but for rounding" in preparation.dropped[0].reason
    with pytest.raises(ModelError, match="same for all customers") as caught:
        learn_one([5.0, 5.0, 5.0])
    assert "spend" in str(caught.value)


def test_rfm_weighs_one_and_the_other_families_share_a_half():
    names = {"recency": "rfm", "orders": "rfm", "basket": "basket", "gap": "rhythm", "gap2": "rhythm"}
    random = np.random.default_rng(0)
    data = {name: random.normal(size=50) for name in names}
    preparation = learn([InputColumn(n, family, "numeric") for n, family in names.items()], data, options())
    squares = {column.input: column.weight**2 for column in preparation.vector}
    assert squares == pytest.approx({"recency": 0.5, "orders": 0.5, "basket": 0.25, "gap": 0.125, "gap2": 0.125})


def test_a_family_with_a_weight_of_its_own_leaves_the_share_to_the_rest():
    names = {"recency": "rfm", "basket": "basket", "gap": "rhythm", "age": "attributes"}
    random = np.random.default_rng(0)
    data = {name: random.normal(size=50) for name in names}
    columns = [InputColumn(n, family, "numeric") for n, family in names.items()]
    weights = {"rfm": 1.0, "basket": 2.0, "attributes": 0.0, "others": 0.5}
    preparation = learn(columns, data, options(weights=weights))
    assert [round(column.weight**2, 12) for column in preparation.vector] == [1.0, 2.0, 0.5]
    assert [dropped.input for dropped in preparation.dropped] == ["age"]


def test_two_even_levels_weigh_as_much_as_one_number():
    columns = [InputColumn("age", "attributes", "numeric"), InputColumn("plan", "attributes", "categorical")]
    data = {"age": np.arange(100.0), "plan": np.array(["a", "b"] * 50, dtype=object)}
    points = prepare(learn(columns, data, options()), data)
    age, *plan = points.var(axis=0, ddof=1)
    assert sum(plan) == pytest.approx(age, rel=0.02)


def test_levels_are_taken_by_frequency_and_the_rest_share_other():
    values = [f"p{i:02d}" for i in range(25) for _ in range(30 - i)]
    preparation = levels(values)
    assert preparation.inputs[0].levels == tuple(f"p{i:02d}" for i in range(20))
    assert preparation.vector[-1].part == "other"
    points = prepare(preparation, {"plan": np.array(["p24", "never seen"], dtype=object)})
    assert np.array_equal(points[0], points[1])


def test_a_level_never_seen_and_a_missing_one_are_no_error():
    preparation = levels(["a", "a", "b", None])
    points = prepare(preparation, {"plan": np.array(["c", None, np.nan], dtype=object)})
    assert np.isfinite(points).all()
    assert np.array_equal(points[1], points[2])
    assert not np.array_equal(points[0], points[1])


def test_a_preparation_survives_json():
    values = np.append(lognormal(50), np.nan)
    for preparation in (learn_one(values, cap=(0.01, 0.99), log="auto"), levels(["a", "b", None, "b"])):
        assert Preparation.from_dict(json.loads(json.dumps(preparation.to_dict()))) == preparation


def test_a_centre_goes_back_to_its_own_unit():
    columns = [NUMBER, InputColumn("plan", "attributes", "categorical"), InputColumn("flat", "rfm", "numeric")]
    values = lognormal(100)
    data = {"spend": values, "plan": np.array(["a", "b"] * 50, dtype=object), "flat": np.full(100, 7.0)}
    preparation = learn(columns, data, options(log="always"))
    item = preparation.inputs[0]
    assert isinstance(item, NumericInput) and item.log_scale is not None
    back = inverse(preparation, prepare(preparation, data))
    assert [row["spend"] for row in back] == pytest.approx(values.tolist())
    assert [row["plan"] for row in back] == data["plan"].tolist()
    assert {row["flat"] for row in back} == {7.0}
