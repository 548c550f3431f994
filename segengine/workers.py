"""What Spark starts in local mode to fork Python workers from: pyspark's own daemon, with what workers need loaded.

Run as `python -m segengine.workers`. Each worker would load numpy, pyarrow and pandas by itself, a second of its time,
and pyspark has workers collect garbage after every task, which takes longer than many a task as long as all that was
loaded is looked through as well.
"""

from __future__ import annotations

import contextlib
import gc
import importlib

__all__ = ["MODULE", "main"]

MODULE = "segengine.workers"

LOADED = ("numpy", "pyarrow", "pyarrow.compute", "pandas", "pyspark.sql.types", "pyspark.sql.pandas.serializers")


def main() -> None:
    """Load, tell the garbage collector that this stays, and fork workers until Spark closes the pipe."""
    from pyspark.daemon import manager

    for name in LOADED:
        with contextlib.suppress(ImportError):  # a worker that needs it will say so, in a message that is read
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    manager()


if __name__ == "__main__":
    main()
