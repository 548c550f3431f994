"""The command line: the recipes of segengine.runs for a shell, with exit codes, one-message errors and progress."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from segengine.cli_azure import app as azure_app
from segengine.cli_campaigns import app as campaign_app
from segengine.cli_campaigns import export
from segengine.cli_oversight import forget, history, monitor, verify
from segengine.commands import promote, rollback
from segengine.config.redaction import without_secrets
from segengine.errors import ConfigError, InfrastructureError, SegengineError
from segengine.shell import AsOf, ConfigFile, Json, Quiet, Remote, Verbose, at_work, logging_to, wide, work_on

__all__ = ["app", "main"]

INTERRUPTED = 130
BUG = 1

app = typer.Typer(
    name="segengine",
    help="Customer segmentation on the data lake: from raw tables to segments that BI tools read.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(azure_app)
app.add_typer(campaign_app)

Rebuild = Annotated[
    bool, typer.Option("--rebuild", help="Write published history of this date anew; else it stays as it is.")
]
Provisional = Annotated[
    bool, typer.Option("--provisional", help="Use a new model that does not pass, with a warning wherever it shows.")
]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        from segengine import __version__

        print(f"segengine {__version__}")
        raise typer.Exit


@app.command()
def demo(
    folder: Annotated[Path | None, typer.Argument(help="A new folder; ./segengine-demo when absent.")] = None,
    verbose: Verbose = False,
) -> None:
    """Segment real grocery customers, end to end, in a new folder; prints what to open."""
    from segengine.demo.grocery import prepare
    from segengine.demo.salt import own_salt

    config = prepare(folder or Path("segengine-demo"))
    with own_salt(config.parent):
        _recipe("run", config, verbose=verbose)


@app.command()
def init(
    tables: Annotated[list[str], typer.Argument(metavar="TABLE...", help="Files, folders, globs or catalog tables.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The YAML file to write.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept doubtful choices; ask nothing.")] = False,
    remote: Remote = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Look at tables and write a commented config for them; asks about doubtful choices on a terminal only."""
    from segengine import propose
    from segengine.progress import ProgressBar
    from segengine.propose.show import ask_on, show

    console, out = Console(stderr=True, quiet=quiet), Console()
    work_on(remote)
    asks = sys.stdin.isatty() and out.is_terminal and not yes and not quiet
    with logging_to(verbose, None), ProgressBar(console) as bar:
        ask = ask_on(out, bar) if asks else None
        proposal = propose.init(tables, output=output, force=force, listener=bar, ask=ask)
    if not quiet:
        show(proposal, wide(out))
    if not proposal.complete:
        raise ConfigError(
            "The configuration is not complete: the tables do not have what it needs.",
            where=proposal.file,
            found="; ".join(proposal.todo),
            todo="Write the lines marked TODO, or name other tables.",
        )


