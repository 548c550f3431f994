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
ValuesFile = Annotated[Path, typer.Option("--values", metavar="FILE", help="The values of the workspace (dev.yaml).")]
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
            f"{len(faults)} faults in files for Azure ML.",
            where=str(folder),
            found="\n".join(["", *faults]),
            todo="Mend conf/azureml, and render again.",
        )
    print(f"{folder}: no fault found{' by the linter and azure-ai-ml' if sdk else ''}.")


@app.command()
def run(
    folder: Folder,
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="training, inference or promotion.")],
    workspace: Annotated[Path, typer.Argument(metavar="WORKSPACE", help="A folder that stands for the workspace.")],
    given: Annotated[
        list[str] | None, typer.Option("--input", metavar="NAME=PATH", help="An input, or STEP.INPUT=PATH or =TEXT.")
    ] = None,
) -> None:
    """Run the very commands of a pipeline on this machine, in fresh folders."""
    from segengine.mlops.azure.local import LocalWorkspace

    job = LocalWorkspace(folder, workspace).run(pipeline, _pairs(given or []))
    print(f"{pipeline}: {len(job.commands)} steps done, in {job.folder}")


@app.command()
def submit(
    folder: Folder,
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="training, inference or promotion.")],
    values: ValuesFile,
    given: Annotated[list[str] | None, typer.Option("--input", metavar="NAME=PATH", help="As for run.")] = None,
    when: Annotated[
        Path | None, typer.Option("--when", metavar="FILE", help="Only if this retrain.json calls for it.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for its end; exit code 6 when it did not complete.")
    ] = False,
) -> None:
    """Submit a pipeline through azure-ai-ml, as whoever is logged in. Never deployed."""
    from segengine.mlops.azure import sdk

    if when is not None and not sdk.is_called_for(when):
        print(f"Not submitted: {when} does not call for it.")
        return
    ml = sdk.client(values)
    job = sdk.submit(folder, pipeline, _pairs(given or []), ml)
    print(f"Submitted: {job}")
    if wait:
        sdk.wait_for(job, ml)


@app.command()
def register(
    folder: Folder,
    values: ValuesFile,
    schedules: Annotated[bool, typer.Option("--schedules", help="The schedules as well.")] = False,
    endpoints: Annotated[bool, typer.Option("--endpoints", help="The endpoints and the monitor as well.")] = False,
) -> None:
    """Create data, environment and components in the workspace through azure-ai-ml. Never deployed."""
    from segengine.mlops.azure import sdk

    for file in sdk.register(folder, sdk.client(values), schedules=schedules, endpoints=endpoints):
        print(f"registered {file}")


@app.command()
def approve(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write: approval.json.")],
    by: Annotated[str, typer.Option("--by", metavar="WHO", help="Who approves.")],
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="Why.")],
    version: Annotated[
        str | None, typer.Option("--version", metavar="VERSION", help="Which version; absent: what is trained next.")
    ] = None,
) -> None:
    """Write who approves a model and why; outside of CI the name is recorded as claimed."""
    import datetime as dt

    from segengine.components.approval import approve as write

    print(f"{file}: {write(file, by=by, reason=reason, version=version, now=dt.datetime.now(dt.UTC))}")


def _pairs(given: list[str]) -> dict[str, Path | str]:
    """NAME=VALUE; a value that is a file or folder of this machine is meant as such."""
    pairs: dict[str, Path | str] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not value:
            raise ConfigError(
                "An input is given as NAME=VALUE.",
                where="--input",
                found=text,
                todo="Write --input NAME=VALUE, once for each input.",
            )
        pairs[name] = Path(value) if Path(value).exists() else value
    return pairs


StepFolder = Annotated[Path | None, typer.Option(metavar="PATH")]


@app.command()
def step(
    name: Annotated[str, typer.Argument(metavar="STEP", help="check, train, gate, register, score, publish, monitor.")],
    config: Annotated[Path, typer.Option(metavar="PATH", help="The YAML configuration.")],
    state: StepFolder = None,
    transactions: StepFolder = None,
    customers: StepFolder = None,
    as_of: Annotated[str | None, typer.Option(metavar="DATE")] = None,
    checked: StepFolder = None,
    candidate: StepFolder = None,
    verdict: StepFolder = None,
    approval: StepFolder = None,
    approvals: Annotated[str, typer.Option(metavar="required|not_required")] = "required",
    scored: StepFolder = None,
    into: StepFolder = None,
    to: StepFolder = None,
) -> None:
    """One step of a pipeline, as conf/azureml/components start it: folders in, folders out."""
    from segengine.components import steps

    def need(place: Path | None, option: str) -> Path:
        if place is None:
            raise ConfigError(
                f"Step {name} needs --{option}.",
                where="segengine azure step",
                todo="Give it: the files in conf/azureml/components show the whole command.",
            )
        return place

    if name in ("check", "train", "score", "monitor"):
        places = steps.Places(config, need(state, "state"), need(to, "to"), transactions, customers, as_of)
        if name == "train":
            steps.train(places, need(checked, "checked"))
        elif name == "monitor":
            steps.monitor(places, need(into, "into"))
        else:
            {"check": steps.check, "score": steps.score}[name](places)
        print(f"{name}: done, in {to}.")
    elif name == "gate":
        steps.gate(config, need(candidate, "candidate"), need(state, "state"), need(to, "to"))
        print("gate: passed.")
    elif name == "register":
        folders = need(candidate, "candidate"), need(verdict, "verdict"), approval, need(into, "into"), need(to, "to")
        print(steps.register(config, *folders, required=approvals != "not_required"))
    elif name == "publish":
        steps.publish(config, need(scored, "scored"), need(into, "into"))
        print("publish: visible.")
    else:
        raise ConfigError(
            "There is no such step.",
            where="segengine azure step",
            found=name,
            todo="Name check, train, gate, register, score, publish or monitor.",
        )
