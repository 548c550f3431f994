"""Commands of the shell that move the champion: promote and rollback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segengine.shell import ConfigFile, Quiet

if TYPE_CHECKING:
    from segengine.model.promotion import Change

__all__ = ["promote", "rollback"]


def promote(
    config: ConfigFile,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A model version, such as v0002.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; needed for a version that its gates refused.")] = "",
    quiet: Quiet = False,
) -> None:
    """Make a model version the champion; one that its gates refused needs --reason."""
    from segengine import runs

    _tell(runs.promote(config, version, reason=reason), "is the champion", config, quiet)


def rollback(
    config: ConfigFile,
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes into models/promotions.json.")] = "",
    quiet: Quiet = False,
) -> None:
    """Put back the champion before the present one, exactly as it was."""
    from segengine import runs

    _tell(runs.rollback(config, reason=reason), "is the champion again", config, quiet)


def _tell(change: Change, what: str, config: Path, quiet: bool) -> None:
    if not quiet:
        before = "as before" if change.before == change.after else f"instead of {change.before}"
        typer.echo(f"{change.after} {what}{f' {before}' if change.before else ''}: {change.reason}.")
        typer.echo(f"To publish with it: segengine score {config}")
