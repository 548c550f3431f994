"""Customer rows against plain pandas, in any order, partitioning and time zone."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from segengine.errors import SegengineError
from segengine.features import (
    choose,
    customer_rows,
    totals,
)
from tests.spark.features_oracle import expected, microseconds, revenue_rank, shop

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
from tests.spark.feature_tables import (
    EVERYTHING,
    MAPPED,
    build,
    by_customer,
    checked,
    config,
    line,
    lines_of,
    people_of,
    session_zone,
)

pytestmark = pytest.mark.usefixtures("compiled")


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
