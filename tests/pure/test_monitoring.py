"""Monitoring: the statistics against scipy, false alarms on a shop with Christmas, true alarms within one run."""

from __future__ import annotations

import datetime as dt
import json
import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from segengine.io.files import LocalStore
from segengine.model.train import outlier_limits
from segengine.monitoring import keep
from segengine.monitoring.judge import Compared, Reading, calls, judge
from segengine.monitoring.profile import DISTANCE, Bins, Profile, counted, cut
from segengine.monitoring.statistics import PSEUDO_COUNT, chance_psi, chance_share, jensen_shannon, median_of, psi
from tests.azureml import read_by_others
from tests.pure import monitored_shop as shop

COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=12)


@given(st.data())
def test_psi_and_jensen_shannon_are_those_of_scipy(data):
    before = data.draw(COUNTS)
    now = data.draw(st.lists(st.integers(0, 10_000), min_size=len(before), max_size=len(before)))
    p, q = (np.array(counts) + PSEUDO_COUNT for counts in (before, now))
    p, q = p / p.sum(), q / q.sum()
    assert psi(before, now) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), abs=1e-12)
    assert jensen_shannon(before, now) == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-12)
    assert psi(before, now) == pytest.approx(psi(now, before), abs=1e-12)
    assert psi(before, before) == 0


def test_chance_exceeds_the_limit_as_often_as_it_says():
    random = np.random.default_rng(1)
    shares = np.full(10, 0.1)
    for before, now, alpha in ((2_000, 1_000, 0.05), (50_000, 500, 0.01)):
        limit = chance_psi(before, now, 10, alpha)
        draws = zip(random.multinomial(before, shares, 4_000), random.multinomial(now, shares, 4_000), strict=True)
        above = sum(psi(one.tolist(), other.tolist()) > limit for one, other in draws)
        assert stats.binomtest(above, 4_000, alpha).pvalue > 1e-3


def test_a_share_strays_beyond_its_limit_as_seldom_as_it_says():
    random = np.random.default_rng(2)
    before, now = random.binomial(20_000, 0.04, 4_000), random.binomial(3_000, 0.04, 4_000)
    far = sum(
        abs(b / 20_000 - n / 3_000) > chance_share(b, 20_000, 3_000, 0.02) for b, n in zip(before, now, strict=True)
    )
    assert stats.binomtest(int(far), 4_000, 0.02).pvalue > 1e-3


def test_small_samples_need_more_and_large_ones_never_less_than_what_matters():
    """A fixed limit of 0.25 would cry out on most samples of 100 customers."""
    random = np.random.default_rng(3)
    shares = np.full(10, 0.1)
    draws = [tuple(random.multinomial(100, shares, 2).tolist()) for _ in range(500)]
    assert np.mean([psi(one, other) > 0.25 for one, other in draws]) > 0.05
    assert np.mean([psi(one, other) > chance_psi(100, 100, 10, 0.01) for one, other in draws]) <= 0.03
    assert chance_psi(10**6, 10**6, 10, 1e-6) < 0.001


@given(st.lists(st.floats(0.1, 1e6), min_size=40, max_size=400, unique=True))
def test_the_median_by_bins_is_near_the_median(values):
    numbers = np.array(values)
    bins = cut(numbers, "numeric", "rfm")
    found = median_of(bins.edges, bins.counts, bins.low, bins.high)
    ordered = np.sort(numbers)
    assert ordered[int(len(numbers) * 0.35)] <= found <= ordered[min(len(numbers) - 1, math.ceil(len(numbers) * 0.65))]


def test_values_that_many_customers_share_have_a_bin_that_ends_with_them():
    bins = cut(np.array([1.0] * 60 + [2.0] * 25 + [5.0] * 15), "numeric", "rfm")
    assert bins.edges == (1.0, 2.0)
    assert bins.counts == (60, 25, 15)


