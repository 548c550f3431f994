"""The thin part that calls azure-ai-ml: validate files offline, and submit them. Everything else works without it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from segengine.errors import ConfigError, InfrastructureError, ModelError

__all__ = ["ASSETS", "client", "is_called_for", "register", "submit", "validate", "wait_for"]

ASSETS = (
    ("datastore.yml", "load_datastore", "datastores"),
    ("environment.yml", "load_environment", "environments"),
    ("online/environment.yml", "load_environment", "environments"),
    ("data/*.yml", "load_data", "data"),
    ("components/*.yml", "load_component", "components"),
)
SCHEDULES = (("schedules/*.yml", "load_schedule", "schedules"),)
ENDPOINTS = (
    ("batch/endpoint.yml", "load_batch_endpoint", "batch_endpoints"),
    ("batch/deployment.yml", "load_pipeline_component_batch_deployment", "batch_deployments"),
    ("online/endpoint.yml", "load_online_endpoint", "online_endpoints"),
    ("online/deployment.yml", "load_online_deployment", "online_deployments"),
    ("monitor.yml", "load_schedule", "schedules"),
)
"""What `register` creates, in this order: files, loader of the SDK, the client's collection."""
LOADERS = (
    *((files, loader) for files, loader, _ in (*ASSETS, *SCHEDULES, *ENDPOINTS)),
    ("compute.yml", "load_compute"),
    ("pipelines/*.yml", "load_job"),
    ("batch/pipeline.yml", "load_component"),
)


def loader_of(name: str) -> Callable[..., Any]:
    """A loader of the SDK. InfrastructureError when azure-ai-ml is not installed."""
    try:
        with _quiet():
            import azure.ai.ml.entities._load_functions as functions
    except ImportError as error:
        raise InfrastructureError(
            "azure-ai-ml is not installed here.",
            found=str(error),
            todo="pip install 'segengine[azureml]', or `make setup WITH=azureml` for an environment of its own.",
        ) from error
    return getattr(functions, name)  # type: ignore[no-any-return]  # the SDK has no types


def validate(folder: Path) -> dict[str, list[str]]:
    """What azure-ai-ml says of every file of a rendered folder: file -> problems, none when it loads and validates."""
    found: dict[str, list[str]] = {}
    for pattern, loader in LOADERS:
        for file in sorted(folder.glob(pattern)):
            found[file.relative_to(folder).as_posix()] = problems_of(file, loader)
    return found


def problems_of(file: Path, loader: str) -> list[str]:
    """What the SDK says of one file."""
    load = loader_of(loader)
    with _quiet():
        try:
            entity = load(file)
            judge = getattr(entity, "_validate", None)
            result = judge() if judge is not None else None
        except NotImplementedError:  # monitors and deployments have no check beyond that they load
            return []
        except Exception as error:  # noqa: BLE001  the SDK raises a dozen kinds of its own, all of them a verdict
            return [f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"]
    if result is None or result.passed:
        return []
    return [f"{place}: {text}" for place, text in sorted(result.error_messages.items())]


def client(values_file: Path) -> Any:
    """A client of the workspace that a rendered folder is for, as whoever is logged in; no key is used."""
    loader_of("load_job")
    from azure.ai.ml import MLClient
    from azure.identity import DefaultAzureCredential

    values = yaml.safe_load(values_file.read_text(encoding="utf-8"))
    place = (values["subscription_id"], values["resource_group"], values["workspace"])
    return MLClient(DefaultAzureCredential(), *place)


def submit(folder: Path, pipeline: str, inputs: dict[str, Path | str], ml: Any) -> str:
    """Submit one pipeline of a rendered folder; returns the job's name.

    `inputs` are by `input`, or by `step.input` for what a pipeline leaves open: its inputs cannot be optional.
    """
    file = folder / "pipelines" / f"{pipeline}.yml"
    if not file.is_file():
        known = ", ".join(sorted(each.stem for each in (folder / "pipelines").glob("*.yml")))
        raise ConfigError(
            "There is no such pipeline.", where=str(file), found=f"known: {known}", todo="Name one of those known."
        )
    from azure.ai.ml import Input

    with _quiet():
        job = loader_of("load_job")(file)
        for name, value in inputs.items():
            step, _, inside = name.rpartition(".")
            given = Input(type="uri_file", path=str(value)) if isinstance(value, Path) else value
            setattr((job.jobs[step] if step else job).inputs, inside, given)
        return str(ml.jobs.create_or_update(job).name)


def register(folder: Path, ml: Any, *, schedules: bool = False, endpoints: bool = False) -> list[str]:
    """Create or replace what the files of a rendered folder describe; returns their paths in the order taken."""
    done = []
    for files, loader, collection in (*ASSETS, *(SCHEDULES * schedules), *(ENDPOINTS * endpoints)):
        for file in sorted(folder.glob(files)):
            with _quiet():
                entity, made = loader_of(loader)(file), getattr(ml, collection)
                if hasattr(made, "create_or_update"):
                    made.create_or_update(entity)
                else:
                    made.begin_create_or_update(entity).result()
            done.append(file.relative_to(folder).as_posix())
    return done


def wait_for(job: str, ml: Any) -> None:
    """Follow a job to its end. ModelError when it does not complete: its steps say why."""
    ml.jobs.stream(job)
    state = str(ml.jobs.get(job).status)
    if state != "Completed":
        raise ModelError(
            f"Job {job} ended as {state}.", todo="Open it in the studio; docs/runbook.md says what exit codes mean."
        )


def is_called_for(file: Path) -> bool:
    """Whether a retrain.json calls for a training. ConfigError when the file is none."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))["call"] is True
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "That is no retrain.json of the monitor step.",
            where=str(file),
            found=repr(error),
            todo="Name the file that the monitor step wrote.",
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the SDK says of its own classes: hundreds of lines about deprecated fields."""
    logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
