"""Customer rows beyond the catalog: lanes, attributes, custom features, lifetime values, customers without lines."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from pyspark.sql import functions as F

from segengine.config import parse
from segengine.errors import ConfigError, InputError
from segengine.features import (
    Attributes,
    Chosen,
    choose,
    clv,
    customer_rows,
    customers_only_rows,
    moment,
    size_warnings,
    totals,
)
from tests.spark.features_oracle import microseconds, paper, shop

if TYPE_CHECKING:
    pass
from tests.spark.feature_tables import (
    AS_OF,
    EVERYTHING,
    build,
    build_from,
    by_customer,
    checked,
    config,
    line,
    lines_of,
    people_of,
)


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
