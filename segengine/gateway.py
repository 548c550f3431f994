"""The Java process of a session, apart from the session: it comes up while Python still imports what will use it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any

__all__ = ["Java", "java_with", "launch_ahead", "runs_already"]

_ahead: list[Java] = []
"""At most one: what `launch_ahead` started and no session has taken up as yet."""


def runs_already() -> bool:
    """Whether this process has its Java: that of an earlier session, or of spark-submit."""
    from pyspark import SparkContext

    return SparkContext._gateway is not None or "PYSPARK_GATEWAY_PORT" in os.environ


class Java:
    """A Java process with the options of the session it is for.

    Where `quiet`, what it says on standard error goes to a file, which it keeps: Java, its BLAS and Spark's launcher
    greet there in ways that no setting turns off.
    """

    def __init__(self, options: Mapping[str, str], *, quiet: bool) -> None:
        self.options = dict(options)
        self._coming: Future[Any] | None = None
        self._messages: IO[str] | None = None
        if quiet:
            self._messages = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  see close

    def launch_beside(self) -> None:
        """Start it in a thread."""
        import pyspark.java_gateway  # noqa: F401  here and not in the thread, which would wait for the caller's imports

        pool = ThreadPoolExecutor(1)
        self._coming = pool.submit(self._launch)
        pool.shutdown(wait=False)

    def _launch(self) -> Any:
        from pyspark import SparkConf, java_gateway

        launch: Any = java_gateway.launch_gateway
        conf = SparkConf(loadDefaults=False).setAll(list(self.options.items()))
        return launch(conf, None if self._messages is None else {"stderr": self._messages})

    def take_up(self) -> None:
        """Start it unless it was, wait until it answers, and have the next session use it. Raises what stopped it."""
        from pyspark import SparkContext

        context: Any = SparkContext
        context._ensure_initialized(gateway=self._launch() if self._coming is None else self._coming.result())

    def last_line(self) -> str:
        """The last line it said on standard error; nothing where that is not kept."""
        if self._messages is None:
            return ""
        self._messages.seek(0)
        lines = [line.strip() for line in self._messages if line.strip()]
        return lines[-1][:300] if lines else ""

    def close(self) -> None:
        """Keep its messages no longer; Java itself goes on."""
        if self._messages is not None:
            self._messages.close()

    def end(self) -> None:
        """End a process that was started beside, and that no session will take up."""
        if self._coming is not None:
            with contextlib.suppress(Exception):  # where it did not start there is nothing to end
                gateway = self._coming.result()
                gateway.shutdown()
                gateway.proc.kill()
                gateway.proc.wait()
        self.close()


def launch_ahead(options: Mapping[str, str], *, quiet: bool) -> None:
    """Start the Java of the session that will have these options, and go on."""
    if not _ahead and not runs_already():
        java = Java(options, quiet=quiet)
        java.launch_beside()
        _ahead.append(java)


def java_with(options: Mapping[str, str], *, quiet: bool) -> Java:
    """The Java that was started ahead with these options, else one to start."""
    if _ahead:
        java = _ahead.pop()
        if java.options == dict(options):
            return java
        java.end()
    return Java(options, quiet=quiet)
