"""The oldest line of Spark and this one: the same segments, and each loads the models of the other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests import shops

pytestmark = pytest.mark.jobs

REPOSITORY = Path(__file__).parents[2]
OLDEST = "3.5"


@pytest.fixture(scope="module")
def pythons() -> dict[str, Path]:
    """Line -> its Python."""
    other = REPOSITORY / f".venv-spark-{OLDEST}" / "bin" / "python"
    if not other.exists():
        pytest.skip(f"there is no environment of Spark {OLDEST}; `make setup-spark SPARK={OLDEST}` makes it")
    import pyspark

    return {OLDEST: other, ".".join(pyspark.__version__.split(".")[:2]): Path(sys.executable)}


def segengine(python: Path, command: str, config: Path) -> None:
    variables = {"SEGENGINE_MASTER": "local[2]", "PYTHONPATH": str(REPOSITORY)}
    clean = {name: value for name, value in os.environ.items() if name not in ("SPARK_HOME", "PYSPARK_PYTHON")}
    done = subprocess.run(
        [str(python), "-m", "segengine.cli", command, str(config), "--quiet"], env=clean | variables,
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def trained(pythons: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Line -> a folder with the same shop, trained and published by that line."""
    folders = {}
    for line, python in pythons.items():
        folders[line] = tmp_path_factory.mktemp(f"spark-{line}")
        shops.write_parquet(shops.lines(customers=100), folders[line] / "lines")
        segengine(python, "run", shops.write_config(folders[line]))
    return folders


def assignments(folder: Path) -> pd.DataFrame:
    current = json.loads((folder / "out" / "gold" / "current.json").read_text())
    rows = pd.read_parquet(folder / "out" / "gold" / current["folder"] / "assignments")
    return rows.drop(columns=["publication_id", "model_version"]).sort_values("customer_key").reset_index(drop=True)


def centres(folder: Path) -> Any:
    model = json.loads((folder / "out" / "models" / "v0001" / "model.json").read_text())
    return np.array(model["centres"])


def saved_by(folder: Path) -> str:
    manifest = json.loads((folder / "out" / "models" / "v0001" / "manifest.json").read_text())
    return str(manifest["spark_version"])


def test_both_lines_find_the_same_segments(trained):
    old, new = trained.values()
    pd.testing.assert_frame_equal(assignments(old), assignments(new), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(centres(old), centres(new), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("saving", ["old", "new"])
def test_a_model_of_one_line_predicts_the_same_in_the_other(pythons, trained, tmp_path, saving):
    lines = list(pythons)
    saver, loader = lines if saving == "old" else reversed(lines)
    shop = tmp_path / "shop"
    shutil.copytree(trained[saver], shop)
    assert saved_by(shop).startswith(saver)
    segengine(pythons[loader], "score", shop / "shop.yaml")
    assert len(list((shop / "out" / "models").glob("v*"))) == 1
    pd.testing.assert_frame_equal(assignments(trained[saver]), assignments(shop), rtol=1e-9, atol=1e-9)