def test_texts_beyond_the_twenty_most_frequent_are_together():
    values = np.array([f"v{n:02d}" for n in range(30) for _ in range(30 - n)] + [None] * 7, dtype=object)
    bins = cut(values, "categorical", "attributes")
    assert bins.levels[:2] == ("v00", "v01")
    assert len(bins.levels) == 20
    assert bins.counts[-1] == sum(30 - n for n in range(20, 30))
    assert bins.missing == 7


# The shop, as bootstrapped aggregates: customers of a month are drawn again, so that features stay correlated.

SEEDS, CUSTOMERS = 200, 1_200


@cache
def bins_of(month: int) -> dict[str, Bins]:
    return {name: cut(values, "numeric", shop.FAMILIES[name]) for name, values in shop.features(month).items()}


@cache
def codes(month: int, edges_of: int) -> dict[str, np.ndarray]:
    """Feature -> the bin of every customer of a month, in the deciles of another month; -1 is missing."""
    found = {}
    for name, values in shop.features(month).items():
        places = np.searchsorted(bins_of(edges_of)[name].edges, values, side="left")
        found[name] = np.where(np.isnan(values), -1, places)
    return found


SPLIT_BY = ("recency_days", "frequency_orders", "monetary_total", "average_order_value")


def points(month: int) -> np.ndarray:
    return np.stack([np.log1p(shop.features(month)[name]) for name in SPLIT_BY], axis=1)


@cache
def model(month: int) -> tuple[StandardScaler, KMeans, np.ndarray, Bins]:
    """Segments of the customers of a month, the limits of their distances, and these in bins."""
    scaler = StandardScaler().fit(points(month))
    found = KMeans(4, n_init=1, random_state=1).fit(scaler.transform(points(month)))
    distances = found.transform(scaler.transform(points(month)))
    return scaler, found, outlier_limits(distances), cut(distances.min(axis=1), "numeric", "distance")


