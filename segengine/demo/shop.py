"""A make-believe shop of any size whose true segments are known: lines, customers and truth; in memory, files or Spark.

python -m segengine.demo.shop --customers 100000 --out folder
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segengine.demo.shop_lines import customers_table, lines_table, truth_table
from segengine.demo.shop_types import DEFAULT_TYPES, CustomerType
from segengine.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["DEFAULT_TYPES", "CustomerType", "Shop", "ShopTables", "spark_lines", "write_lines"]

SLICE = 1_024
"""Customers generated at a time: some 100,000 lines, tens of megabytes."""

CONFIG = """\
# A make-believe shop of {customers:,} customers; their true segments are in truth.parquet
name: shop
as_of: {as_of}
history: all
timezone: Europe/Berlin
currency: EUR
tables:
  transactions:
    path: lines
    columns:
      customer_id: customer_id
      order_id: order_id
      ordered_at: ordered_at
      amount: amount
      quantity: quantity
      product: product
      category: category
    returns: quantity < 0
    duplicates: {duplicates}
  customers:
    path: customers.parquet
    columns: {{customer_id: customer_id}}
    attributes: [country, newsletter]
    protected: [age]
    opted_out: not consent
features: {{include: [rfm, basket, tenure, rhythm, trend]}}
segments: {{k: [3, 10], min_share: 0.03, seed: 7}}
output: {{path: out}}
"""


@dataclass(frozen=True)
class Shop:
    """A shop: the same parameters always give the same rows, however they are cut up and generated.

    A customer's lines do not depend on how many customers there are, and a day's lines not on how many days follow.
    Raises ConfigError for parameters that make no sense.
    """

    customers: int = 1_000
    days: int = 365
    seed: int = 1
    segments: tuple[CustomerType, ...] = DEFAULT_TYPES
    start: dt.date = dt.date(2023, 1, 1)
    ids: Literal["string", "integer"] = "string"
    seasons: float = 1.0
    """Strength of the seasons of week and year: 0 is none."""
    inflation: float = 0.0
    """Of all prices, a month: 0.01 is 1 %, compounded."""
    appears: Mapping[str, int] = field(default_factory=dict)
    """Type -> month in which its customers begin to buy; the start's month is 0."""
    vanishes: Mapping[str, int] = field(default_factory=dict)
    """Type -> month from which on its customers no longer buy as they did."""
    vanish_into: str | None = None
    """What customers of a vanished type become; they stop buying when absent."""
    returns: float = 0.0
    """Share of lines that come back, as lines with negative quantity and amount."""
    dirt: float = 0.0
    """Share of lines without an id; as many without an amount, with an impossible time, and there twice."""
    opted_out: float = 0.0
    """Share of customers who do not want to be profiled."""

    def __post_init__(self) -> None:
        names = [kind.name for kind in self.segments]
        named = {*self.appears, *self.vanishes, *([self.vanish_into] if self.vanish_into else [])}
        shares = ("returns", "dirt", "opted_out")
        faults = [
            (self.customers < 1, "customers must be at least 1", self.customers),
            (self.days < 1, "days must be at least 1", self.days),
            (not names or len(set(names)) < len(names), "segments need names, each its own", names),
            (
                any(kind.share <= 0 or kind.regularity < 1 for kind in self.segments),
                "share and regularity must be above 0",
                "",
            ),
            (not named <= set(names), f"unknown segments {sorted(named - set(names))}", names),
            (self.vanish_into in self.vanishes, "vanish_into names a segment that vanishes", self.vanish_into),
            (self.ids not in ("string", "integer"), "ids must be string or integer", self.ids),
            (
                any(not 0 <= getattr(self, name) <= 0.25 for name in shares),
                f"{', '.join(shares)} must be 0 to 0.25",
                "",
            ),
        ]
        for wrong, what, found in faults:
            if wrong:
                raise ConfigError(f"Shop: {what}.", found=str(found))

    @property
    def as_of(self) -> dt.date:
        """The day after the last one."""
        return self.start + dt.timedelta(days=self.days)

    @property
    def lines_schema(self) -> pa.Schema:
        """One row is a line of an order; `ordered_at` is wall clock without a zone, `amount` in units of currency."""
        ids = pa.int64() if self.ids == "integer" else pa.string()
        return pa.schema(
            [
                ("customer_id", ids),
                ("order_id", ids),
                ("line", pa.int32()),
                ("ordered_at", pa.timestamp("us")),
                ("product", pa.string()),
                ("category", pa.string()),
                ("quantity", pa.int64()),
                ("amount", pa.float64()),
                ("channel", pa.string()),
            ]
        )

    def tables(self) -> ShopTables:
        """Everything in memory, for shops of up to some 100,000 customers."""
        everybody = np.arange(self.customers)
        return ShopTables(
            shop=self,
            lines=pa.concat_tables(self.slices()).to_pandas(),
            customers=customers_table(self, everybody).to_pandas(),
            truth=truth_table(self, everybody).to_pandas(),
        )

    def slices(self) -> Iterator[pa.Table]:
        """The lines, `SLICE` customers at a time."""
        for first in range(0, self.customers, SLICE):
            yield lines_table(self, np.arange(first, min(first + SLICE, self.customers)))

    def write(self, folder: Path, *, files: int = 1) -> Path:
        """Write lines/, customers.parquet, truth.parquet and shop.yaml; returns the path of the last.

        Lines are made and written a slice at a time, so memory does not grow with the shop.
        """
        (folder / "lines").mkdir(parents=True, exist_ok=True)
        writers = [
            pq.ParquetWriter(folder / "lines" / f"part-{number:04d}.parquet", self.lines_schema, compression="zstd")
            for number in range(files)
        ]
        try:
            for number, lines in enumerate(self.slices()):
                writers[number % files].write_table(lines)
        finally:
            for writer in writers:
                writer.close()
        everybody = np.arange(self.customers)
        pq.write_table(customers_table(self, everybody), folder / "customers.parquet")
        pq.write_table(truth_table(self, everybody), folder / "truth.parquet")
        config = folder / "shop.yaml"
        duplicates = "drop" if self.dirt else "keep"
        config.write_text(
            CONFIG.format(customers=self.customers, as_of=self.as_of, duplicates=duplicates), encoding="utf-8"
        )
        return config


