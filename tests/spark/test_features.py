"""Customer rows against plain pandas, in any order, partitioning and time zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from pyspark.sql import functions as F

from segengine.config import Config, parse
from segengine.contract import CheckedCustomers, CheckedLines
from segengine.errors import ConfigError, InputError, SegengineError
from segengine.features import (
    Attributes,
    Chosen,
    CustomerRows,
    choose,
    clv,
    customer_rows,
    customers_only_rows,
    moment,
    size_warnings,
    totals,
)
from tests.spark.features_oracle import COLUMNS, expected, microseconds, paper, revenue_rank, shop

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EVERYTHING = "include: [rfm, basket, tenure, rhythm, trend, returns, category_mix, channel_mix, timing, discount]"
MAPPED = frozenset(
    {"customer_id", "order_id", "ordered_at", "amount", "quantity", "product", "category", "channel", "discount"}
)
AS_OF = dt.datetime(2011, 12, 10, tzinfo=ZoneInfo("Europe/London"))


@contextmanager
def session_zone(spark: SparkSession, zone: str) -> Iterator[None]:
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        yield
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)


def config(
    features: str = EVERYTHING, *, zone: str = "UTC", table: str = "", people: str = "", more: str = ""
) -> Config:
    columns = "customer_id: c, order_id: o, ordered_at: t, amount: a, quantity: q, product: p, category: k"
    columns += ", channel: h, discount: d"
    customers = f", customers: {{path: people, columns: {{customer_id: c}}, {people}}}" if people else ""
    lines = f"transactions: {{path: lines, columns: {{{columns}}}, returns: r, {table}}}"
    text = f"name: shop\ntimezone: {zone}\nhistory: all\ntables: {{{lines}{customers}}}\nfeatures: {{{features}}}\n"
    return parse(f"{text}output: {{path: out}}\n{more}", folder=Path("somewhere"), environ={})


def lines_of(spark: SparkSession, frame: pd.DataFrame) -> DataFrame:
    """Lines as the contract hands them on, with times built from microseconds."""
    rows = [
        tuple(None if pd.isna(value) else getattr(value, "item", lambda v=value: v)() for value in row)
        for row in frame[list(COLUMNS)].itertuples(index=False)
    ]
    schema = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    lines = spark.createDataFrame(rows, schema)
    return lines.withColumn("at_us", F.timestamp_micros("at_us")).withColumnRenamed("at_us", "ordered_at")


def checked(
    lines: DataFrame, *, as_of: dt.datetime = AS_OF, start: dt.datetime | None = None, **more: Any
) -> CheckedLines:
    facts = {"ignored_customers": (), "quality": (), "rows_read": 0, "amount_read_e4": 0, "warnings": (), **more}
    return CheckedLines(lines=lines, as_of=as_of.astimezone(dt.UTC), window_start=start, mapped=MAPPED, **facts)


def people_of(spark: SparkSession, rows: list[tuple[Any, ...]], schema: str, **more: Any) -> CheckedCustomers:
    frame = spark.createDataFrame(rows, schema)
    numeric = tuple(name for name, kind in frame.dtypes if kind == "double")
    categorical = tuple(name for name, kind in frame.dtypes if kind == "string" and name != "customer_id")
    return CheckedCustomers(frame, (), len(rows), numeric, categorical, (), **more)


def line(
    customer: str = "A", order: str = "1", day: str = "2011-12-01", amount: float = 10, **more: Any
) -> dict[str, Any]:
    at = microseconds(dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC))
    usual = {"quantity": 1.0, "product": "p", "category": "c", "is_return": False, "status": "used", "rule": None}
    usual |= {"channel": "web", "discount_e4": None}
    return {
        "customer_id": customer,
        "order_id": order,
        "at_us": at,
        "amount_e4": int(amount * 10_000),
        "row_hash": hash((customer, order, day, amount, str(more))),
        **usual,
        **more,
    }


def build(
    spark: SparkSession,
    *rows: dict[str, Any],
    settings: Config | None = None,
    people: CheckedCustomers | None = None,
    **more: Any,
) -> CustomerRows:
    settings = settings or config()
    attributes = Attributes(people.numeric, people.categorical) if people else None
    found = checked(lines_of(spark, pd.DataFrame(rows)), **more)
    return customer_rows(found, people, choose(settings, MAPPED, attributes), settings)


def by_customer(built: CustomerRows) -> dict[str, dict[str, Any]]:
    rows = built.rows.drop("first_ordered_at", "last_ordered_at").collect()
    assert len({row["customer_id"] for row in rows}) == len(rows)
    return {row["customer_id"]: row.asDict() for row in rows}


@pytest.mark.parametrize(
    ("seed", "zone", "drop", "returns"),
    [
        (1, "Europe/London", False, "net"),
        (2, "America/New_York", True, "drop"),
        (3, "Asia/Kolkata", True, "net"),
        (4, "Pacific/Auckland", False, "drop"),
    ],
)
def test_every_feature_is_what_pandas_says(spark, seed, zone, drop, returns):
    frame = shop(seed, returns=returns)
    as_of = dt.datetime(2011, 12, 10, tzinfo=ZoneInfo(zone))
    frame = frame[frame["at_us"] < microseconds(as_of)]
    settings = config(
        EVERYTHING + ", top_categories: 3, top_channels: 2",
        zone=zone,
        table=f"duplicates: {'drop' if drop else 'keep'}",
    )
    with session_zone(spark, zone):
        built = customer_rows(
            checked(lines_of(spark, frame), as_of=as_of), None, choose(settings, MAPPED, None), settings
        )
        found = by_customer(built)
        built.unpersist()
    shares = [feature.argument for feature in built.features if feature.family == "category_mix" and feature.argument]
    assert shares == revenue_rank(frame)[:3] or drop
    wanted = expected(frame, as_of, zone, drop=drop)
    assert set(found) == set(wanted)
    for customer, features in wanted.items():
        for feature in built.features:
            assert found[customer][feature.name] == pytest.approx(features[feature.name], abs=1e-12), feature.name


def test_rows_and_money_add_up_to_the_lines(spark):
    frame = shop(5)
    for duplicates in ("keep", "drop"):
        settings = config(EVERYTHING, table=f"duplicates: {duplicates}")
        built = customer_rows(checked(lines_of(spark, frame)), None, choose(settings, MAPPED, None), settings)
        found = totals(built.rows)
        built.unpersist()
        used = frame[frame["status"] == "used"]
        copies = used[used.duplicated(["customer_id", "order_id", "row_hash"])]
        assert (found.lines.used_rows, found.lines.used_amount_e4) == (len(used), used["amount_e4"].sum())
        assert (found.duplicates, found.duplicates_e4) == (len(copies), copies["amount_e4"].sum())
        assert found.lines_rejected == (frame["status"] == "rejected").sum()
        assert found.lines_used == len(used) - (len(copies) if duplicates == "drop" else 0)
        assert found.customers == frame["customer_id"].nunique()
        lanes = sum(lane.revenue_e4 for lane in found.by_lane.values())
        assert found.assigned_revenue_e4 + lanes == found.lines.used_amount_e4 - (
            found.duplicates_e4 if duplicates == "drop" else 0
        )


def test_order_and_partitions_of_the_lines_do_not_change_a_bit(spark):
    frame = shop(6, customers=12)
    settings = config(
        EVERYTHING + ", custom: {spread: stddev(amount), products: count(distinct product)}", table="duplicates: drop"
    )
    chosen = choose(settings, MAPPED, None)
    answers = []
    for partitions, seed in ((1, 1), (4, 2), (16, 3)):
        lines = lines_of(spark, frame.sample(frac=1, random_state=seed)).repartition(partitions)
        built = customer_rows(checked(lines), None, chosen, settings)
        answers.append({row["customer_id"]: str(row) for row in built.rows.collect()})
        built.unpersist()
    assert answers[0] == answers[1] == answers[2]


def exchanges_of_lines(rows: DataFrame) -> int:
    """Exchanges in the plan whose subtree scans the lines and sums nothing up; reused ones count once."""
    plan = rows._jdf.queryExecution().executedPlan().toString()
    plan = plan.split("== Initial Plan ==")[0].split("== Final Plan ==")[-1]
    rows_of_plan = [(len(text) - len(text.lstrip(" :+-*()0123456789")), text) for text in plan.splitlines()]
    found = 0
    for number, (depth, text) in enumerate(rows_of_plan):
        if text.lstrip(" :+-*()0123456789").startswith("Exchange"):
            below = []
            for deeper, other in rows_of_plan[number + 1 :]:
                if deeper <= depth:
                    break
                below.append(other)
            subtree = "\n".join(below)
            found += not ("Aggregate" in subtree or "MapInArrow" in subtree) and "order_id" in subtree
    return found


@pytest.mark.parametrize(
    "features",
    [
        "",
        EVERYTHING,
        EVERYTHING + ", custom: {night_share: avg(cast(hour(ordered_at) >= 22 as int)), spread: stddev(amount)}",
    ],
)
@pytest.mark.parametrize("duplicates", ["keep", "drop"])
def test_the_lines_are_exchanged_once(spark, features, duplicates):
    settings = config(features, table=f"duplicates: {duplicates}")
    people = people_of(spark, [("K1", False)], "customer_id string, opted_out boolean")
    found = checked(lines_of(spark, shop(7)), ignored_customers=("HOUSE",))
    built = customer_rows(found, people, choose(settings, MAPPED, None), settings)
    rows = built.rows
    rows.collect()
    source = built.persisted if built.persisted is not None else rows
    source.collect()
    assert exchanges_of_lines(source) == 1, source._jdf.queryExecution().executedPlan().toString()
    built.unpersist()


def test_two_baskets_on_one_day_count_as_two_orders_and_as_no_gap(spark):
    found = by_customer(build(spark, line(order="1"), line(order="2"), line(order="3", day="2011-12-05")))["A"]
    assert found["frequency_orders"] == 3
    assert found["days_between_orders_mean"] == 4 and found["days_between_orders_cv"] is None


def test_one_order_in_all_gives_a_customer_with_missing_rhythm(spark):
    built = build(spark, line(day="2011-12-09 23:59"))
    found = by_customer(built)["A"]
    assert found["recency_days"] == found["tenure_days"] == found["frequency_orders"] == found["active_months"] == 1
    assert found["days_between_orders_mean"] is None and found["lane"] is None
    assert found["share_c"] == found["top_category_share"] == 1 and found["category_entropy"] == 0
    assert totals(built.rows).assigned_revenue_e4 == 100_000


def test_days_are_counted_on_the_local_calendar(spark):
    """In London summer time starts between the two, so that the second, at 23:30 UTC, is on the day after."""
    rows = [line(day="2011-03-26 23:30"), line(order="2", day="2011-03-27 23:30")]
    for zone, gap, recency in (("Europe/London", 2, 257), ("UTC", 1, 258), ("Asia/Kolkata", 1, 257)):
        with session_zone(spark, zone):
            as_of = dt.datetime(2011, 12, 10, tzinfo=ZoneInfo(zone))
            found = by_customer(build(spark, *rows, settings=config(zone=zone), as_of=as_of))["A"]
        assert (found["days_between_orders_mean"], found["recency_days"]) == (gap, recency), zone


def test_a_session_in_another_zone_is_refused(spark):
    with pytest.raises(SegengineError, match="time zone"):
        build(spark, line(), settings=config(zone="Asia/Tokyo"))


def test_returns_reduce_money_and_are_no_orders(spark):
    rows = [line(amount=10), line(order="R", day="2011-12-09", amount=-25, is_return=True)]
    found = by_customer(build(spark, *rows))["A"]
    assert found["monetary_total"] == found["average_order_value"] == -15
    assert (found["frequency_orders"], found["orders"], found["recency_days"]) == (1, 1, 9)
    assert (found["return_share_orders"], found["return_share_lines"], found["returned_amount_share"]) == (0.5, 0.5, 1)


def test_every_customer_has_the_first_lane_that_fits(spark):
    settings = config(more="lanes: {too_new_days: 5, too_new_orders: 1}\n", people="opted_out: no_consent")
    people = people_of(
        spark,
        [("out", True), ("silent", False), ("HOUSE", True), ("K", False)],
        "customer_id string, opted_out boolean",
    )
    returned: dict[str, Any] = {"is_return": True, "status": "ignored", "rule": "returned"}
    rows = [
        line("out"),
        line("K"),
        line("new", day="2011-12-08"),
        line("back", amount=-1, **returned),
        line("bad", status="rejected", rule="bad_amount"),
        line("unknown"),
        line("early", day="2001-01-01", amount=-1, **returned),
    ]
    start = dt.datetime(2010, 1, 1, tzinfo=dt.UTC)
    built = build(spark, *rows, settings=settings, people=people, ignored_customers=("HOUSE", "GUEST"), start=start)
    found = by_customer(built)
    assert {name: row["lane"] for name, row in found.items()} == {
        "HOUSE": "ignored",
        "GUEST": "ignored",
        "out": "opted_out",
        "back": "only_returns",
        "silent": "no_purchases",
        "bad": "no_purchases",
        "early": "no_purchases",
        "new": "too_new",
        "K": None,
        "unknown": None,
    }
    assert {name for name, row in found.items() if row["is_known"]} == {"out", "silent", "HOUSE", "K"}
    counted = totals(built.rows)
    assert (counted.customers, counted.assigned_customers) == (10, 2)
    assert {name: lane.customers for name, lane in counted.by_lane.items()} == {
        "ignored": 2,
        "opted_out": 1,
        "only_returns": 1,
        "no_purchases": 3,
        "too_new": 1,
    }
    assert (counted.lines_used, counted.lines_ignored, counted.lines_rejected) == (4, 2, 1)


def test_lines_before_the_window_are_counted_and_not_used(spark):
    early = {"status": "ignored", "rule": "before_history"}
    built = build(spark, line(amount=7), line(order="0", day="2001-01-01", amount=5, **early))
    found, counted = by_customer(built)["A"], totals(built.rows)
    assert (found["monetary_total"], found["frequency_orders"]) == (7, 1)
    assert (counted.lines.before_history_rows, counted.lines.before_history_amount_e4) == (1, 50_000)
    assert counted.lines.ignored_rows == 1


def test_attributes_are_joined_and_become_features(spark):
    settings = config(
        "include: [rfm, attributes]", people="attributes: [spend, Plan Type, lane, gaps], protected: [age]"
    )
    columns = "spend double, `Plan Type` string, lane string, gaps string, age double"
    people = people_of(
        spark,
        [("A", False, float("nan"), "gold", "x", "g", 33.0), ("B", False, 2.0, None, "y", "g", 44.0)],
        f"customer_id string, opted_out boolean, {columns}",
    )
    built = build(spark, line("A"), line("C"), settings=settings, people=people)
    found = by_customer(built)
    assert [(f.name, f.kind) for f in built.features[3:]] == [
        ("spend", "numeric"),
        ("plan_type", "categorical"),
        ("attribute_lane", "categorical"),
        ("gaps", "categorical"),
    ]
    assert (found["A"]["spend"], found["A"]["plan_type"], found["A"]["attribute_lane"]) == (None, "gold", "x")
    assert (found["A"]["age"], found["B"]["lane"], found["B"]["frequency_orders"]) == (33, "no_purchases", 0)
    assert (found["C"]["is_known"], found["C"]["plan_type"]) == (False, None)


def test_a_saved_model_keeps_its_categories(spark):
    rows = [line(category="bread", amount=1), line(category="wine", amount=3)]
    trained = build(spark, *rows, settings=config("include: [category_mix], top_categories: 1"))
    assert trained.features[-1].name == "share_wine"
    later = [line(category="bread", amount=9), line("B", category="wine", amount=3)]
    found = customer_rows(
        checked(lines_of(spark, pd.DataFrame(later))), None, Chosen(features=trained.features), config()
    )
    assert found.features == trained.features and found.persisted is None
    assert {name: row["share_wine"] for name, row in by_customer(found).items()} == {"A": 0, "B": 1}
    trained.unpersist()


def test_custom_features_see_used_lines_as_exact_numbers(spark):
    custom = (
        "{dear: sum(amount), night_share: avg(cast(hour(ordered_at) >= 22 as int)), kinds: count(distinct product)}"
    )
    settings = config(f"include: [recency_days], custom: {custom}", table="duplicates: drop")
    copy = line(amount=0.1, row_hash=1)
    rows = [copy, copy, line(amount=0.2, day="2011-12-01 22:00", product="z"), line(status="rejected", rule="x")]
    found = by_customer(build(spark, *rows, settings=settings))["A"]
    assert (found["dear"], found["night_share"], found["kinds"], found["lines_used"]) == (0.3, 0.5, 2, 2)


@pytest.mark.parametrize("sql", ["amount", "max(product)", "sum(amout)", "count(customer_id)", "sum(amount", "rand()"])
def test_a_custom_feature_that_cannot_be_computed_is_named(spark, sql):
    with pytest.raises(ConfigError, match=r"features\.custom\.own|custom"):
        build(spark, line(), settings=config(f"custom: {{own: '{sql}'}}"))


def test_money_beyond_64_bits_is_an_input_error(spark):
    rows = [line(order=str(n), amount_e4=9_000_000_000_000_000_000) for n in range(2)]
    with pytest.raises(InputError, match="add up"):
        totals(build(spark, *rows, settings=config("include: [rfm]")).rows)


def test_ids_of_any_script_stay_apart(spark):
    ids = ["00042", "42", "é", "e\u0301", "顧客", "😀", "'; DROP TABLE x", "a b", "`"]
    found = by_customer(build(spark, *(line(name) for name in ids)))
    assert set(found) == set(ids)


def test_forty_features_at_once(spark):
    custom = ", ".join(f"own_{n}: avg(amount + {n})" for n in range(20))
    categories = [line(category=f"cat {n}", amount=n) for n in range(12)]
    built = build(spark, *categories, settings=config(f"{EVERYTHING}, top_categories: 10, custom: {{{custom}}}"))
    assert len(built.features) >= 40
    assert by_customer(built)["A"]["own_3"] == pytest.approx(5.5 + 3)
    built.unpersist()


def test_a_customer_with_a_million_lines_is_warned_about_without_its_name(spark):
    built = build(spark, line())
    counted = totals(built.rows.withColumn("lines_used", F.lit(2_000_000).cast("bigint")))
    assert "2,000,000" in size_warnings(counted)[0] and "ignore_customers" in size_warnings(counted)[0]
    assert size_warnings(totals(built.rows)) == ()


def test_a_table_of_customers_alone_gives_the_same_columns(spark):
    text = (
        "name: p\nkind: customers\ntables: {customers: {path: p, columns: {customer_id: c}, attributes: [age, plan]}}\n"
    )
    settings = parse(text + "output: {path: o}\n", folder=Path("x"), environ={})
    schema = "customer_id string, opted_out boolean, age double, plan string"
    rows = [("A", False, 30.0, "gold"), ("B", True, None, None)]
    people = people_of(spark, rows, schema, ignored_customers=("HOUSE",))
    built = customers_only_rows(people, choose(settings, frozenset(), Attributes(("age",), ("plan",))), settings)
    found = by_customer(built)
    assert {name: row["lane"] for name, row in found.items()} == {"A": None, "B": "opted_out", "HOUSE": "ignored"}
    assert (found["A"]["age"], found["A"]["plan"], found["A"]["revenue_e4"], found["A"]["lines_used"]) == (
        30,
        "gold",
        None,
        0,
    )
    with_lines = build(
        spark, line(), settings=config("include: [attributes.age]", people="attributes: [age, plan]"), people=people
    )
    assert set(built.rows.columns) == set(with_lines.rows.columns)
    assert totals(built.rows).assigned_revenue_e4 == 0


def test_the_latest_moment_of_a_table_without_times_is_the_midnight_today_began_with():
    settings = config(zone="Asia/Kolkata")
    assert moment(settings, dt.datetime(2024, 5, 1, 20, tzinfo=dt.UTC)) == dt.datetime(
        2024, 5, 1, 18, 30, tzinfo=dt.UTC
    )


def test_lifetime_values_are_fitted_once_and_kept(spark):
    frame = shop(8, customers=90, lines=3_000)
    settings = config("include: [rfm, clv]")
    built = build_from(spark, frame, settings)
    fitted = clv.Fitted.from_json(built.features[-1].argument)
    found = by_customer(built)
    built.unpersist()
    bought = frame[(frame["status"] == "used") & ~frame["is_return"]].copy()
    assert fitted.customers == bought["customer_id"].nunique()
    firsts = bought.groupby(["customer_id", "order_id"])["at_us"].transform("min")
    bought["day"] = firsts // 86_400_000_000
    as_of = microseconds(AS_OF) // 86_400_000_000
    for customer, lines in bought.groupby("customer_id"):
        days = lines.groupby("day")["amount_e4"].sum() / 10_000
        x, recency, age = len(days) - 1, days.index.max() - days.index.min(), as_of - days.index.min()
        row = found[str(customer)]
        orders = paper(fitted.purchases, x, recency, age, 90)
        assert row["expected_order_days_90d"] == pytest.approx(orders, rel=1e-6)
        value = fitted.value.p * (fitted.value.v + days.iloc[1:].sum()) / (fitted.value.p * x + fitted.value.q - 1)
        year = paper(fitted.purchases, x, recency, age, 365)
        assert row["lifetime_value_365d"] == pytest.approx(year * value, rel=1e-6)
    later = customer_rows(checked(lines_of(spark, frame.head(200))), None, Chosen(features=built.features), settings)
    assert later.persisted is None and later.features == built.features
    later.rows.collect()


def build_from(spark: SparkSession, frame: pd.DataFrame, settings: Config) -> CustomerRows:
    return customer_rows(checked(lines_of(spark, frame)), None, choose(settings, MAPPED, None), settings)