@cache
def split(month: int, trained_in: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Segment, distance and whether it is far of every customer of a month, by the model of another month."""
    scaler, found, limits, _ = model(trained_in)
    distances = found.transform(scaler.transform(points(month)))
    label, distance = distances.argmin(axis=1), distances.min(axis=1)
    return label, distance, distance > limits[label]


def moment(month: int) -> dt.datetime:
    return dt.datetime.combine(shop.MONTHS[month], dt.time(), tzinfo=dt.UTC)


def drawn(month: int, edges_of: int, rows: np.ndarray) -> Profile:
    """The profile of the customers `rows` of a month."""
    columns = {}
    for name, places in codes(month, edges_of).items():
        bins = bins_of(edges_of)[name]
        own = places[rows % len(places)]
        counts = np.bincount(own[own >= 0], minlength=len(bins.counts))
        columns[name] = Bins(**{**vars(bins), "counts": tuple(counts.tolist()), "missing": int((own < 0).sum())})
    label, distance, is_far = (values[rows % len(values)] for values in split(month, edges_of))
    bins = model(edges_of)[3]
    columns[DISTANCE] = Bins(**{**vars(bins), "counts": counted(distance, bins.edges)})
    sizes = tuple(np.bincount(label, minlength=4).tolist())
    return Profile(moment(month), "v0001", len(rows), columns, sizes, {}, int(is_far.sum()))


def drawn_rows(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 2_500, CUSTOMERS)


def test_a_season_raises_alarms_in_one_run_of_a_hundred_at_most():
    """200 shops, each watched for twelve months: in the first year against the training, in the second against both.

    They are trained in all seasons, Christmas included.
    """
    false = {"first year": 0, "second year": 0}
    for seed in range(SEEDS):
        random, trained_in = np.random.default_rng(seed), seed % 4 * 3
        training = drawn(trained_in, trained_in, drawn_rows(random))
        for month in range(1, 13):
            now = drawn(trained_in + month, trained_in, drawn_rows(random))
            false["first year"] += any(r.verdict == "alarm" for r in judge([Compared("training", training, now)]))
            before, now = (drawn(m, trained_in, drawn_rows(random)) for m in (month, month + 12))
            both = [Compared("training", training, now), Compared("year_ago", before, now)]
            false["second year"] += any(r.verdict == "alarm" for r in judge(both))
    limit = int(stats.binom.isf(0.01, SEEDS * 12, 0.01))
    assert max(false.values()) <= limit, false


def test_nothing_happens_to_the_channels_of_the_shop_at_christmas():
    for month in range(1, 25):
        assert not [r for r in judge([], shop.recent_channels(month)) if r.verdict == "alarm"], month


@pytest.mark.parametrize("name", ["recency_days", "frequency_orders", "monetary_total", "average_order_value"])
@pytest.mark.parametrize(("factor", "year_ago"), [(2.0, False), (2.0, True), (0.5, True)])
def test_a_feature_that_doubles_or_halves_is_an_alarm_in_the_next_run(name, factor, year_ago):
    month = 17
    values = {**shop.features(month)}
    values[name] = values[name] * factor
    found = judge(compared(values, month, year_ago))
    assert name in {r.subject for r in found if r.verdict == "alarm"}
    assert calls(found)


def compared(values: dict[str, np.ndarray], month: int, year_ago: bool) -> list[Compared]:
    """A month's features against the training of month 12, and against the month a year before."""
    bins = bins_of(12)

    def profile(columns: dict[str, np.ndarray], of: int) -> Profile:
        binned = {
            name: Bins(**{**vars(bins[name]), "counts": counted(column[~np.isnan(column)], bins[name].edges)})
            for name, column in columns.items()
        }
        return Profile(moment(of), "v0001", len(columns["recency_days"]), binned, (100,), {}, None)

    now = profile(values, month)
    found = [Compared("training", profile(shop.features(12), 12), now)]
    if year_ago:
        found.append(Compared("year_ago", profile(shop.features(month - 12), month - 12), now))
    return found


def test_a_wide_feature_that_doubles_moves_psi_little_and_its_median_enough():
    values = np.exp(np.random.default_rng(5).normal(3.0, 2.0, 5_000))
    before = cut(values, "numeric", "rfm")
    now = Bins(**{**vars(before), "counts": counted(values * 2, before.edges)})
    found = judge([Compared("training", with_columns({"x": before}), with_columns({"x": now}))])
    assert {r.measure: r.verdict for r in found if r.subject == "x"} == {
        "missing_share": "ok", "psi": "ok", "jensen_shannon": "ok", "median_ratio": "alarm",
    }  # fmt: skip


def with_columns(columns: dict[str, Bins], **more) -> Profile:
    known = {"segments": (500, 500), "lanes": {}, "far": 5, "customers": 1_000, "model_version": "v0001"}
    return Profile(as_of=moment(3), columns=columns, **{**known, **more})


def test_a_channel_that_vanishes_is_an_alarm_in_the_next_run():
    month = 17
    orders = shop.orders()
    day = (shop.MONTHS[month] - shop.START).days
    without = orders[~((orders["channel"] == "web") & (orders["day"] >= day - 30))]
    alarms = [r for r in judge([], shop.recent_channels(month, without)) if r.verdict == "alarm"]
    assert [(r.measure, r.subject, r.compared_with) for r in alarms] == [("vanished", "channel: web", "year_ago")]
    young = shop.recent_channels(month, without)
    young = {name: [now, before, {}] for name, (now, before, _) in young.items()}
    (alarm,) = [r for r in judge([], young) if r.verdict == "alarm"]
    assert alarm.compared_with == "month_before"


def test_a_new_channel_is_told_and_no_alarm():
    recent = {"": [{"": 100}, {"": 100}, {}], "channel": [{"store": 90, "app": 30}, {"store": 95}, {}]}
    (told,) = [r for r in judge([], recent) if r.verdict != "ok"]
    assert (told.subject, told.measure, told.verdict) == ("channel: app", "appeared", "watch")


def test_a_new_segment_is_an_alarm_in_the_next_run():
    """Six of a hundred customers behave as nobody did before: far from every centre, or all in one segment."""
    random = np.random.default_rng(6)
    distance = np.abs(random.normal(1.0, 0.3, 4_000))
    bins = cut(distance, "numeric", "distance")
    trained = with_columns({DISTANCE: bins}, far=20, customers=4_000, segments=(1_500, 1_500, 1_000))
    arrived = np.concatenate([distance[:3_760], random.normal(6.0, 0.5, 240)])
    now_bins = Bins(**{**vars(bins), "counts": counted(arrived, bins.edges)})
    now = with_columns({DISTANCE: now_bins}, far=19 + 240, customers=4_000, segments=(1_410, 1_410, 1_180))
    alarms = [r for r in judge([Compared("training", trained, now)]) if r.verdict == "alarm"]
    assert [r.measure for r in alarms] == ["far_share"]
    assert "a new segment is forming" in alarms[0].text
    crowded = with_columns({DISTANCE: bins}, far=20, customers=4_000, segments=(500, 1_000, 2_500))
    alarms = [r for r in judge([Compared("training", trained, crowded)]) if r.verdict == "alarm"]
    assert [r.measure for r in alarms] == ["segment_psi"]


def test_growing_distances_are_an_alarm_and_shrinking_ones_are_not():
    values = np.random.default_rng(7).lognormal(0.0, 0.4, 3_000)
    bins = cut(values, "numeric", "distance")
    for factor, expected in ((2.0, "alarm"), (0.5, "ok")):
        now = Bins(**{**vars(bins), "counts": counted(values * factor, bins.edges)})
        found = judge([Compared("training", with_columns({DISTANCE: bins}), with_columns({DISTANCE: now}))])
        assert {r.verdict for r in found if r.measure == "distance_growth"} == {expected}
        assert bool(calls(found)) == (expected == "alarm")


def test_missing_values_and_rejected_rows_call_for_a_look_and_lanes_for_a_retrain():
    bins = Bins("numeric", (500, 400), 100, "rfm", (1.0,), 0.0, 2.0)
    worse = Bins("numeric", (400, 320), 280, "rfm", (1.0,), 0.0, 2.0)
    before = with_columns({"x": bins}, rows_read=10_000, rows_rejected=100)
    found = judge([Compared("training", before, with_columns({"x": worse}, rows_read=10_000, rows_rejected=900))])
    assert {r.measure for r in found if r.verdict == "alarm"} == {"missing_share", "rejected_share"}
    assert not calls(found)
    newer = with_columns({"x": bins}, lanes={"too_new": 400}, rows_read=10_000, rows_rejected=100)
    found = judge([Compared("training", before, newer)])
    assert {(r.measure, r.subject) for r in calls(found)} == {("lane_share", "too_new")}


def test_a_model_that_was_trained_after_the_change_is_not_called_back():
    values = {**shop.features(17)}
    values["monetary_total"] = values["monetary_total"] * 3
    against_both = compared(values, 17, True)
    assert calls(judge(against_both))
    trained_since = Compared("training", against_both[0].now, against_both[0].now)
    found = judge([trained_since, against_both[1]])
    assert not calls(found)
    assert any(r.verdict == "watch" and r.subject == "monetary_total" for r in found)


def test_another_models_segments_are_not_compared():
    before = with_columns({}, model_version="v0001", segments=(900, 100))
    assert not judge([Compared("year_ago", before, with_columns({}, model_version="v0002", segments=(100, 900)))])


def test_what_is_kept_comes_back_and_the_year_before_is_found(tmp_path):
    store = LocalStore(str(tmp_path))
    bins = Bins("categorical", (3, 0), 1, "attributes", levels=("nord",))
    for month in (1, 2, 13):
        keep.keep(store, Profile(moment(month), "v0001", 4, {"region": bins}, (3, 1), {"too_new": 2}, 0, 9, 1), (), {})
    assert keep.kept_moments(store) == [moment(1), moment(2), moment(13)]
    kept = keep.kept(store, keep.kept_moments(store))
    assert kept[0].profile == Profile(moment(1), "v0001", 4, {"region": bins}, (3, 1), {"too_new": 2}, 0, 9, 1)
    assert keep.year_before(store, moment(13)) == kept[0].profile
    assert keep.year_before(store, moment(20)) is None
    (tmp_path / "monitoring" / "20300101T000000Z.json").write_text("{}")
    assert len(keep.kept(store, keep.kept_moments(store))) == 3


def test_a_look_back_leaves_the_call_and_the_metrics_of_the_newest_moment(tmp_path):
    store = LocalStore(str(tmp_path))
    moved = Reading("vanished", "channel: web", "training", 0.3, 0.0, 0.1, "alarm", "is gone")
    keep.keep(store, Profile(moment(3), "v0001", 4, {}, (3, 1), {}, 0, 9, 1), (moved,), {})
    now = {name: store.read_bytes(name) for name in ("retrain.json", "monitoring/metrics.prom")}
    assert keep.retrain_call(store)["call"] is True
    keep.keep(store, Profile(moment(1), "v0001", 4, {}, (3, 1), {}, 0, 9, 1), (), {})
    assert {name: store.read_bytes(name) for name in now} == now
    keep.keep(store, Profile(moment(3), "v0001", 4, {}, (3, 1), {}, 0, 9, 1), (), {})
    assert keep.retrain_call(store)["call"] is False


READ = """
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
with open(sys.argv[1], encoding="utf-8", newline="") as file:
    print(json.dumps([[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]]
        for f in families(file.read())]))
"""


def test_prometheus_own_reader_takes_the_metrics_as_they_were_meant(tmp_path):
    odd = 'a "b"\\ c\nd, e="f"'
    bins, moved = (Bins("numeric", counts, 0, "rfm", (1.0,), 0.0, 2.0) for counts in ((500, 500), (50, 950)))
    now = with_columns({odd: moved})
    recent = {"": [{"": 100}, {"": 100}, {}], "channel": [{"store": 90, "app": 30}, {"store": 95}, {}]}
    readings = judge([Compared("training", with_columns({odd: bins}), now)], recent)
    assert any(math.isinf(r.alarm_limit) for r in readings)
    (tmp_path / "metrics.prom").write_text(keep.metrics_text(now, readings), encoding="utf-8")
    found = json.loads(read_by_others(READ, tmp_path / "metrics.prom"))
    assert {kind for _, kind, _, _ in found} == {"gauge"}
    assert all(text for _, _, text, _ in found)
    samples = {name: values for name, _, _, values in found}
    assert samples["segengine_retrain_called"] == [["segengine_retrain_called", {}, 1.0]]
    for metric, of in (("segengine_drift_value", "value"), ("segengine_drift_limit", "alarm_limit")):
        read = {(s["measure"], s["subject"], s["compared_with"]): value for _, s, value in samples[metric]}
        assert read == {(r.measure, r.subject, r.compared_with): getattr(r, of) for r in readings}
        assert len(read) == len(samples[metric])  # no series twice


def test_the_call_and_the_metrics_say_what_the_readings_say(tmp_path):
    store = LocalStore(str(tmp_path))
    bins = Bins("numeric", (500, 500), 0, "rfm", (1.0,), 0.0, 2.0)
    moved = Bins("numeric", (50, 950), 0, "rfm", (1.0,), 0.0, 2.0)
    now = with_columns({'a "b"': moved})
    readings = judge([Compared("training", with_columns({'a "b"': bins}), now)])
    keep.keep(store, now, readings, {"training": moment(0)})
    told = json.loads((tmp_path / "retrain.json").read_text())
    assert told["call"] is True
    assert told["as_of"] == moment(3).isoformat()
    assert any('a "b" (psi)' in reason for reason in told["reasons"])
    text = (tmp_path / "monitoring" / "metrics.prom").read_text()
    assert text.endswith("# EOF\n")
    assert "segengine_retrain_called 1\n" in text
    value = next(r.value for r in readings if r.measure == "psi")
    label = 'measure="psi",subject="a \\"b\\"",compared_with="training"'
    assert f"segengine_drift_value{{{label}}} {value!r}\n" in text
    rows = keep.rows_of(keep.kept(store, keep.kept_moments(store)))
    assert {row["measure"] for row in rows} == {r.measure for r in readings}
    assert all(row["as_of"] == moment(3) for row in rows)
    assert all(row["compared_as_of"] == moment(0) for row in rows if row["compared_with"] == "training")
