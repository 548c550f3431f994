"""Segments by group: each group has the segments it would have by itself, in one model, in as many Spark jobs as two
groups need."""

from __future__ import annotations

import json
from collections import Counter

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from segengine.config import Prepare
from segengine.errors import BundleError, ModelError
from segengine.features.prepare import input_columns
from segengine.features.prepare_numbers import Preparation
from segengine.features.prepare_sample import hash_sample
from segengine.io.files import LocalStore
from segengine.model import bundle
from segengine.model.fit import contest, lay_out, segment_order
from segengine.model.group_sample import group_samples, group_sizes, joined
from segengine.model.pipeline import segment_pipeline
from segengine.model.search import search
from segengine.publish.build import build_tables
from segengine.publish.facts import SegmentInfo
from segengine.scoring.batch import group_warnings, score
from tests.models import train
from tests.publications import facts
from tests.spark.group_customers import BY_SIZE, FEATURES, by_country, grouped
from tests.spark.model_customers import as_rows, config
from tests.spark.test_model_bundle import PLAIN_PYSPARK, without_the_package

STRANGE = 'O\'Brien \\ "客户" `x`'


@pytest.fixture(scope="module")
def rows(spark):
    return as_rows(spark, grouped()).persist()


@pytest.fixture(scope="module")
def model(rows):
    return train(rows, FEATURES, by_country(), seed=7)


def segments_of(scored) -> dict[str, int]:
    return {row["customer_id"]: row["segment_index"] for row in scored.select("customer_id", "segment_index").collect()}


def names_of(model) -> list[str]:
    return [group.name for group in model.grouping.groups]


def measured(candidate) -> dict[str, object]:
    """What groups are judged by: not what is told beside it of a segmentation of everybody."""
    return {
        key: value for key, value in vars(candidate).items() if not key.startswith(("gap", "prediction", "jaccard"))
    }


def test_every_group_has_the_segments_it_has_by_itself_with_the_same_preparation(spark, rows, model):
    preparation = Preparation.from_dict(model.preparation)
    found = segments_of(score(rows, model))
    assert sorted(names_of(model)) == sorted(str(name or "missing") for name in BY_SIZE)
    for group in model.grouping.groups:
        own = rows.where(F.col("country").eqNullSafe(F.lit(group.key.value))).persist()
        alone = search(hash_sample(own, input_columns(FEATURES.features)), preparation, config(k=(2, 4), restarts=3), 7)
        points = lay_out(own, preparation, alone.customers, has_revenue=True).persist()
        fit = contest(points, alone.centres, seed=7, min_share=0.03, max_share=0.8)
        centres = fit.centres[segment_order(fit, by="revenue")]
        assert group.decision.k == alone.decision.k
        assert [measured(c) for c in group.decision.candidates] == [measured(c) for c in alone.decision.candidates]
        assert model.centres[group.first : group.stop] == pytest.approx(centres, abs=1e-9)
        assert group.metrics["inertia"] == pytest.approx(fit.cost)
        predicted = segment_pipeline(spark, preparation, centres).transform(own).select("customer_id", "prediction")
        assert {row[0]: row[1] + group.first for row in predicted.collect()}.items() <= found.items()
        points.unpersist()
        own.unpersist()
    assert len(found) == sum(BY_SIZE.values())


def test_groups_come_in_the_order_of_their_revenue_and_so_do_their_segments(rows, model):
    scored = score(rows, model).groupBy("country", "segment_index").agg(F.sum("revenue_e4").alias("revenue"))
    revenue = {row["segment_index"]: row["revenue"] for row in scored.collect()}
    sums = [sum(revenue[i] for i in range(group.first, group.stop)) for group in model.grouping.groups]
    assert sums == sorted(sums, reverse=True)
    for group in model.grouping.groups:
        own = [revenue[i] for i in range(group.first, group.stop)]
        assert own == sorted(own, reverse=True)
    assert model.names[0] == f"{model.grouping.groups[0].name}: segment 1"
    assert sum(model.sizes) == sum(BY_SIZE.values())


@pytest.mark.parametrize("partitions", [1, 16])
def test_shuffled_rows_in_any_partitioning_give_the_same_segments(spark, rows, model, partitions):
    shuffled = as_rows(spark, grouped().sample(frac=1, random_state=partitions), partitions)
    other = train(shuffled, FEATURES, by_country(), seed=7)
    assert other.centres == pytest.approx(model.centres, abs=1e-9)
    assert names_of(other) == names_of(model)
    assert segments_of(score(rows, other)) == segments_of(score(shuffled, model))


