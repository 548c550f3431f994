"""The thin part that calls azure-ai-ml: validate files offline, and submit them. Everything else works without it."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from segengine.errors import ConfigError, InfrastructureError

__all__ = ["ASSETS", "client", "submit", "validate"]

ASSETS = (
    ("datastore.yml", "load_datastore", "datastores"),
    ("compute.yml", "load_compute", "compute"),
    ("environment.yml", "load_environment", "environments"),
    ("online/environment.yml", "load_environment", "environments"),
    ("data/*.yml", "load_data", "data"),
    ("components/*.yml", "load_component", "components"),
)
"""What `segengine azure submit --assets` creates, in this order: pattern, loader of the SDK, client's collection."""
LOADERS = (
    *((pattern, loader) for pattern, loader, _ in ASSETS),
    ("pipelines/*.yml", "load_job"),
    ("schedules/*.yml", "load_schedule"),
    ("monitor.yml", "load_schedule"),
    ("batch/endpoint.yml", "load_batch_endpoint"),
    ("batch/pipeline.yml", "load_component"),
    ("batch/deployment.yml", "load_pipeline_component_batch_deployment"),
    ("online/endpoint.yml", "load_online_endpoint"),
    ("online/deployment.yml", "load_online_deployment"),
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
        raise ConfigError("There is no such pipeline.", where=str(file), found=f"known: {known}")
    from azure.ai.ml import Input

    with _quiet():
        job = loader_of("load_job")(file)
        for name, value in inputs.items():
            step, _, inside = name.rpartition(".")
            given = Input(type="uri_file", path=str(value)) if isinstance(value, Path) else value
            setattr((job.jobs[step] if step else job).inputs, inside, given)
        return str(ml.jobs.create_or_update(job).name)


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
