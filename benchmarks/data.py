"""Tables for the benchmarks: N million order lines of the make-believe shop, in the order of time.

python benchmarks/data.py --lines 5000000 --out folder
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from segengine.demo.shop import Shop
from segengine.demo.shop_types import CustomerType

LINES_PER_CUSTOMER = 23.1
"""Mean of TYPES over a year, measured; the number of customers follows from it."""

TYPES = (
    CustomerType("weekly", 0.08, 8, 42.0, 1.8, 6, {"Brot": 4, "Obst": 4}, 0.15),
    CustomerType("monthly, large", 0.17, 33, 150.0, 3.2, 8, {"Haushalt": 6, "Vin rouge": 4}, 0.75),
    CustomerType("monthly, small", 0.25, 30, 14.0, 1.3, 4, {"Brot": 6, "Кофе": 5}, 0.05),
    CustomerType("now and then", 0.28, 85, 30.0, 2.2, 5, {"Spielzeug": 6}, 0.40),
    CustomerType("gone", 0.22, 16, 55.0, 2.4, 4, {"茶 / Tee": 4}, 0.30, leaves=(80, 140)),
)
"""Five true segments of a shop whose customers come less often than the demo's."""


def write(lines: int, folder: Path, *, seed: int = 1) -> int:
    """Write about `lines` lines below `folder`/lines, a file a month, and the truth beside them; returns how many.

    They lie in the order of time, as shops write them: a customer's lines are in all files.
    """
    shop = Shop(customers=max(100, round(lines / LINES_PER_CUSTOMER)), segments=TYPES, seed=seed)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        shop.write(Path(made), files=max(2, lines // 2_500_000))
        (folder / "lines").mkdir(parents=True)
        shutil.move(Path(made) / "truth.parquet", folder)
        return _sorted_by_time(Path(made) / "lines", folder / "lines", shop.as_of.year - 1)


def _sorted_by_time(made: Path, folder: Path, year: int) -> int:
    with duckdb.connect(config={"temp_directory": str(made.parent / "spill")}) as database:
        database.execute(f"CREATE VIEW lines AS SELECT * FROM read_parquet('{made}/*.parquet')")
        for month in range(1, 13):
            database.execute(
                "COPY (SELECT * FROM lines WHERE year(ordered_at) = ? AND month(ordered_at) = ? "
                "ORDER BY ordered_at, customer_id, order_id, line) "
                f"TO '{folder}/month-{month:02}.parquet' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 1000000)",
                [year, month],
            )
    return sum(pq.read_metadata(file).num_rows for file in folder.glob("*.parquet"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    print(f"{write(asked.lines, asked.out):,} lines in {asked.out}")


if __name__ == "__main__":
    main()
