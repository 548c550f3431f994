"""What the commands share: their options, the width of the terminal, where log lines go."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from segengine.config.redaction import without_secrets
from segengine.connect import REMOTE

if TYPE_CHECKING:
    from segengine.config import Config
    from segengine.progress import ProgressBar

__all__ = ["AsOf", "ConfigFile", "Json", "Quiet", "Remote", "Verbose", "at_work", "logging_to", "wide", "work_on"]

LOG_FILE = "segengine.log"

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The YAML configuration.", show_default=False)]
AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="DATE", help="Look back from this date instead of the configured one.")
]
Remote = Annotated[
    str | None,
    typer.Option("--remote", metavar="sc://HOST:PORT", help="Work on this Spark Connect server, as SPARK_REMOTE does."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the closing summary as JSON.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log every step; show stack traces.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]


class _Redacting(logging.Formatter):
    """Lines without anything in the shape of a secret, traces included."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


def wide(out: Console) -> Console:
    """The terminal as it is; a file or pipe as wide as COLUMNS says."""
    return out if out.is_terminal else Console(width=int(os.environ.get("COLUMNS", "140")))


def work_on(remote: str | None) -> None:
    """Sessions are opened on this Spark Connect server from now on, if one is named."""
    if remote is not None:
        os.environ[REMOTE] = remote


@contextlib.contextmanager
def at_work(
    config: Path, *, verbose: bool, quiet: bool, remote: str | None = None
) -> Iterator[tuple[Config, ProgressBar]]:
    """The configuration, and a progress bar on standard error while the block works on it and its steps are logged.

    Java starts meanwhile: import what works on the configuration within the block, which takes as long.
    """
    from segengine.config import load
    from segengine.progress import ProgressBar
    from segengine.session import start_ahead

    work_on(remote)
    loaded = load(config)
    start_ahead(loaded)
    with logging_to(verbose, loaded.output.path), ProgressBar(Console(stderr=True, quiet=quiet)) as bar:
        yield loaded, bar


@contextlib.contextmanager
def logging_to(verbose: bool, output: str | None) -> Iterator[None]:
    """One line a step, appended to <output>/segengine.log where that is local; on standard error too when asked."""
    logger = logging.getLogger("segengine")
    lines = _Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setLevel(logging.INFO if verbose else logging.ERROR)
    if output is not None and "://" not in output:
        with contextlib.suppress(OSError):  # an output that cannot be written is told by the run itself
            Path(output).mkdir(parents=True, exist_ok=True)
            handlers.append(logging.FileHandler(Path(output) / LOG_FILE, encoding="utf-8"))
    level = logger.level
    logger.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(lines)
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(level)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
