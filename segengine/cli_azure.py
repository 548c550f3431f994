"""The commands below `segengine azure`: fill in, check, run here, submit there, and the steps that pipelines start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segengine.errors import ConfigError

__all__ = ["app"]

app = typer.Typer(
    name="azure",
    help="Azure Machine Learning: fill in files, check them, run the pipelines here, submit them there.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that `render` wrote.", show_default=False)]
Source = Annotated[Path, typer.Option("--source", metavar="FOLDER", help="Where the files to fill in are.")]


@app.command()
def render(
    workspace: Annotated[str, typer.Argument(metavar="WORKSPACE", help="dev, prod, or another file of values.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, or one that was rendered before.")],
    source: Source = Path("conf/azureml"),
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="A configuration instead of the one that is named.")
    ] = None,
) -> None:
    """Fill the names of a workspace into the files of conf/azureml."""
    from segengine.mlops.azure.render import render as fill_in

    values = fill_in(source, workspace, folder, config=config)
    print(f"{folder} is ready for workspace {values.workspace}. Check it: segengine azure check {folder}")


@app.command()
def check(
    folder: Folder,
    sdk: Annotated[bool, typer.Option("--sdk", help="Ask azure-ai-ml as well; it needs no subscription.")] = False,
) -> None:
    """Find faults in a rendered folder, also those that the SDK lets through."""
    from segengine.mlops.azure.lint import lint

    faults = [str(fault) for fault in lint(folder)]
    if sdk:
        from segengine.mlops.azure.sdk import validate

        faults += [f"{file}: {problem}" for file, problems in validate(folder).items() for problem in problems]
    if faults:
        raise ConfigError(
            f"{len(faults)} faults in files for Azure ML.", where=str(folder), found="\n".join(["", *faults])
        )
    print(f"{folder}: no fault found{' by the linter and azure-ai-ml' if sdk else ''}.")