@app.command()
def check(
    config: ConfigFile,
    as_of: AsOf = None,
    remote: Remote = None,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Check the config, the tables and their rows; writes nothing but the quality report and the quarantine."""
    _recipe("check", config, remote=remote, as_of=as_of, as_json=json, verbose=verbose, quiet=quiet)


@app.command()
def train(
    config: ConfigFile,
    as_of: AsOf = None,
    provisional: Provisional = False,
    remote: Remote = None,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Train a new model version; it becomes the champion when it passes its gates. Publishes nothing."""
    shown = {"as_json": json, "verbose": verbose, "quiet": quiet}
    _recipe("train", config, remote=remote, as_of=as_of, provisional=provisional, **shown)


@app.command()
def score(
    config: ConfigFile,
    as_of: AsOf = None,
    model: Annotated[str | None, typer.Option("--model", help="A model version; the champion when absent.")] = None,
    rebuild: Rebuild = False,
    remote: Remote = None,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Assign every customer with a model that exists, and publish."""
    options = {"model": model, "rebuild": rebuild}
    _recipe("score", config, remote=remote, as_of=as_of, as_json=json, verbose=verbose, quiet=quiet, **options)


@app.command()
def run(
    config: ConfigFile,
    as_of: AsOf = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train even when the champion is still good.")] = False,
    provisional: Provisional = False,
    rebuild: Rebuild = False,
    rekey: Annotated[bool, typer.Option("--rekey", help="Accept another salt: every customer gets a new key.")] = False,
    remote: Remote = None,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Score with the champion and publish; trains first when there is none, when one is due, or with --retrain."""
    asked = {"as_of": as_of, "retrain": retrain, "provisional": provisional, "rebuild": rebuild, "rekey": rekey}
    _recipe("run", config, remote=remote, as_json=json, verbose=verbose, quiet=quiet, **asked)


@app.command()
def report(
    config: ConfigFile,
    deploy: Annotated[
        str | None,
        typer.Option("--deploy", metavar="WORKSPACE", help="Put the Power BI project into this workspace; refresh it."),
    ] = None,
    remote: Remote = None,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Draw the HTML report, the Excel workbook and the Power BI project of what is published, as run and score do."""
    shown = {"as_json": json, "verbose": verbose, "quiet": quiet}
    _recipe("draw_report", config, remote=remote, deploy=deploy, **shown)


@app.command()
def stream(
    config: ConfigFile,
    every: Annotated[
        str | None, typer.Option("--every", metavar="TIME", help="Look for new files so often, such as '1 minute'.")
    ] = None,
    rows: Annotated[
        str | None, typer.Option("--rows", metavar="FOLDER", help="Score ready rows of features that arrive here.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="A model version; the champion when absent.")] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Score customers as their lines arrive, into a Delta table; without --every what is there, and then end."""
    with at_work(config, verbose=verbose, quiet=quiet) as (loaded, bar):
        from segengine.stream import stream as follow
        from segengine.stream import stream_rows

        if rows is not None:
            where = stream_rows(loaded, rows, every=every, model=model, listener=bar)
            text = f"Scored rows are in {where} (Delta)."
        else:
            done = follow(loaded, every=every, model=model, listener=bar)
            text = f"Nothing new arrived. Customers are in {done.table} (Delta)."
        if rows is None and done.batches:
            text = (
                f"{done.batches:,} batches taken in; {done.rows_read:,} rows counted so far, {done.rows_rejected:,} in "
                f"quarantine; {done.customers_scored:,} customers scored as of {done.as_of}. "
                f"They are in {done.table} (Delta)."
            )
    if not quiet:
        wide(Console()).print(text, soft_wrap=True, highlight=False, markup=False)


@app.command()
def explain(
    config: ConfigFile,
    customer_id: Annotated[str, typer.Argument(metavar="ID", help="The customer's id, as published.")],
    remote: Remote = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Say why a customer is in its segment, feature by feature, and the smallest change that would move it."""
    from dataclasses import asdict

    from segengine import runs
    from segengine.report.explained import show_explanation

    work_on(remote)
    with logging_to(verbose, None):
        found = runs.explain(config, customer_id)
    if json:
        print(dumps(asdict(found), indent=2, ensure_ascii=False))
        return
    show_explanation(
        found.explanation,
        wide(Console()),
        customer_id=found.customer_id,
        as_of=found.as_of,
        lane=found.lane,
        assigned_key=found.assigned_key,
    )


app.command()(export)
app.command()(monitor)
app.command()(verify)
app.command()(history)
app.command()(forget)
app.command()(promote)
app.command()(rollback)


@app.command()
def schema() -> None:
    """Print the JSON schema of the configuration."""
    from segengine.config import json_schema

    print(dumps(json_schema(), indent=2))


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry of the `segengine` command and of the jobs; leaves with the exit code of errors.py."""
    sys.exit(_exit_code(list(sys.argv[1:] if arguments is None else arguments)))


def _exit_code(arguments: list[str]) -> int:
    verbose = "--verbose" in arguments or "-v" in arguments
    console = Console(stderr=True)
    try:
        answer = app(args=arguments, prog_name="segengine", standalone_mode=False)
        return answer if isinstance(answer, int) else 0
    except SegengineError as error:
        _say(console, str(error), verbose)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        console.print("segengine: interrupted; nothing was published.", style="yellow")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last line of defence: a bug of ours or a broken machine
        return _unexpected(console, error, verbose)


def _unexpected(console: Console, error: Exception, verbose: bool) -> int:
    show = getattr(error, "show", None)
    if callable(show) and hasattr(error, "exit_code"):  # click's own: a wrong option or a missing argument
        show()
        return ConfigError.exit_code
    if isinstance(error, OSError) or _is_spark_failure(error):
        broken = InfrastructureError(
            f"{type(error).__name__}: {_first_line(error)}", todo="Run again; with --verbose it shows the whole trace."
        )
        _say(console, str(broken), verbose)
        return broken.exit_code
    _say(
        console,
        f"A bug of ours: {type(error).__name__}: {_first_line(error)}\n"
        "To do: run again with --verbose and report the trace; the previous publication is untouched.",
        verbose,
    )
    return BUG


def _is_spark_failure(error: Exception) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"Py4JNetworkError", "Py4JError", "SparkConnectGrpcException"})


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:500]


def _say(console: Console, text: str, verbose: bool) -> None:
    """One message, in red, its control characters shown so that no value can forge a line or colour the terminal."""
    text = without_secrets(text)
    safe = "".join(c if c == "\n" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    console.print(Text("segengine: " + safe, style="red"), soft_wrap=True, highlight=False)
    if verbose:
        console.print(Text(without_secrets(traceback.format_exc())), soft_wrap=True, highlight=False)


def _recipe(
    recipe: Literal["check", "train", "score", "run", "draw_report"],
    config_file: Path,
    *,
    as_json: bool = False,
    verbose: bool = False,
    quiet: bool = False,
    remote: str | None = None,
    **options: Any,
) -> None:
    """Run a recipe of segengine.runs, with a progress bar on standard error; print its summary on standard output."""
    with at_work(config_file, verbose=verbose, quiet=quiet, remote=remote) as (config, bar):
        from segengine import runs
        from segengine.report.terminal import as_json as summary_as_json
        from segengine.report.terminal import show

        summary = getattr(runs, recipe)(config, listener=bar, **options)
    if as_json:
        print(summary_as_json(summary))
    elif not quiet:
        show(summary, wide(Console()))


if __name__ == "__main__":
    main()
