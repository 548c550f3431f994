"""The scorer without Spark: right numbers from every kind of table, whole bundles only, speed, and numpy alone."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segengine.errors import BundleError, InputError, ModelError
from segengine.features.catalog import catalog_names
from segengine.features.prepare_numbers import prepare
from segengine.model.groups import Key, Routing
from segengine.model.scorer import WHOLE
from segengine.scoring.log1p import log1p
from segengine.scoring.nearest import Centres
from segengine.scoring.online import load
from tests.pure.online_bundles import GROUPING, NUMBERS, customers, described, preparation, scorer, write_bundle

ROOT = Path(__file__).resolve().parents[2]
FITTED = preparation()
MODEL = described(FITTED)
GROUPED = described(FITTED, grouping=GROUPING)


def by_hand(frame: pd.DataFrame, model, fitted=FITTED) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, d) and distances (n, k) by the preparation's own arithmetic and numpy's norm."""
    points = prepare(fitted, {str(name): frame[name].to_numpy() for name in frame})
    return points, np.linalg.norm(points[:, None, :] - np.array(model["centres"])[None], axis=2)


def equal(one, other) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("log", ["auto", "always", "never"])
@pytest.mark.parametrize("cap", [(0.01, 0.99), None])
def test_scores_are_those_of_the_preparation_and_of_plain_distances(cap, log):
    fitted = preparation(cap, log)
    model = described(fitted)
    frame = customers(700, seed=1)
    _, distances = by_hand(frame, model, fitted)
    got = scorer(model).score(frame)
    ranked = np.argsort(distances, axis=1)
    own, other = (np.take_along_axis(distances, ranked[:, [i]], axis=1)[:, 0] for i in (0, 1))
    assert np.array_equal(got["segment_index"], ranked[:, 0])
    assert np.array_equal(got["segment_key"], ranked[:, 0] + 1)
    assert np.array_equal(got["runner_up_key"], ranked[:, 1] + 1)
    assert np.allclose(got["distance"], own, rtol=0, atol=1e-9)
    assert np.allclose(got["margin"], 1 - own / other, rtol=0, atol=1e-9)
    assert np.array_equal(got["is_outlier"], own > np.array(model["outlier_limits"])[ranked[:, 0]])
    assert list(got["segment_name"][:3]) == [model["names"][i] for i in ranked[:3, 0]]


def test_every_kind_of_table_and_single_customers_give_the_same():
    frame = customers(60)
    model = scorer(MODEL)
    expected = model.score(frame)
    table = pa.Table.from_pandas(frame)
    nullable = frame.astype({"frequency_orders": "Int64", "days_between_orders_mean": "Float64", "plan": "string"})
    decimals = {
        **{name: frame[name].tolist() for name in frame},
        "monetary_total": [Decimal(str(v)) for v in frame["monetary_total"]],
    }
    for form in (
        table,
        table.to_batches()[0],
        pa.concat_tables([table.slice(0, 25), table.slice(25)]),
        {name: frame[name].to_numpy() for name in frame},
        decimals,
        {name: pd.Categorical(frame[name]) if name == "plan" else frame[name] for name in frame},
        nullable,
        frame.assign(more=1),
        frame[list(reversed(frame.columns))],
    ):
        assert equal(expected, model.score(form))
    singles = [model.score({k: None if v != v else v for k, v in row.items()}) for row in frame.to_dict("records")]
    for name, column in expected.items():
        assert [one[name] for one in singles] == column.tolist()
    assert json.loads(json.dumps(singles[0])) == singles[0]


def test_a_table_without_rows_gives_columns_without_rows():
    assert len(scorer(MODEL).score(customers(5).iloc[:0])["segment_key"]) == 0
    assert len(scorer(GROUPED).score(customers(5).assign(country="FR").iloc[:0])["segment_key"]) == 0


@pytest.mark.parametrize("absent", [None, math.nan, math.inf, -math.inf, 1e200, pd.NA, np.float32("nan")])
def test_missing_numbers_are_prepared_as_missing_whatever_they_look_like(absent):
    model = scorer(MODEL)
    given = customers(1).to_dict("records")[0]
    plain = model.score({**given, "recency_days": None})
    assert model.score({**given, "recency_days": absent}) == plain
    column = {name: [value, value] for name, value in given.items()} | {"recency_days": [absent, 3.0]}
    assert model.score(column)["distance"][0] == plain["distance"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"recency_days": "12"}, "'recency_days' is not a number"),
        ({"recency_days": b"12"}, "'recency_days' is not a number"),
        ({"recency_days": {"a": 1}}, "'recency_days' is not a number"),
        ({"recency_days": 10**400}, "'recency_days' is not a number"),
        ({"plan": 1.5}, "'plan' is not a text"),
        ({"recency_days": [1, 2]}, "mixed"),
    ],
)
def test_what_is_not_a_feature_is_refused_without_showing_it(change, told):
    with pytest.raises(InputError) as caught:
        scorer(MODEL).score({**customers(1).to_dict("records")[0], **change})
    assert told in str(caught.value)
    assert "12" not in str(caught.value)


