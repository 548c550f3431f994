"""Iceberg tables: tested on an older line of Spark, since Iceberg has no JAR for that of development."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = ("4.1", "3.5")


def test_iceberg_tables_are_read_on_a_line_of_spark_that_iceberg_knows():
    homes = [ROOT / f".venv-spark-{line}" for line in LINES]
    home = next((each for each in homes if list(each.glob("share/segengine/jars/iceberg/*.jar"))), None)
    if home is None:
        pytest.skip("no older Spark with Iceberg's JAR is installed: make setup-spark SPARK=3.5 WITH=iceberg")
    done = subprocess.run(
        [str(home / "bin" / "python"), "-m", "pytest", "-q", "tests/spark/iceberg_tables.py"],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": "", "REQUIRE_ALL": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "4 passed" in done.stdout
