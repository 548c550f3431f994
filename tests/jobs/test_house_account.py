"""A house account of five million lines, in a JVM of one GiB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import shops

REPOSITORY = Path(__file__).parents[2]
LINES = 5_000_000
MACHINE = {"SEGENGINE_MASTER": "local[2]", "SEGENGINE_DRIVER_MEMORY": "1g", "PYTHONPATH": str(REPOSITORY)}


def house_account(customer: str) -> pa.Table:
    """One customer's lines: five to an order, a second between orders."""
    number = np.arange(LINES, dtype=np.int64)
    order = number // 5
    first = np.datetime64("2023-10-01T00:00:00", "us")
    return pa.table(
        {
            "client": pa.DictionaryArray.from_arrays(pa.array(np.zeros(LINES, dtype=np.int32)), [customer]).cast(
                "string"
            ),
            "ticket": pa.array(order).cast("string"),
            "sold at": first + order.astype("timedelta64[s]"),
            "price": np.full(LINES, 2.5),
            "pieces": np.ones(LINES, dtype=np.int64),
            "aisle": pa.DictionaryArray.from_arrays(pa.array((number % 3).astype(np.int32)), ["a", "b", "c"]).cast(
                "string"
            ),
        }
    )


@pytest.mark.jobs
def test_a_customer_with_five_million_lines_fits_into_a_gibibyte_and_is_warned_about(tmp_path):
    shops.write_parquet(shops.lines(customers=300), tmp_path / "lines")
    pq.write_table(house_account("TILL"), tmp_path / "lines" / "till.parquet")
    config = shops.write_config(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "segengine.cli", "run", str(config), "--json"],
        env={**os.environ, **MACHINE},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ignore_customers" in done.stdout
    assert "TILL" not in done.stdout + done.stderr
