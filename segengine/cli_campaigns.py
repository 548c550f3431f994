"""The commands of campaigns: export a list, tell what came of it, list what there was."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps
from typing import Annotated

import typer
from rich.console import Console

from segengine.shell import ConfigFile, Json, Quiet, Remote, Verbose, at_work, wide

__all__ = ["app", "export"]

app = typer.Typer(name="campaign", help="What a campaign brought, and which there were.", no_args_is_help=True)

Segments = Annotated[
    list[str], typer.Option("--segment", metavar="ID", help="A segment, such as S-003; give it again for more.")
]
Name = Annotated[
    str | None, typer.Option("--campaign", metavar="NAME", help="What to call it; first segment and date when absent.")
]
Form = Annotated[str, typer.Option("--format", help="csv, xlsx or parquet.")]
To = Annotated[
    str | None, typer.Option("--to", metavar="FILE", help="The file to write; below <output>/campaigns when absent.")
]
Holdout = Annotated[
    float | None,
    typer.Option("--holdout", metavar="SHARE", help="The share not to write to; campaigns.holdout_share when absent."),
]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="A,B", help="Some of campaigns.contact, the address first; all when absent."),
]
NoConsentCheck = Annotated[
    bool, typer.Option("--no-consent-check", help="For lists that need no consent; the audit trail says so.")
]


def export(
    config: ConfigFile,
    segment: Segments,
    campaign: Name = None,
    form: Form = "csv",
    to: To = None,
    holdout: Holdout = None,
    columns: Columns = None,
    no_consent_check: NoConsentCheck = False,
    remote: Remote = None,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write the customers of segments to a list: consent asked anew, a share held out, the cohort kept to compare."""
    names = None if columns is None else [name.strip() for name in columns.split(",") if name.strip()]
    with at_work(config, verbose=verbose, quiet=quiet, remote=remote) as (loaded, bar):
        from segengine import runs
        from segengine.campaigns.show import show_export

        made, notes = runs.export(
            loaded,
            segments=segment,
            campaign=campaign,
            form=form,
            to=to,
            holdout_share=holdout,
            columns=names,
            check_consent=not no_consent_check,
            listener=bar,
        )
    if json:
        print(dumps({**asdict(made), "notes": notes}, indent=2, ensure_ascii=False))
    elif not quiet:
        place = f"{made.export['folder'] or loaded.output.path}/{made.export['file']}"
        show_export(made, place, notes, loaded, str(config), wide(Console()))


@app.command()
def result(
    config: ConfigFile,
    campaign: Annotated[str, typer.Argument(metavar="ID", help="The campaign, as segengine campaign list names it.")],
    days: Annotated[
        int | None, typer.Option("--days", min=1, help="How many days count; campaigns.days when absent.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="When it was sent; when it was exported if absent."),
    ] = None,
    remote: Remote = None,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Compare those written to with those held out: uplift with interval, or too small to tell."""
    with at_work(config, verbose=verbose, quiet=quiet, remote=remote) as (loaded, bar):
        from segengine import runs
        from segengine.campaigns.show import show_result

        found = runs.campaign_result(loaded, campaign, days=days, start=start, listener=bar)
    if json:
        print(dumps(asdict(found), indent=2, ensure_ascii=False))
    elif not quiet:
        show_result(found, loaded.timezone, wide(Console()))


@app.command("list")
def list_campaigns(config: ConfigFile, json: Json = False) -> None:
    """List the campaigns of an output, oldest first."""
    from segengine import runs
    from segengine.campaigns.show import show_campaigns

    found = runs.list_campaigns(config)
    if json:
        print(dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
    else:
        show_campaigns(found, wide(Console()))
