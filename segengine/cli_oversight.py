"""The commands of those who watch over an output: monitor, verify, history, forget."""

from __future__ import annotations

import sys
from dataclasses import asdict
from json import dumps
from typing import Annotated

import typer
from rich.console import Console

from segengine.errors import RetrainNeeded, TamperedError
from segengine.shell import ConfigFile, Json, Quiet, Remote, Verbose, at_work, wide

__all__ = ["forget", "history", "monitor", "verify"]


def monitor(
    config: ConfigFile,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Leave with 0 even so; <output>/retrain.json says what is called for.")
    ] = False,
    remote: Remote = None,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Have the data, or the split, moved since the training and since last year? Leaves with 7 when to retrain."""
    with at_work(config, verbose=verbose, quiet=quiet, remote=remote) as (loaded, bar):
        from segengine import runs
        from segengine.monitoring.show import as_json, show

        found = runs.monitor(loaded, listener=bar)
    if json:
        print(as_json(found.as_of, found.model_version, found.readings, found.reasons))
    elif not quiet:
        show(
            found.name,
            found.as_of,
            found.model_version,
            found.readings,
            found.compared_as_of,
            loaded.timezone,
            wide(Console()),
        )
    if found.reasons and not exit_zero:
        raise RetrainNeeded(
            "Monitoring calls for a retrain.",
            found="; ".join(found.reasons[:5]),
            todo=f"segengine run {config} --retrain, once the data has been looked at.",
        )


def verify(config: ConfigFile, json: Json = False, quiet: Quiet = False) -> None:
    """Recompute the audit chain and every hash: intact, erased, expired or tampered. Leaves with 5 when tampered."""
    from segengine import runs
    from segengine.mlops.show import show_verified

    found = runs.verify(config)
    if json:
        print(dumps(asdict(found), indent=2, ensure_ascii=False))
    elif not quiet:
        show_verified(found, wide(Console()))
    if found.tampered:
        raise TamperedError(
            "The audit trail, or what it tells of, is not as it was written.",
            found="; ".join(f"{finding.what}: {finding.text}" for finding in found.tampered[:5]),
            todo="Restore the output from a copy, and find out who could write to it.",
        )


def history(config: ConfigFile, json: Json = False) -> None:
    """What happened to an output, by its audit trail: runs, promotions, rollbacks, erasures, new configurations."""
    from segengine import runs
    from segengine.mlops.show import show_history

    entries = runs.history(config)
    if json:
        print(dumps([entry.content for entry in entries], indent=2, ensure_ascii=False))
    else:
        show_history(entries, wide(Console()))


def forget(
    config: ConfigFile,
    customer_id: Annotated[
        str, typer.Argument(metavar="ID", help="The id in the source; - reads it from standard input.")
    ],
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: what is erased cannot be brought back.")
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Erase a customer from every table, version, quarantine and file, for good; later runs leave the customer out."""
    with at_work(config, verbose=verbose, quiet=quiet) as (loaded, bar):
        from segengine import runs

        if customer_id == "-":
            customer_id = sys.stdin.readline().rstrip("\r\n")
        if not yes:
            with bar.paused():
                typer.confirm("Erase this customer for good?", abort=True)
        done = runs.forget(loaded, customer_id, listener=bar)
    if not quiet:
        told = f"{done.rows:,} rows erased, {done.files_rewritten:,} files written anew, {done.files_removed:,} removed"
        for place in done.elsewhere:
            typer.echo(f"An exported list that was moved or changed may hold the customer; erase it there: {place}")
        if not done.rows and not done.files_rewritten:
            typer.echo("Nothing that is published or kept has this id; leading zeros and letter case count.")
        typer.echo(f"{told}. Audit record {done.record} proves it without the id. Runs to come leave the customer out.")