def test_odd_tables_are_refused():
    frame = customers(3)
    model = scorer(MODEL)
    with pytest.raises(InputError, match="not equally long"):
        model.score({**{name: frame[name] for name in frame}, "plan": ["basic"]})
    with pytest.raises(InputError, match="more than one dimension"):
        model.score({**{name: frame[name] for name in frame}, "plan": [["a"], ["b", "c"], []]})
    with pytest.raises(InputError, match="not a number"):
        model.score(frame.assign(recency_days=pd.Timestamp("2024-01-01")))
    with pytest.raises(InputError, match="not a number"):
        model.score({**{name: frame[name] for name in frame}, "recency_days": [1, "2", 3]})
    with pytest.raises(InputError, match="dict or a table") as caught:
        model.score([1, 2])
    assert "list" in str(caught.value)


def test_a_missing_column_is_named_with_the_nearest_there_is():
    with pytest.raises(InputError, match="1 of the model's features is missing") as caught:
        scorer(MODEL).score(customers(2).rename(columns={"recency_days": "recency_day"}))
    assert "Is 'recency_day' meant to be 'recency_days'?" in str(caught.value)


def test_masked_values_are_missing():
    frame = customers(4).assign(recency_days=[1.0, 2.0, 3.0, 4.0])
    columns = {name: frame[name].to_numpy() for name in frame}
    masked = {**columns, "recency_days": np.ma.masked_values(columns["recency_days"], 2.0)}
    expected = scorer(MODEL).score(frame.assign(recency_days=[1.0, None, 3.0, 4.0]))
    assert equal(expected, scorer(MODEL).score(masked))


def test_texts_that_are_no_level_are_the_others_and_whole_numbers_are_texts_too():
    model = scorer(MODEL)
    one = customers(1).to_dict("records")[0]
    assert model.score({**one, "plan": "never seen"}) == model.score({**one, "plan": 7})
    assert model.score({**one, "plan": True}) == model.score({**one, "plan": "true"})


def test_customers_are_compared_with_segments_of_their_own_group_only():
    countries = ["FR", "DE", None, "IT", "fr"]
    frame = pd.concat([customers(40, seed=5)] * 5, ignore_index=True)
    frame["country"] = np.repeat(np.array(countries, dtype=object), 40)
    frame = frame.sample(frac=1, random_state=1, ignore_index=True)
    got = scorer(GROUPED).score(frame)
    keys = (Key("value", "FR"), Key("value", "DE"), Key("missing"))
    routing = Routing("country", keys, GROUPING["fallback"])
    spans = [(group["first"], group["first"] + group["k"]) for group in GROUPING["groups"]]
    _, distances = by_hand(frame.drop(columns="country"), GROUPED)
    for i, country in enumerate(frame["country"]):
        first, stop = spans[routing.index_of(country)]
        nearest = first + distances[i, first:stop].argmin()
        assert got["segment_index"][i] == nearest
        assert got["distance"][i] == pytest.approx(distances[i, nearest], abs=1e-9)
        assert first < got["runner_up_key"][i] <= stop
    assert set(got["margin"][got["segment_index"] == 2]) == {1.0}  # a group of one segment has no border
    with pytest.raises(InputError, match="country"):
        scorer(GROUPED).score(frame.drop(columns="country"))


def test_shuffled_rows_get_the_same_scores():
    frame = customers(9000, seed=2)
    order = np.random.default_rng(0).permutation(len(frame))
    model = scorer(MODEL)
    straight, shuffled = model.score(frame), model.score(frame.iloc[order])
    assert all(np.array_equal(straight[name][order], shuffled[name]) for name in straight)