def test_the_saved_pipeline_predicts_segments_of_the_customers_own_group(rows, model):
    found = segments_of(score(rows, model))
    predicted = model.pipeline.transform(rows).select("customer_id", "prediction").collect()
    assert {row[0]: row[1] for row in predicted} == found
    assert model.pipeline.stages[-1].clusterCenters()[0].shape == (model.centres.shape[1] + 1,)


def test_a_customer_beyond_all_limits_still_gets_a_segment_of_its_group(spark):
    frame = grouped({"FR": 120, "DE": 120})
    uncapped = by_country(prepare=Prepare(cap=None, log="never"))
    model = train(as_rows(spark, frame), FEATURES, uncapped, seed=7)
    far = frame.head(4).assign(monetary_total=[1e100, -1e100, 1e20, 1e6], country=["FR", "DE", "FR", "DE"])
    scored = score(as_rows(spark, far), model).collect()
    for row in scored:
        group = model.grouping.groups[model.grouping.routing.index_of(row["country"])]
        assert group.first <= row["segment_index"] < group.stop
        assert group.first <= row["runner_up_index"] < group.stop


def test_small_groups_share_one_and_nobody_is_lost(spark):
    frame = grouped({"FR": 200, "DE": 150, None: 5, "tiny": 3, STRANGE: 120, "small": 60})
    rows = as_rows(spark, frame)
    model = train(rows, FEATURES, by_country(), seed=7)
    assert sorted(names_of(model)) == sorted(["FR", "DE", STRANGE, "other"])
    assert model.grouping.notes == ("country: 3 values have fewer than 100 customers; their 68 share 'other'.",)
    scored = score(rows, model)
    group_of = {
        row["customer_id"]: (row["country"], model.grouping.name_of(row["segment_index"])) for row in scored.collect()
    }
    assert len(group_of) == len(frame)
    assert Counter(group_of.values()) == {
        ("FR", "FR"): 200,
        ("DE", "DE"): 150,
        (STRANGE, STRANGE): 120,
        (None, "other"): 5,
        ("tiny", "other"): 3,
        ("small", "other"): 60,
    }
    assert group_warnings(rows, model) == ()


def test_a_rest_too_small_for_a_model_takes_in_the_smallest_group(spark):
    model = train(as_rows(spark, grouped({"FR": 200, "DE": 150, "tiny": 1})), FEATURES, by_country(), seed=7)
    assert sorted((group.name, group.customers) for group in model.grouping.groups) == [("FR", 200), ("other", 151)]
    assert model.grouping.notes[-1] == (
        "country: 'other' had no acceptable number of segments until it took in 'DE' (150 customers)."
    )


def test_a_group_without_acceptable_segments_shares_other_and_the_reason_is_told(spark):
    frame = grouped({"FR": 200, "DE": 150, "same": 110})
    alike = frame["country"] == "same"
    values = ["recency_days", "frequency_orders", "monetary_total", "days_between_orders"]
    frame.loc[alike, values] = frame.loc[alike, values].iloc[0].to_numpy()
    frame.loc[frame.index[alike][:40], "recency_days"] += 40
    model = train(as_rows(spark, frame), FEATURES, by_country(k=(3, 4)), seed=7)
    assert "same" not in names_of(model)
    assert any(
        "no number of segments is acceptable for 'same' (110 customers)" in note for note in model.grouping.notes
    )


def test_no_group_large_enough_is_an_error_that_says_what_to_do(spark):
    with pytest.raises(ModelError, match="No value of 'country' can have segments of its own") as caught:
        train(as_rows(spark, grouped({"FR": 40, "DE": 30})), FEATURES, by_country(), seed=7)
    assert "70 customers, 0 values with 100 or more" in str(caught.value)
    assert "by_min_customers" in caught.value.todo
    with pytest.raises(ModelError, match="too few customers"):
        train(as_rows(spark, grouped({"FR": 3})), FEATURES, by_country(), seed=7)


def test_values_called_other_and_missing_are_groups_of_their_own(spark):
    frame = grouped({"other": 150, "missing": 130, None: 120, "tiny": 30})
    model = train(as_rows(spark, frame), FEATURES, by_country(), seed=7)
    by_key = {(group.key.kind, group.key.value): group.name for group in model.grouping.groups}
    assert by_key == {
        ("value", "other"): "other",
        ("value", "missing"): "missing",
        ("missing", None): "(missing)",
        ("other", None): "(other)",
    }
    assert "share '(other)'" in model.grouping.notes[0]


