"""Importing is quick and starts nothing, and the rooms that need no Spark can be read without it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


WITH_MLFLOW = () if importlib.util.find_spec("mlflow") else ("segengine.mlops.served_scorer",)
"""What MLflow runs where it is installed, and is no use elsewhere."""
ALL_MODULES = sorted({module_name(file) for file in (ROOT / "segengine").rglob("*.py")} - set(WITH_MLFLOW))
SPARK_FREE_ROOMS = (
    "segengine",
    "segengine.cli",
    "segengine.errors",
    "segengine.model.bundle",
    "segengine.model.identity",
    "segengine.model.naming",
    "segengine.scoring.online",
    "segengine.tables",
)
SPARK_FREE = [m for m in ALL_MODULES if m in SPARK_FREE_ROOMS or m.startswith(("segengine.config", "segengine.report"))]


def python(code: str) -> str:
    """Run code in a new interpreter at the repository's root and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_segengine_is_quick():
    code = "import time; b = time.process_time(); import segengine; print(time.process_time() - b)"
    assert min(float(python(code)) for _ in range(3)) < 0.3


def test_importing_segengine_loads_nothing_heavy():
    heavy = {"pyspark", "pandas", "numpy", "pyarrow", "sklearn", "scipy", "pydantic", "typer", "rich"}
    loaded = python("import sys, segengine; print(*{name.split('.')[0] for name in sys.modules})").split()
    assert not heavy & set(loaded)


def test_importing_segengine_configures_no_logger():
    assert (
        python("import logging, segengine; print(logging.getLogger().handlers, logging.getLogger().level)") == "[] 30\n"
    )


def test_the_rooms_that_need_no_spark_import_without_it():
    code = f"""
import importlib, sys
sys.modules.update(dict.fromkeys(["pyspark", "delta", "py4j"]))
for name in {SPARK_FREE!r}:
    importlib.import_module(name)
    print(name)
"""
    assert python(code).split() == SPARK_FREE


def test_no_module_starts_a_jvm_when_imported_and_every_public_name_is_there():
    code = f"""
import importlib
for name in {ALL_MODULES!r}:
    importlib.import_module(name)
import segengine
for name in segengine.__all__:
    assert getattr(segengine, name) is not None, name
from pyspark import SparkContext
print(SparkContext._gateway, SparkContext._active_spark_context)
"""
    assert python(code) == "None None\n"


def test_an_unknown_name_is_an_attribute_error():
    import segengine

    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = segengine.no_such_thing
