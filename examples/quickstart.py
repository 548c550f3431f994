"""Make a shop whose true segments are known, segment its customers, compare: python examples/quickstart.py [FOLDER]."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pandas as pd

import segengine
from segengine.demo.shop import Shop


def main(folder: Path) -> None:
    config = Shop(customers=1_000, seed=1).write(folder)  # lines/, customers.parquet, truth.parquet, shop.yaml
    summary = segengine.run(config)
    print(f"\n{summary.k} segments of {summary.customers:,} customers")

    gold = folder / "out" / "gold"
    now = gold / pd.read_json(gold / "current.json", typ="series")["folder"]
    found = pd.read_parquet(now / "assignments").merge(pd.read_parquet(now / "customers"), on="customer_key")
    both = found.merge(pd.read_parquet(folder / "truth.parquet"), on="customer_id")
    print(pd.crosstab(both["true_segment"], both["segment_key"]))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="segengine-quickstart-")))