def test_customers_of_groups_that_the_model_does_not_know_are_in_other(spark):
    model = train(as_rows(spark, grouped({"FR": 200, "DE": 150, "tiny": 30})), FEATURES, by_country(), seed=7)
    new = as_rows(spark, grouped({"FR": 5, "PE": 4, None: 3}, seed=9))
    groups = Counter(
        (row["country"], model.grouping.name_of(row["segment_index"])) for row in score(new, model).collect()
    )
    assert groups == {("FR", "FR"): 5, ("PE", "other"): 4, (None, "other"): 3}
    assert group_warnings(new, model) == ()


def test_without_other_they_are_in_the_largest_group_and_a_warning_tells(spark):
    model = train(as_rows(spark, grouped({"FR": 150, "DE": 200})), FEATURES, by_country(), seed=7)
    new = grouped({"FR": 5, "PE": 4, "AR": 2, None: 3}, seed=9).assign(lane=None)
    new.loc[new.index[new["country"] == "AR"], "lane"] = "too_new"
    rows = as_rows(spark, new)
    scored = score(rows, model).collect()
    assert len(scored) == 14
    assert Counter(
        (row["country"], model.grouping.name_of(row["segment_index"])) for row in scored if row["lane"] is None
    ) == {("FR", "FR"): 5, ("PE", "DE"): 4, (None, "DE"): 3}
    assert [row["segment_index"] for row in scored if row["lane"] is not None] == [None, None]
    (told,) = group_warnings(rows, model)
    assert told == (
        "country: the model knows no group for 'PE' and 1 other values; 7 customers were put in segments of 'DE', the "
        "largest group. Train again to give them segments of their own."
    )
    assert group_warnings(rows.where("country = 'FR'"), model) == ()
    with pytest.raises(ModelError, match="have no such attribute"):
        score(rows.drop("country"), model)


def test_a_bounded_sample_of_every_group_comes_in_one_pass_and_is_that_of_the_hash(spark):
    sizes = {"FR": 900, "DE": 150, "AT": 120, "tiny": 30}
    rows = as_rows(spark, grouped(sizes), 5).persist()
    inputs = input_columns(FEATURES.features)
    found = group_sizes(rows, "country", "country", 100)
    assert [(key.value, n) for key, n in found.own] == [("FR", 900), ("DE", 150), ("AT", 120)]
    assert (found.rest_values, found.rest_customers, found.customers) == (1, 30, 1200)
    everybody, parts = group_samples(rows, inputs, "country", found, 400)
    assert [len(part.frame) for part in parts] == [125, 125, 120, 30]
    pd.testing.assert_series_equal(everybody.frame["customer_id"], hash_sample(rows, inputs, 400).frame["customer_id"])
    for part, name in zip(parts, ["FR", "DE", "AT", "tiny"], strict=True):
        own = hash_sample(rows.where(F.col("country") == name), inputs, 125)
        assert part.frame["customer_id"].tolist() == own.frame["customer_id"].tolist()
        assert part.customers == own.customers == sizes[name]
    both = joined(parts[1:3])
    expected = hash_sample(rows.where("country in ('DE', 'AT')"), inputs, len(both.frame))
    assert both.frame["customer_id"].tolist() == expected.frame["customer_id"].tolist()
    models = [train(rows.repartition(n), FEATURES, by_country(), seed=7, sample_limit=400) for n in (1, 7)]
    assert models[0].centres == pytest.approx(models[1].centres, abs=1e-9)
    assert sum(models[0].sizes) == 1200
    rows.unpersist()


def forty(groups: int) -> pd.DataFrame:
    """2,400 customers in so many groups of equal size."""
    frame = grouped({"all": 2400})
    return frame.assign(country=[f"country {number % groups:02d}" for number in range(2400)])


def jobs_of(spark, name, work):
    """What `work` gives, and how many Spark jobs it took."""
    context = spark.sparkContext
    context.setJobGroup(name, name)
    try:
        result = work()
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)
    context._jsc.sc().listenerBus().waitUntilEmpty()
    return result, len(context.statusTracker().getJobIdsForGroup(name))


