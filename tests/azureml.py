"""The interpreter that has azure-ai-ml and other readers, which `tools/setup.py --with azureml` makes, for tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "conf" / "azureml"
PYTHON = "SEGENGINE_AZUREML_PYTHON"
"""Set this variable to try another azure-ai-ml than the locked one."""


def azureml_python() -> Path:
    """The interpreter; skips the test where there is none."""
    found = Path(os.environ.get(PYTHON) or Path(sys.prefix) / "share" / "segengine" / "servers" / "azureml/bin/python")
    if not found.is_file():
        pytest.skip("azure-ai-ml is not installed: tools/setup.py --with azureml")
    return found


def in_azureml(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run that interpreter at the repository's root, without a credential in its environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "500"}
    command = [str(azureml_python()), *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def read_by_others(script: str, *arguments: str | Path) -> str:
    """What a script of a reader there prints; skips the test where that reader is not installed as yet."""
    done = in_azureml("-c", script, *arguments)
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip(f"{done.stderr.strip().splitlines()[-1]}: tools/setup.py --with azureml")
    assert done.returncode == 0, done.stderr
    return done.stdout
