"""Tables built from scored customers: figures equal to pandas, keys that last, the same for any partitioning."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from segengine.errors import PublicationError
from segengine.features.prepare_fit import InputColumn
from segengine.features.prepare_sample import hash_sample
from segengine.publish.build import Built, build_tables
from segengine.publish.keys import with_customer_key
from segengine.publish.shape import check, conform
from segengine.scoring.labelled import Labelled
from segengine.tables import CUSTOMERS, TABLES, by_name
from tests.publications import AS_OF, SCORED, Feature, facts, scored_row

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


def scored(spark: SparkSession, *rows: tuple[Any, ...]) -> DataFrame:
    return spark.createDataFrame(list(rows), SCORED)


def rows_of(built: Built, table: str) -> list[dict[str, Any]]:
    rows = built.tables[table]
    return (
        rows.to_pylist()
        if isinstance(rows, pa.Table)
        else [row.asDict() for row in rows.orderBy("customer_key").collect()]
    )


def many(spark: SparkSession, n: int = 500) -> DataFrame:
    """Customers with unround numbers, a fifth of them in a lane, some values missing."""
    rng = np.random.default_rng(5)
    rows = []
    for i in range(n):
        segment = None if i % 5 == 0 else int(i % 3 == 0)
        value = None if i % 7 == 0 else float(rng.lognormal(3, 2))
        rows.append(
            scored_row(
                f"c{i}",
                segment,
                recency_days=value,
                revenue_e4=int(rng.integers(-(10**6), 10**9)),
                orders=int(rng.integers(1, 9)),
                distance=None if segment is None else float(rng.random()),
                country=None if i % 4 == 0 else "FR",
            )
        )
    return scored(spark, *rows)


def test_every_table_has_its_declared_columns_types_and_key(spark: SparkSession) -> None:
    built = build_tables(scored(spark, scored_row("a"), scored_row("b", 1), scored_row("c", None)), facts())
    assert sorted(built.tables) == sorted(table.name for table in TABLES if table.name != "publications")
    for name, rows in built.tables.items():
        check(rows, by_name(name))
    assert built.rows == {"assignments": 3, "customers": 3, "membership": 3}
    assert built.tables["assignments"].columns[-2:] == ["recency_days", "country"]
    assert built.tables["customers"].columns[-2:] == ["plan", "customer_id_attribute"]


def test_a_customer_has_a_segment_or_a_lane_and_its_own_numbers(spark: SparkSession) -> None:
    built = build_tables(
        scored(spark, scored_row("a", 1, revenue_e4=-55), scored_row("b", None, recency_days=None)), facts()
    )
    keyed = {row["customer_id"]: row["customer_key"] for row in rows_of(built, "customers")}
    rows = {row["customer_key"]: row for row in rows_of(built, "assignments")}
    a, b = rows[keyed["a"]], rows[keyed["b"]]
    assert (a["segment_key"], a["runner_up_key"], a["lane"], a["recency_days"]) == (7, 1, None, 10.0)
    assert (b["segment_key"], b["lane"], b["distance"], b["recency_days"]) == (None, "only_returns", None, None)
    assert (a["revenue"], b["revenue"]) == (Decimal("-0.01"), Decimal("12.35"))
    assert {a["publication_id"], b["publication_id"]} == {"p1"}


def test_figures_of_segments_equal_what_pandas_computes(spark: SparkSession) -> None:
    customers = many(spark)
    built = build_tables(customers, facts())
    frame = customers.select("segment_index", "recency_days", "distance", "revenue_e4", "orders", "country").toPandas()
    frame = frame[frame["segment_index"].notna()]
    everybody = frame["recency_days"]
    for segment in rows_of(built, "segments"):
        own = frame[frame["segment_index"] == {1: 0, 7: 1}[segment["segment_key"]]]
        values = own["recency_days"].dropna()
        assert segment["customers"] == len(own)
        assert segment["share"] == len(own) / len(frame)
        assert segment["revenue"] == round(Decimal(int(own["revenue_e4"].sum())) / 10_000, 2)
        assert segment["revenue_share"] == own["revenue_e4"].sum() / frame["revenue_e4"].sum()
        assert segment["mean_distance"] == pytest.approx(own["distance"].mean(), rel=1e-12)
        (profile,) = [
            p
            for p in rows_of(built, "segment_profiles")
            if (p["segment_key"], p["feature"]) == (segment["segment_key"], "recency_days")
        ]
        assert profile["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert [profile[q] for q in ("p10", "median", "p90")] == list(np.quantile(values, [0.1, 0.5, 0.9]))
        assert profile["z"] == pytest.approx((values.mean() - everybody.mean()) / everybody.std(ddof=0), rel=1e-9)
        assert profile["index"] == pytest.approx(100 * values.mean() / everybody.mean(), rel=1e-12)
        assert profile["missing_share"] == own["recency_days"].isna().sum() / len(own)
        (country,) = [
            p
            for p in rows_of(built, "segment_profiles")
            if (p["segment_key"], p["feature"]) == (segment["segment_key"], "country")
        ]
        assert country["missing_share"] == own["country"].isna().sum() / len(own)
        assert country["mean"] is None
    assert [s["rank"] for s in sorted(rows_of(built, "segments"), key=lambda s: -s["revenue"])] == [1, 2]


def test_customers_and_money_of_the_run_add_up(spark: SparkSession) -> None:
    customers = many(spark)
    (run,) = rows_of(build_tables(customers, facts()), "runs")
    assert (run["customers"], run["customers_assigned"], run["customers_in_lanes"]) == (500, 400, 100)
    exact = customers.where("segment_index is not null").agg(F.sum("revenue_e4")).collect()[0][0]
    assert run["amount_assigned"] == round(Decimal(exact) / 10_000, 2)


@pytest.mark.parametrize("partitions", [1, 4, 16])
def test_partitions_and_order_change_no_bit_of_any_table(spark: SparkSession, partitions: int) -> None:
    customers = many(spark, 120)
    shuffled = customers.orderBy(F.xxhash64("customer_id", F.lit(partitions))).repartition(partitions)
    one, other = build_tables(customers, facts()), build_tables(shuffled, facts())
    for name in one.tables:
        assert rows_of(one, name) == rows_of(other, name), name


def test_a_sample_gives_quantiles_that_partitions_do_not_change(spark: SparkSession) -> None:
    customers = many(spark)
    few = [
        rows_of(build_tables(c, facts(), sample_limit=100), "segment_profiles")
        for c in (customers, customers.repartition(7))
    ]
    all_of_them = rows_of(build_tables(customers, facts()), "segment_profiles")
    assert few[0] == few[1]
    assert [p["mean"] for p in few[0]] == [p["mean"] for p in all_of_them]
    assert [p["median"] for p in few[0]] != [p["median"] for p in all_of_them]


@pytest.mark.parametrize("limit", [100, 100_000])
def test_a_sample_that_was_taken_before_is_not_taken_again_and_changes_nothing(spark: SparkSession, limit: int) -> None:
    customers = many(spark)
    inputs = [InputColumn(name, "", "numeric") for name in ("recency_days", "segment_index")]
    columns = hash_sample(customers.where("segment_index is not null"), inputs, limit).columns
    sampled = Labelled(columns, columns.pop("segment_index").astype(np.int64))
    own = rows_of(build_tables(customers, facts(), sample_limit=limit), "segment_profiles")
    assert rows_of(build_tables(customers, facts(), sample_limit=limit, sampled=sampled), "segment_profiles") == own
    moved = Labelled({"recency_days": columns["recency_days"] + 1.0}, sampled.labels)
    other = rows_of(build_tables(customers, facts(), sample_limit=limit, sampled=moved), "segment_profiles")
    both = [(p["median"], q["median"]) for p, q in zip(other, own, strict=True) if p["median"] is not None]
    assert both == [(median + 1.0, median) for _, median in both]
    short = Labelled({"recency_days": columns["recency_days"][:50] + 1.0}, sampled.labels[:50])
    assert rows_of(build_tables(customers, facts(), sample_limit=limit, sampled=short), "segment_profiles") == own


def test_a_segment_that_nobody_is_in_is_still_published(spark: SparkSession) -> None:
    built = build_tables(scored(spark, scored_row("a")), facts())
    empty = rows_of(built, "segments")[1]
    assert (empty["segment_key"], empty["customers"], empty["share"], empty["mean_distance"]) == (7, 0, 0.0, None)
    assert len(rows_of(built, "segment_kpis")) == 2


def test_without_orders_there_is_no_money_and_no_activity(spark: SparkSession) -> None:
    nothing = {"revenue_e4": None, "orders": None, "first_ordered_at": None, "last_ordered_at": None, "is_known": None}
    built = build_tables(
        scored(spark, scored_row("a", **nothing), scored_row("b", 1, **nothing)), facts(amount_read_e4=None)
    )
    assert {
        (k["revenue"], k["orders"], k["active_90_days"], k["average_order_value"])
        for k in rows_of(built, "segment_kpis")
    } == {(None, None, None, None)}
    assert len(rows_of(built, "dates")) == 366


LIFETIME = (Feature("expected_order_days_90d", "clv"), Feature("lifetime_value_365d", "clv"))


def with_lifetime(spark: SparkSession) -> DataFrame:
    """Three customers of segment 1 (one without a value), one of segment 7, and one in a lane."""
    values = {"a": (10.125, 1.5), "b": (2.25, 0.25), "c": (None, None), "d": (4.5, 0.75), "e": (99.0, 9.0)}
    rows = [scored_row(name, {"d": 1, "e": None}.get(name, 0)) for name in values]
    given = spark.createDataFrame(
        [(name, *pair) for name, pair in values.items()],
        "customer_id string, lifetime_value_365d double, expected_order_days_90d double",
    )
    return scored(spark, *rows).join(given, on="customer_id", how="left")


@pytest.mark.parametrize(
    ("digits", "values", "means"),
    [
        (2, ("12.38", "4.50"), ("6.19", "4.50")),  # 12.375 and 6.1875, rounded half up
        (0, ("12", "5"), ("6", "5")),
    ],
)
def test_lifetime_values_of_segments_are_exact_sums_at_the_minor_unit(
    spark: SparkSession, digits: int, values: tuple[str, str], means: tuple[str, str]
) -> None:
    kpis = rows_of(build_tables(with_lifetime(spark), facts(features=LIFETIME, minor_unit=digits)), "segment_kpis")
    assert tuple(str(k["lifetime_value_365d"]) for k in kpis) == values
    assert tuple(str(k["lifetime_value_365d_per_customer"]) for k in kpis) == means
    assert [k["expected_order_days_90d"] for k in kpis] == [1.75, 0.75]
    assert [k["expected_order_days_90d_per_customer"] for k in kpis] == [0.875, 0.75]


def test_without_the_features_of_clv_there_is_no_lifetime_value(spark: SparkSession) -> None:
    names = [c.name for c in by_name("segment_kpis").columns if "lifetime" in c.name or "expected" in c.name]
    assert len(names) == 4
    for features in ((Feature("recency_days"),), LIFETIME[:1]):
        kpis = rows_of(build_tables(with_lifetime(spark), facts(features=features)), "segment_kpis")
        missing = [name for name in names if not name.startswith(tuple(f.name for f in features))]
        assert {kpi[name] for kpi in kpis for name in missing} == {None}


def test_ninety_days_are_counted_on_the_wall_clock_of_the_configured_zone(spark: SparkSession) -> None:
    as_of = dt.datetime(2024, 5, 1, 4, tzinfo=dt.UTC)  # midnight in New York, summer time; 90 days before it is winter
    border = dt.datetime(2024, 2, 1, 5, tzinfo=dt.UTC)
    rows = [
        scored_row("a", last_ordered_at=border),
        scored_row("b", last_ordered_at=border - dt.timedelta(microseconds=1)),
    ]
    built = build_tables(scored(spark, *rows), facts(as_of=as_of, timezone="America/New_York"))
    assert rows_of(built, "segment_kpis")[0]["active_90_days"] == 1


def test_the_calendar_starts_with_the_first_orders_year_in_the_configured_zone(spark: SparkSession) -> None:
    new_year = dt.datetime(2021, 1, 1, 3, tzinfo=dt.UTC)  # still 2020 in New York
    rows = scored(spark, scored_row("a", first_ordered_at=new_year))
    first = rows_of(build_tables(rows, facts(timezone="America/New_York")), "dates")[0]
    assert first["date"] == dt.date(2020, 1, 1)


def test_money_follows_the_currency(spark: SparkSession) -> None:
    built = build_tables(scored(spark, scored_row("a", revenue_e4=125_000)), facts(minor_unit=0))
    assert rows_of(built, "assignments")[0]["revenue"] == Decimal(13)
    assert rows_of(built, "segments")[0]["revenue"] == Decimal(13)


def test_a_feature_named_like_a_column_gets_a_suffix(spark: SparkSession) -> None:
    rows = scored(spark, scored_row("a")).withColumn("as_of", F.lit(4.5)).withColumn("night share", F.lit(0.5))
    named = (Feature("as_of"), Feature("night share"))
    built = build_tables(rows, facts(features=named))
    (row,) = rows_of(built, "assignments")
    assert (row["as_of_feature"], row["night_share"]) == (4.5, 0.5)
    assert {p["feature"] for p in rows_of(built, "segment_profiles")} == {"as_of", "night share"}


def test_customers_with_neither_segment_nor_lane_are_a_bug_that_is_told(spark: SparkSession) -> None:
    with pytest.raises(PublicationError, match="neither a segment nor a lane"):
        build_tables(scored(spark, scored_row("a", lane=None, segment_index=None)), facts())


def test_nulls_where_none_may_be_and_undeclared_columns_are_refused(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [(1, None, AS_OF, AS_OF, True)],
        "customer_key long, customer_id string, first_ordered_at timestamp, last_ordered_at timestamp,is_known boolean",
    )
    with pytest.raises(Exception, match=r"customers\.customer_id is null"):
        conform(rows, CUSTOMERS, 2, "p").collect()
    with pytest.raises(PublicationError) as refused:
        conform(rows.withColumn("more", F.lit(1)), CUSTOMERS, 2, "p")
    assert "not declared: more" in str(refused.value)


def four_bits(customer_id: Column, salt: int) -> Column:
    return F.pmod(F.xxhash64(customer_id, F.lit(salt)), F.lit(16))


def ids(spark: SparkSession, *names: str) -> DataFrame:
    return spark.createDataFrame([(name,) for name in names], "customer_id string")


def keys(rows: DataFrame) -> dict[str, int]:
    return {row["customer_id"]: row["customer_key"] for row in rows.collect()}


def test_colliding_ids_get_keys_of_their_own_whatever_the_order(spark: SparkSession) -> None:
    names = [f"c{n}" for n in range(12)]
    found = keys(with_customer_key(ids(spark, *names), None, key_hash=four_bits))
    assert sorted(found) == sorted(names)
    assert len(set(found.values())) == 12
    assert keys(with_customer_key(ids(spark, *reversed(names)).repartition(3), None, key_hash=four_bits)) == found


def test_a_published_key_stays_though_smaller_ids_that_want_it_come_and_go(spark: SparkSession) -> None:
    first = with_customer_key(ids(spark, *(f"m{n}" for n in range(6))), None, key_hash=four_bits)
    published = keys(first)
    second = with_customer_key(
        ids(spark, *(f"m{n}" for n in range(3, 6)), *(f"a{n}" for n in range(7))), first, key_hash=four_bits
    )
    found = keys(second)
    assert {name: found[name] for name in ("m3", "m4", "m5")} == {name: published[name] for name in ("m3", "m4", "m5")}
    assert len(set(found.values())) == 10
    gone = {published[f"m{n}"] for n in range(3)}
    assert not gone & {found[f"a{n}"] for n in range(7)}


def test_without_collisions_the_key_is_the_plain_hash(spark: SparkSession) -> None:
    rows = with_customer_key(
        ids(spark, "12345", "00042"), ids(spark, "12345").withColumn("customer_key", F.xxhash64("customer_id"))
    )
    assert rows.where(F.col("customer_key") != F.xxhash64("customer_id")).count() == 0