def as_spark(centres, point, route=None) -> int:
    """EuclideanDistanceMeasure.findClosest of Spark 3.5 to 4.2 for one point, in plain Python."""
    centres = [[*c, *([] if route is None else [route])] for c in centres]
    point = [*point, *([] if route is None else [route])]

    def total(terms):
        found = 0.0
        for term in terms:
            found += term
        return found

    def norm(v):
        return math.sqrt(total(a * a for a in v))

    def fast(c):
        exact = total((a - b) * (a - b) for a, b in zip(c, point, strict=True))
        if not 12 * sum(a != 0 for a in point) + 28 < 8 * len(point) + 12:
            return exact
        eps, n1, n2 = 2.0**-52, norm(c), norm(point)
        sums, product = n1 * n1 + n2 * n2, total(a * b for a, b in zip(c, point, strict=True))
        if 2.0 * eps * sums / ((n1 - n2) * (n1 - n2) + eps) < 1e-6:
            return sums - 2.0 * product
        found = max(sums - 2.0 * product, 0.0)
        return exact if eps * (sums + 2.0 * abs(product)) / (found + eps) > 1e-6 else found

    def quarter(i, j):
        away = math.sqrt(total((a - b) * (a - b) for a, b in zip(centres[i], centres[j], strict=True)))
        return 0.25 * away * away

    k = len(centres)
    least = [min(quarter(i, j) for j in range(k) if j != i) for i in range(k)]
    best, nearest = fast(centres[0]), 0
    if best < least[0]:
        return 0
    for i in range(1, k):
        apart = norm(centres[i]) - norm(point)
        if apart * apart < best and quarter(i, nearest) < best:
            found = fast(centres[i])
            if found < least[i]:
                return i
            if found < best:
                best, nearest = found, i
    return nearest


GRID = st.integers(-2, 2).map(lambda n: n / 2)
STEP = st.sampled_from([0.0, 0.1, 1 / 3, 0.5, 1e-9])


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(1, 6), st.integers(2, 5), st.sampled_from([None, 0.0, 64.0, 4096.0]))
def test_ties_and_near_ties_are_decided_as_spark_decides_them(data, d, k, route):
    factor = data.draw(STEP) + 1.0
    rows = st.lists(GRID, min_size=d, max_size=d)
    centres = factor * np.array(data.draw(st.lists(rows, min_size=k, max_size=k, unique_by=tuple)))
    points = factor * np.array(data.draw(st.lists(rows, min_size=1, max_size=6)))
    nearest, *_ = Centres(centres, route).find(np.ascontiguousarray(points.T))
    assert nearest.tolist() == [as_spark(centres.tolist(), point, route) for point in points.tolist()]


JAVA = (
    # x, StrictMath.log1p(x)
    ("0x0.0p+0", "0x0.0p+0"),
    ("0x1.79ca10c924223p-67", "0x1.79ca10c924223p-67"),
    ("0x1.b7cdfd9d7bdbbp-34", "0x1.b7cdfd9d1d693p-34"),
    ("0x1.999999999999ap-4", "0x1.8663f793c46c7p-4"),
    ("0x1.a826aa8eb4635p-2", "0x1.62e386e3de810p-2"),
    ("0x1.a82949a5657fbp-2", "0x1.62e5616bc4029p-2"),
    ("0x1.0000000000000p+0", "0x1.62e42fefa39efp-1"),
    ("0x1.c000000000000p+2", "0x1.0a2b23f3bab73p+1"),
    ("0x1.0000080000000p+0", "0x1.62e437efa38efp-1"),
    ("0x1.c000000000000p+1", "0x1.810b375dce91ep+0"),
    ("0x1.8800000000000p+3", "0x1.4ac06e8a51fb3p+1"),
    ("0x1.8f9999999999ap+6", "0x1.274de79c60448p+2"),
    ("0x1.34a0000000000p+10", "0x1.c7a17b2ab89e4p+2"),
    ("0x1.0000000000000p+53", "0x1.25e4f7b2737fap+5"),
    ("0x1.38d352e5096afp+498", "0x1.5963447f87fb5p+8"),
    ("0x1.8000002000000p+3", "0x1.485042bcf162ap+1"),
    ("0x1.380ca21d067f4p+2", "0x1.c55597d8c05d2p+0"),
    ("0x1.5fdc47b7e09b7p+6", "0x1.1f3f653df741ep+2"),
    ("0x1.66d5d4f32fa2cp+5", "0x1.e9a90bd02b3dcp+1"),
    ("0x1.7f68c15370d89p+6", "0x1.24af191a6f66ep+2"),
    ("0x1.0acc1672e4c3cp+6", "0x1.0dc3cdba6f39cp+2"),
    ("0x1.35773696d187cp+4", "0x1.819f1d48f5b86p+1"),
)


def test_the_logarithm_is_javas_to_the_last_bit():
    x, told = (np.array([float.fromhex(pair[i]) for pair in JAVA]) for i in (0, 1))
    assert log1p(x).tobytes() == told.tobytes()
    random = np.random.default_rng(0)
    powers = 2.0 ** np.arange(60)
    x = np.concatenate([10 ** random.uniform(-300, 150, 50_000), powers - 1, powers * 1.0000001])
    assert np.allclose(log1p(x), np.log1p(x), rtol=2.3e-16, atol=0)


def test_a_bundle_loads_from_the_output_the_models_or_the_version(tmp_path):
    root = write_bundle(tmp_path, MODEL)
    frame = customers(50)
    expected = scorer(MODEL).score(frame)
    for path in (root, root / "models", root / "models" / "v0001"):
        loaded = load(path)
        assert loaded.model_version == "v0001"
        assert equal(expected, loaded.score(frame))
    assert load(str(root), "v0001").columns == ("recency_days", *NUMBERS[1:], "plan")