def test_forty_groups_take_as_many_spark_jobs_as_ten(spark, tmp_path):
    settings, jobs = by_country(k=(2, 3), restarts=2, by_min_customers=50), {}
    for groups in (10, 40):  # both beyond the dozen of segments whose model takes one fit less
        rows = as_rows(spark, forty(groups)).persist()
        rows.count()
        store = LocalStore(str(tmp_path / str(groups)))
        model, training = jobs_of(spark, f"train {groups}", lambda r=rows: train(r, FEATURES, settings, seed=7))
        passes = max(group.metrics["contest"][0]["passes"] for group in model.grouping.groups)
        assert len(model.grouping.groups) == groups
        assert model.k == sum(group.k for group in model.grouping.groups) >= 2 * groups
        assert training > passes

        def bring_home(model=model, store=store, rows=rows):
            bundle.save(model, store, version="v0001", manifest_extra={})
            return score(rows, bundle.load(store, "v0001", spark)).groupBy("segment_index").count().collect()

        counts, scoring = jobs_of(spark, f"score {groups}", bring_home)
        assert sum(row["count"] for row in counts) == 2400
        assert {row["segment_index"] for row in counts} == set(range(model.k))
        jobs[groups] = (training - passes, scoring)
        rows.unpersist()
    assert jobs[40] == jobs[10]


def test_a_loaded_model_is_the_saved_one_and_is_refused_when_its_parts_disagree(spark, rows, model, tmp_path):
    store = LocalStore(str(tmp_path))
    manifest = bundle.save(model, store, version="v0001", manifest_extra={})
    assert (manifest["k"], manifest["groups"]) == (model.k, 4)
    loaded = bundle.load(store, "v0001", spark)
    assert loaded.grouping == model.grouping
    assert loaded.decision == model.decision
    assert segments_of(score(rows, loaded)) == segments_of(score(rows, model))
    decisions = json.loads(store.read_bytes("models/v0001/k_decision.json"))
    assert [group["k"] for group in decisions["groups"]] == [group.k for group in model.grouping.groups]
    assert all(len(group["candidates"]) == 3 for group in decisions["groups"])
    content = bundle.canonical_json({**decisions, "groups": decisions["groups"][:2]})
    store.write_atomic("models/v0001/k_decision.json", content)
    changed = bundle.manifest(store, "v0001")
    digest = store.sha256("models/v0001/k_decision.json")
    changed["files"]["k_decision.json"] = {"bytes": len(content), "sha256": digest}
    store.write_atomic("models/v0001/manifest.json", bundle.canonical_json(changed))
    with pytest.raises(BundleError) as caught:
        bundle.load(store, "v0001", spark)
    assert "other groups" in str(caught.value)


def test_plain_pyspark_routes_customers_where_segengine_is_not(rows, model, tmp_path):
    store = LocalStore(str(tmp_path))
    bundle.save(model, store, version="v0001", manifest_extra={})
    rows.repartition(2).write.parquet(str(tmp_path / "rows"))
    answer = without_the_package(PLAIN_PYSPARK, store.uri("models/v0001/pipeline"), tmp_path)
    assert answer == segments_of(score(rows, model))


def small(built, name) -> pd.DataFrame:
    rows = built.tables[name]
    assert isinstance(rows, pa.Table)
    frame: pd.DataFrame = rows.to_pandas()
    return frame


def test_groups_are_in_the_published_tables_and_add_up(spark, rows, model):
    names = model.names
    infos = tuple(SegmentInfo(i + 1, f"S-{i + 1:03d}", names[i], i, model.grouping.name_of(i)) for i in range(model.k))
    whole = score(rows, model).withColumns(
        {
            "lane": F.lit(None).cast("string"),
            "orders": F.lit(1).cast("bigint"),
            "first_ordered_at": F.lit(None).cast("timestamp"),
            "last_ordered_at": F.lit(None).cast("timestamp"),
            "is_known": F.lit(True),
        }
    )
    built = build_tables(
        whole,
        facts(segments=infos, features=FEATURES.features, centres=tuple(model.centres_original), attributes=()),
    )
    segments = small(built, "segments").set_index("segment_key")
    assert segments.index.is_unique and len(segments) == model.k
    sums = segments.groupby("group_name")[["customers", "group_share", "share"]].sum()
    assert sums["customers"].to_dict() == {str(name or "missing"): n for name, n in BY_SIZE.items()}
    assert sums["group_share"].to_numpy() == pytest.approx(1.0)
    assert sums["share"].sum() == pytest.approx(1.0)
    kpis = small(built, "segment_kpis").set_index("segment_key")
    assert kpis["group_name"].to_dict() == segments["group_name"].to_dict()
    keys = [segment + 1 for segment in segments_of(score(rows, model)).values()]
    assignments = built.tables["assignments"]
    assert not isinstance(assignments, pa.Table)
    runner_up = assignments.select("segment_key", "runner_up_key").toPandas()
    assert Counter(runner_up["segment_key"]) == Counter(keys)
    group_of = segments["group_name"].to_dict()
    assert runner_up["segment_key"].map(group_of).equals(runner_up["runner_up_key"].map(group_of))
