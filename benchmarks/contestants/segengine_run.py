"""segengine itself: writes the configuration of the task and becomes `segengine run`."""

from __future__ import annotations

import os
import sys

import yaml

from benchmarks.contestants.task import AS_OF, COLUMNS, RESTARTS, SEED, TIMEZONE, Task, task_from_arguments


def config(task: Task) -> str:
    """The same features, k, restarts and seed as the others; everything else is the default."""
    document = {
        "name": "bench",
        "as_of": str(AS_OF),
        "history": "all",
        "timezone": TIMEZONE,
        "currency": "EUR",
        "tables": {
            "transactions": {
                "path": str(task.lines.resolve()),
                "columns": {name: name for name in COLUMNS},
                "duplicates": "keep",
            }
        },
        "features": {"include": ["rfm", "basket", "tenure", "rhythm", "trend"]},
        "segments": {"k": [task.ks[0], task.ks[-1]], "min_share": 0.02, "restarts": RESTARTS, "seed": SEED},
        "output": {"path": "output"},
    }
    return yaml.safe_dump(document, sort_keys=False)


def main(task: Task) -> None:
    file = task.out / "bench.yaml"
    file.write_text(config(task), encoding="utf-8")
    os.execv(sys.executable, [sys.executable, "-m", "segengine.cli", "run", str(file)])


if __name__ == "__main__":
    main(task_from_arguments(__doc__))