def test_a_bundle_from_before_there_was_a_scorer_loads(tmp_path):
    root = write_bundle(tmp_path, GROUPED, without=("scorer.json",))
    frame = customers(50).assign(country="FR")
    assert equal(scorer(GROUPED).score(frame), load(root).score(frame))


def test_segments_have_the_lasting_keys_of_the_bundle(tmp_path):
    segments = [{"index": i, "segment_key": 9 - i, "segment_id": f"S-{9 - i:03d}"} for i in range(5)]
    root = write_bundle(tmp_path, MODEL, identity={"format": 1, "segments": segments})
    got = load(root).score(customers(50))
    assert np.array_equal(got["segment_key"], 9 - got["segment_index"])
    for wrong in ({"segments": segments[:4]}, {"segments": None}, {}):
        with pytest.raises(BundleError, match=r"identity\.json|not as it was saved"):
            load(write_bundle(tmp_path, MODEL, identity=wrong))


def refused(path: Path, version: str | None = None) -> str:
    with pytest.raises(BundleError) as caught:
        load(path, version)
    return str(caught.value)


@pytest.mark.parametrize("name", ["model.json", "scorer.json", "pipeline/metadata/part-00000"])
def test_one_flipped_bit_or_a_missing_file_is_found_whatever_the_file(tmp_path, name):
    root = write_bundle(tmp_path, MODEL)
    path = root / "models" / "v0001" / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert f"the content of {name} has changed" in refused(root)
    path.unlink()
    assert f"missing {name}" in refused(root)


def test_files_beside_the_manifest_and_manifests_made_anew_are_refused(tmp_path):
    root = write_bundle(tmp_path, MODEL)
    folder = root / "models" / "v0001"
    (folder / "more.json").write_text("{}")
    assert "not in the manifest: more.json" in refused(root)
    (folder / "more.json").unlink()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "note": 1}))
    assert "not the one that was made champion" in refused(root)
    assert "not the one that was made champion" in refused(folder)


@pytest.mark.parametrize("change", [{"format": 9}, {"files": None}, {"features": None}, {"features": ["other"]}])
def test_foreign_bundles_are_refused(tmp_path, change):
    root = write_bundle(tmp_path, MODEL)
    (root / "models" / "champion.json").unlink()
    path = root / "models" / "v0001" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))
    assert refused(root, "v0001")


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelError, match="no model to score with"):
        load(tmp_path)
    root = write_bundle(tmp_path, MODEL)
    assert "versions: v0001" in refused(root, "v0007")
    assert "not a model version" in refused(root, "../v0001")
    assert "not version v0002" in refused(root / "models" / "v0001", "v0002")
    (root / "models" / "champion.json").write_text("{oops")
    assert "cannot be read" in refused(root)


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(BundleError, match="do not fit together"):
        scorer({**MODEL, "names": ["one"]})


def test_it_needs_numpy_and_nothing_else(tmp_path):
    write_bundle(tmp_path, MODEL)
    (tmp_path / "customer.json").write_text(json.dumps(customers(1).astype(object).to_dict("records")[0]))
    code = """
import builtins, json, sys
heavy = {"pyspark", "delta", "py4j", "pandas", "pyarrow", "sklearn", "scipy", "pydantic", "yaml", "typer", "rich"}
plain = builtins.__import__
def only_numpy(name, *more):
    if name.split(".")[0] in heavy:
        raise ImportError(name)
    return plain(name, *more)
builtins.__import__ = only_numpy
from segengine.scoring.online import load
scored = load(sys.argv[1]).score(json.load(open(sys.argv[1] + "/customer.json")))
assert not heavy & {name.split(".")[0] for name in sys.modules}
print(scored["segment_key"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) in range(1, 6)


def test_one_customer_in_a_millisecond_and_a_hundred_thousand_in_a_fifth_of_a_second():
    """The promise is 1 ms, and 2 s for a million on one core; time of the process, least of a few tries."""
    model = scorer(MODEL)
    frame = customers(100_000)
    columns = {name: frame[name].to_numpy() for name in frame}
    one = customers(1).to_dict("records")[0]

    def seconds(call) -> float:
        begun = time.thread_time()
        call()
        return time.thread_time() - begun

    assert min(seconds(lambda: model.score(columns)) for _ in range(5)) < 0.2
    assert min(seconds(lambda: [model.score(one) for _ in range(20)]) for _ in range(5)) / 20 < 0.001


def test_features_in_whole_numbers_are_in_the_catalog():
    assert set(WHOLE) <= set(catalog_names())
