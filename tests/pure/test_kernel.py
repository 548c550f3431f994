from __future__ import annotations

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from segengine.features.kernel import measuring
from segengine.features.kernel.plan import REJECTED, RETURN, SALE, Plan
from segengine.io.zones import clock_changes

DAY_US = 86_400_000_000
UTC_CHANGES, UTC_OFFSETS = clock_changes("UTC", dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
PLAN = Plan(
    last_us=300 * DAY_US,
    previous_us=200 * DAY_US,
    window_start_us=None,
    drop_duplicates=False,
    quantity=True,
    products=True,
    rhythm=True,
    discount=True,
    mixes=(("category", "categories"), ("channel", "channels")),
    changes_us=UTC_CHANGES,
    offsets_us=UTC_OFFSETS,
)


def lines(count: int, *, customers: int, seed: int = 1) -> pa.Table:
    random = np.random.default_rng(seed)
    customer = random.integers(0, customers, count)
    order = customer * 1_000 + random.integers(0, 40, count)
    product = random.integers(0, 5, count)
    at = (order * 7_919 % 365) * DAY_US + random.integers(0, 3_600_000_000, count)
    table = pa.table(
        {
            "customer_id": pa.array([f"K{number}" for number in customer]),
            "order_hash": pa.array(order * 2_654_435_761_000),
            "at_us": pa.array(at),
            "amount_e4": pa.array(random.integers(-10_000, 1_000_000, count)),
            "row_hash": pa.array(random.permutation(count) - count // 2),
            "kind": pa.array(random.choice([SALE, SALE, SALE, RETURN, REJECTED], count).astype(np.int8)),
            "product_hash": pa.array(product, mask=random.random(count) < 0.1),
            "quantity": pa.array(random.random(count) * 3, mask=random.random(count) < 0.1),
            "discount_e4": pa.array(random.integers(-5_000, 5_000, count), mask=random.random(count) < 0.5),
            "channel": pa.array(random.choice(["web", "shop"], count)),
            "category": pa.array(random.choice(["Brot", "茶", "Émile"], count), mask=random.random(count) < 0.1),
        }
    )
    return pa.concat_tables([table, table.slice(0, count // 10)]).combine_chunks()


def answer(table: pa.Table, plan: Plan = PLAN, batch: int = 997) -> list[dict[str, object]]:
    rows = pa.Table.from_batches(list(measuring(plan)(iter(table.to_batches(max_chunksize=batch)))))
    return sorted(rows.to_pylist(), key=lambda row: str(row["customer_id"]))


@pytest.mark.parametrize("drop", [False, True])
def test_a_partition_that_goes_through_disk_gives_the_same_rows(drop):
    table = lines(20_000, customers=60)
    plan = replace(PLAN, drop_duplicates=drop)
    assert answer(table, replace(plan, lines_in_memory=1_500)) == answer(table, plan)


def test_the_order_of_lines_changes_nothing():
    table = lines(5_000, customers=30)
    shuffled = table.take(pa.array(np.random.default_rng(2).permutation(len(table))))
    assert answer(shuffled) == answer(table)


def test_a_partition_without_lines_gives_no_rows():
    assert list(measuring(PLAN)(iter([]))) == []


@pytest.mark.parametrize("limit", [2_000_000, 500])
def test_money_that_does_not_fit_into_64_bits_raises(limit):
    table = lines(2_000, customers=1)
    huge = pa.array(np.full(len(table), 9_000_000_000_000_000, dtype=np.int64))
    table = table.set_column(table.schema.get_field_index("amount_e4"), "amount_e4", huge)
    with pytest.raises(OverflowError, match="ARITHMETIC_OVERFLOW"):
        answer(table, replace(PLAN, lines_in_memory=limit))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_local_days_are_those_of_the_time_zone_database(zone):
    changes, offsets = clock_changes(zone, dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
    moments = np.random.default_rng(3).integers(-2_208_988_800, 1_704_067_200, 20_000)
    around = np.concatenate([changes[1:] // 1_000_000 + shift for shift in (-1, 0, 1)])
    for second in (*moments.tolist(), *around.tolist()):
        local = dt.datetime.fromtimestamp(second, ZoneInfo(zone))
        span = np.searchsorted(changes, second * 1_000_000, side="right") - 1
        found = (second * 1_000_000 + int(offsets[span])) // DAY_US
        assert found == local.date().toordinal() - dt.date(1970, 1, 1).toordinal(), local