@dataclass(frozen=True)
class ShopTables:
    """A shop in memory."""

    shop: Shop
    lines: pd.DataFrame
    """One row is a line of an order, in the columns of `Shop.lines_schema`."""
    customers: pd.DataFrame
    """One row is a customer: customer_id, name, country, newsletter, age, consent."""
    truth: pd.DataFrame
    """One row is a customer: customer_id, true_segment."""

    def write(self, folder: Path, *, files: int = 1) -> Path:
        """As `Shop.write`."""
        return self.shop.write(folder, files=files)


def spark_lines(spark: SparkSession, shop: Shop, *, partitions: int | None = None) -> DataFrame:
    """The lines of the shop, generated on the executors; the same rows for any number of partitions.

    Executors need segengine, numpy and pyarrow. `ordered_at` is a TIMESTAMP_NTZ.
    """
    slices = -(-shop.customers // SLICE)

    def generate(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                first = number * SLICE
                lines = lines_table(shop, np.arange(first, min(first + SLICE, shop.customers)))
                yield from lines.combine_chunks().to_batches(max_chunksize=65_536)

    ids = "bigint" if shop.ids == "integer" else "string"
    schema = (
        f"customer_id {ids}, order_id {ids}, line int, ordered_at timestamp_ntz, product string, category string, "
        "quantity bigint, amount double, channel string"
    )
    return spark.range(0, slices, 1, partitions).mapInArrow(generate, schema)


def write_lines(
    spark: SparkSession, shop: Shop, path: str, *, partitions: int | None = None, format: str = "parquet"
) -> None:
    """Write the lines of the shop with Spark, one file a partition; replaces what is there."""
    spark_lines(spark, shop, partitions=partitions).write.format(format).mode("overwrite").save(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a shop to a folder, as files."""
    parser = argparse.ArgumentParser(
        prog="python -m segengine.demo.shop", description="Write a make-believe shop as Parquet."
    )
    parser.add_argument("--customers", type=int, default=1_000)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=dt.date.fromisoformat, default=dt.date(2023, 1, 1), metavar="YYYY-MM-DD")
    parser.add_argument("--ids", choices=["string", "integer"], default="string")
    parser.add_argument("--returns", type=float, default=0.0, help="share of lines that come back")
    parser.add_argument("--dirt", type=float, default=0.0, help="share of lines with each kind of fault")
    parser.add_argument("--files", type=int, default=1, help="files to spread the lines over")
    options = vars(parser.parse_args(arguments))
    folder, files = options.pop("out"), options.pop("files")
    config = Shop(**options).write(folder, files=files)
    print(f"Wrote {config}\nNow: segengine run {config}")


if __name__ == "__main__":
    main()
