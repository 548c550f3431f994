"""What several files of tests begin with: a shop with its first publication."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segengine import runs
from tests import shops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segengine.report.facts import Summary


@pytest.fixture(scope="session")
def first_run(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """The configuration of a shop of 120 customers and what its first run told; for reading only."""
    folder = tmp_path_factory.mktemp("first") / "shop"
    shops.write_parquet(shops.lines(customers=120), folder / "lines")
    config = shops.write_config(folder)
    return config, runs.run(config, spark=spark)


@pytest.fixture
def published_shop(first_run: tuple[Path, Summary], tmp_path: Path) -> tuple[Path, Summary]:
    """The same, copied for one test to go on with."""
    config, summary = first_run
    shutil.copytree(config.parent, tmp_path / "shop")
    return tmp_path / "shop" / config.name, summary
