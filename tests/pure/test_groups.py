"""Groups without a JVM: who is routed where, names, samples, passes and scores that stay within a group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segengine.errors import ConfigError
from segengine.features import Attributes, choose
from segengine.features.prepare_fit import InputColumn, Options, learn
from segengine.features.prepare_numbers import prepare
from segengine.features.prepare_sample import Sample
from segengine.model.blocks import packing
from segengine.model.choose import RULE, Candidate, KDecision
from segengine.model.group_sample import HASH, fair_limit, joined
from segengine.model.groups import Grouping, GroupModel, Key, Routing, named, spacing
from segengine.model.history import recipe_fingerprint
from segengine.model.lloyd import pass_kernel
from segengine.scoring.batch import score_kernel
from tests.pure.configs import MINIMAL, config, people, refused

FR, DE, NONE, REST = Key("value", "FR"), Key("value", "DE"), Key("missing"), Key("other")


def decision(k: int) -> KDecision:
    candidate = Candidate(k, 1.0, 0.5, 0.5, 1.0, 1.0, 0.4, 0.6, k, "chosen", "the only one")
    return KDecision(k, RULE, f"{k} segments.", (candidate,))


def grouping(**changed: object) -> Grouping:
    measures = {"customers": 10, "sampled_customers": 10, "inertia": 1.5, "smallest_share": 0.4, "largest_share": 0.6}
    groups = (
        GroupModel("FR", FR, 0, 2, 10, decision(2), {**measures, "macro_silhouette": 0.2, "micro_silhouette": 0.1}),
        GroupModel("other", REST, 2, 3, 30, decision(3), {**measures, "macro_silhouette": 0.7, "smallest_share": 0.1}),
    )
    plain = {"by": "country", "column": "country", "groups": groups, "fallback": 1, "spacing": 8.0, "notes": ("n",)}
    return Grouping(**{**plain, **changed})  # type: ignore[arg-type]  # of the right types by name


def test_a_value_has_its_group_and_what_is_unknown_the_fallback():
    routing = Routing("country", (FR, NONE, DE), 2)
    assert [routing.index_of(value) for value in ("FR", None, "DE", "fr", "FR ", "")] == [0, 1, 2, 2, 2, 2]
    assert Routing("country", (FR, REST), 1).index_of(None) == 1


def test_names_are_values_and_those_of_the_other_groups_are_free():
    values = [Key("value", name) for name in ("other", "(other)", "x", "missing")]
    assert named([*values, NONE, REST]) == ("other", "(other)", "x", "missing", "(missing)", "((other))")
    assert named([FR, NONE, REST]) == ("FR", "missing", "other")


def test_a_grouping_survives_as_json_and_its_measures_are_of_all_groups():
    one = grouping()
    assert Grouping.from_dict(one.to_dict(), one.decisions()) == one
    with pytest.raises(ValueError, match="zip"):
        Grouping.from_dict(one.to_dict(), one.decisions()[:1])
    assert one.ranges == ((0, 2), (2, 5))
    assert one.routes().tolist() == [0.0, 0.0, 8.0, 8.0, 8.0]
    assert [one.name_of(segment) for segment in range(5)] == ["FR", "FR", "other", "other", "other"]
    assert (one.decision().k, one.decision().sentence) == (5, "5 segments in 2 groups by country, 2 to 3 each.")
    measures = one.metrics()
    assert (measures["customers"], measures["inertia"], measures["smallest_share"]) == (20, 3.0, 0.1)
    assert measures["macro_silhouette"] == pytest.approx((2 * 0.2 + 3 * 0.7) / 5)
    assert measures["micro_silhouette"] == pytest.approx(0.1)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(1, 200))
def test_no_group_is_cut_before_it_has_more_than_its_even_share(customers, total):
    limit = fair_limit(customers, total)
    taken = sum(min(number, limit) for number in customers)
    assert taken <= max(total, len(customers))
    if sum(customers) > total and total >= len(customers):
        assert sum(min(number, limit + 1) for number in customers) > total
    if sum(customers) <= total:
        assert limit >= max(customers)


def test_the_sample_of_groups_together_is_that_of_the_smallest_hashes():
    def sample(hashes: list[int], customers: int) -> Sample:
        return Sample(pd.DataFrame({"customer_id": [f"c{n}" for n in hashes], HASH: hashes}), customers)

    everybody = joined([sample([5, 9], 2), sample([1, 7], 2)])
    assert (everybody.frame[HASH].tolist(), everybody.is_everybody) == ([1, 5, 7, 9], True)
    cut = joined([sample([5, 9], 2), sample([1, 6], 40)])  # of the second group nothing is known beyond 6
    assert (cut.frame[HASH].tolist(), cut.customers) == ([1, 5], 42)


@pytest.mark.parametrize("cap", [(0.01, 0.99), None])
def test_groups_are_farther_apart_than_any_customer_is_from_a_centre(cap):
    random = np.random.default_rng(0)
    columns = {
        "spent": random.lognormal(3, 2, 500),
        "gap": np.where(random.random(500) < 0.2, np.nan, random.normal(0, 9, 500)),
        "plan": random.choice(np.array(["a", "b", None], dtype=object), 500),
    }
    inputs = [InputColumn("spent", "rfm", "numeric"), InputColumn("gap", "rfm", "numeric")]
    inputs.append(InputColumn("plan", "attributes", "categorical"))
    preparation = learn(inputs, columns, Options(cap, "auto", "standard", {"rfm": 1.0}))
    points = prepare(preparation, columns)
    apart = spacing(preparation, points)
    assert np.log2(apart) == int(np.log2(apart))
    odd = {
        "spent": np.array([-1e140, 1e140, np.nan]) if cap else np.array([0.0, 1e4, np.nan]),
        "gap": np.array([1e150, -np.inf, 0.0]) if cap else np.array([1e3, -np.inf, 0.0]),
        "plan": np.array(["unseen", None, "a"], dtype=object),
    }
    for point in prepare(preparation, odd):
        assert np.linalg.norm(points - point, axis=1).max() < apart / 2


def totals(kernel, batch: pa.RecordBatch) -> list[float]:
    (made,) = kernel([batch])
    numbers: list[float] = made.column(1).to_pylist()[0]
    return numbers


def test_a_pass_counts_a_customer_for_the_sets_of_its_own_group_only():
    random = np.random.default_rng(1)
    x, revenue = random.normal(size=(60, 2)), random.integers(1, 9, 60).astype(float)
    group = random.integers(0, 3, 60).astype(np.int32)
    starts = [random.normal(size=(k, 2)) for k in (2, 3, 2)]

    def batch(rows: np.ndarray) -> pa.RecordBatch:
        points = pa.array(x[rows].tolist(), pa.list_(pa.float64()))
        draw = pa.array(np.zeros(len(rows), dtype=np.int32))
        columns = [points, pa.array(revenue[rows]), draw, pa.array(group[rows])]
        (block,) = packing()([pa.RecordBatch.from_arrays(columns, names=["x", "revenue", "draw", "group"])])
        return block

    together = totals(pass_kernel(starts, [0, 1, 2]), batch(np.arange(60)))
    apart = [totals(pass_kernel([start]), batch(np.flatnonzero(group == g))) for g, start in enumerate(starts)]
    assert together == [number for part in apart for number in part]
    only_two = totals(pass_kernel([starts[2], starts[0]], [2, 0]), batch(np.arange(60)))
    assert only_two == [*apart[2], *apart[0]]
    nobody = totals(pass_kernel([starts[0]], [7]), batch(np.arange(60)))
    assert set(nobody) == {0.0}


def test_segment_and_runner_up_are_of_the_customers_own_group():
    centres = np.array([[0.0], [10.0], [0.5], [20.0]])
    points = pa.array([[0.4], [0.4], None, [19.0]], pa.list_(pa.float64()))
    nearest, group = pa.array([0, 2, None, 1], pa.int32()), pa.array([0, 1, None, 1], pa.int32())
    batch = pa.RecordBatch.from_arrays([points, nearest, group], names=["x", "n", "g"])
    (scored,) = score_kernel(centres, np.full(4, 5.0), [(0, 2), (2, 4)])([batch])
    assert scored.column("segment_index").to_pylist() == [0, 2, None, 3]  # 1 is no segment of the last one's group
    assert scored.column("runner_up_index").to_pylist() == [1, 3, None, 2]
    assert scored.column("distance").to_pylist() == pytest.approx([0.4, 0.1, None, 1.0])
    empty = batch.slice(2, 1)
    (alone,) = score_kernel(centres, np.full(4, 5.0), [(0, 2), (2, 4)])([empty])
    assert alone.column("is_outlier").to_pylist() == [None]


@pytest.mark.parametrize(
    ("customers", "told"),
    [
        (None, "It has none."),
        ({"attributes": ["county", "plan"]}, "Did you mean county? It has: county, plan."),
        ({"protected": ["country"], "attributes": ["plan"]}, "is protected"),
    ],
)
def test_an_attribute_to_group_by_has_to_be_there_and_not_protected(customers, told):
    tables = MINIMAL["tables"] if customers is None else people(**customers)
    assert told in refused(tables=tables, segments={"by": "country"})


def test_a_smallest_group_without_groups_is_refused():
    assert "does nothing without by" in refused(segments={"by_min_customers": 50})


def test_a_number_is_nothing_to_group_by_and_the_attribute_is_no_feature():
    settings = config(tables=people(), segments={"by": "country"}, features={"include": ["rfm", "attributes"]})
    found = choose(settings, frozenset(), Attributes((), ("country", "plan")))
    assert [feature.name for feature in found.features][-1] == "plan"
    assert ("country", "gives each of its values segments of their own (segments.by)") in found.left_out
    with pytest.raises(ConfigError, match="it is a number"):
        choose(settings, frozenset(), Attributes(("country",), ("plan",)))


def test_models_without_groups_keep_their_fingerprint_and_groups_are_part_of_it():
    assert recipe_fingerprint(config()) == "c2f81327c7f3396c0850d89d2ff1ecd7647990fcf1660b5b234bc8db74a7bb7c"
    plain = config(tables=people())
    prints = [recipe_fingerprint(plain)]
    for attributes in (["country", "plan"], [{"country": "upper(land)"}, "plan"]):
        prints.append(recipe_fingerprint(config(tables=people(attributes=attributes), segments={"by": "country"})))
    assert len(set(prints)) == 3
