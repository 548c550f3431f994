"""The make-believe shop generated on executors holds the rows that it holds in memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from segengine.demo.shop import SLICE, Shop, spark_lines, write_lines


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["order_id", "line"]).reset_index(drop=True)


@pytest.mark.parametrize("partitions", [1, 3])
def test_any_number_of_partitions_gives_the_rows_of_memory(spark, tmp_path: Path, partitions: int):
    shop = Shop(customers=2 * SLICE + 10, days=40, returns=0.05)
    write_lines(spark, shop, str(tmp_path / "lines"), partitions=partitions)
    written = pd.read_parquet(tmp_path / "lines")
    assert len(list((tmp_path / "lines").glob("*.parquet"))) == partitions
    pd.testing.assert_frame_equal(in_order(written), in_order(shop.tables().lines), check_dtype=False)


def test_integer_ids_and_dirt_come_through(spark):
    shop = Shop(customers=50, days=60, ids="integer", dirt=0.05)
    rows = spark_lines(spark, shop)
    assert dict(rows.dtypes)["customer_id"] == "bigint"
    assert dict(rows.dtypes)["ordered_at"] == "timestamp_ntz"
    expected = shop.tables().lines
    assert rows.count() == len(expected)
    assert rows.where("customer_id is null").count() == expected["customer_id"].isna().sum()
    assert rows.where("ordered_at < '1900-01-01'").count() == (expected["ordered_at"].dt.year < 1900).sum()
