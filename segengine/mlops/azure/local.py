"""Run the pipelines of a rendered folder here: the very commands, fresh folders, nothing passed that is not declared.

A workspace is a folder:

    datastores/<name>/<path>            what azureml://datastores/<name>/paths/<path> stands for
    assets/<name>/<version>             what named outputs registered
    jobs/<number>-<pipeline>/<step>/    inputs and outputs of a step, its log, and the folder it was started in
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segengine.errors import ConfigError, InfrastructureError, SegengineError
from segengine.mlops.azure.documents import BINDING, Component, Node, Pipeline, load_pipeline, read

__all__ = ["LocalJob", "LocalWorkspace", "StepFailed"]

DATASTORE = re.compile(r"^azureml://datastores/([\w-]+)/paths/(.+?)/?$")
ASSET = re.compile(r"^azureml:([\w.-]+)(?::([\w.-]+)|@latest)$")
OPTIONAL_PART = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "JAVA_HOME", "SEGENGINE_MASTER", "PYTHONPATH", "OPENBLAS_CORETYPE")
"""All that a step sees of this machine's environment; a step that needs more would fail in Azure as well.

The last names the processor that numpy's products of matrices are calculated for: another one rounds silhouettes in
another way, in the last of their digits.
"""

Start = Callable[[str, Path, Mapping[str, str], Path], int]
"""Runs a command in a folder with these variables and no others; its output goes to a file. The exit code."""


def with_bash(command: str, here: Path, environment: Mapping[str, str], log: Path) -> int:
    """Run it in a process of its own, as Azure ML does."""
    with log.open("wb") as stream:
        return subprocess.run(
            ["bash", "-c", command], cwd=here, env=environment, stdin=subprocess.DEVNULL,
            stdout=stream, stderr=subprocess.STDOUT, check=False,
        ).returncode  # fmt: skip


class StepFailed(SegengineError):
    """A step of a pipeline ended with an exit code that is not 0; it is the exit code of this error."""

    def __init__(self, step: str, code: int, log: Path) -> None:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        super().__init__(f"Step {step} ended with {code}.", where=str(log), found="\n".join(lines[-15:]))
        self.step = step
        self.exit_code = code


@dataclass
class LocalJob:
    """A pipeline that ran: the folders of its steps, by `step.output`, and the commands as the shell got them."""

    folder: Path
    outputs: dict[str, Path] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LocalWorkspace:
    """`rendered` is what `segengine azure render` wrote; `folder` stands for the workspace and its lake."""

    rendered: Path
    folder: Path
    start: Start = with_bash

    def run(self, pipeline: str, inputs: Mapping[str, Path | str] | None = None) -> LocalJob:
        """Run every step in order; `inputs` are by `input`, or by `step.input` for what a pipeline leaves open.

        Raises StepFailed with the exit code of the first step that fails; later ones do not run.
        """
        loaded = load_pipeline(self.rendered / "pipelines" / f"{pipeline}.yml")
        given = dict(inputs or {})
        number = len(list((self.folder / "jobs").glob("*"))) + 1
        job = LocalJob(self.folder / "jobs" / f"{number:04d}-{pipeline}")
        for node in loaded.in_order():
            self._step(loaded, node, job, given)
        for name, declared in loaded.outputs.items():
            if isinstance(declared, dict) and declared.get("name"):
                self._register(str(declared["name"]), job.outputs[_writer(loaded, name)])
        return job

    def datastore(self, name: str, path: str) -> Path:
        """The folder that stands for a path of a datastore."""
        return self.folder / "datastores" / name / path

    def _step(self, pipeline: Pipeline, node: Node, job: LocalJob, given: Mapping[str, Path | str]) -> None:
        component = node.component
        if component is None or component.data.get("type") != "command":
            raise ConfigError(
                "Only command components run here.",
                where=str(pipeline.file),
                found=node.name,
                todo="Submit this pipeline to a workspace instead.",
            )
        folder = job.folder / node.name
        values: dict[str, str] = {}
        read_only: dict[Path, str] = {}
        for name, declared in component.inputs.items():
            value = given.get(f"{node.name}.{name}", self._bound(pipeline, node.inputs.get(name), job, given))
            if value is None and "default" in declared:
                value = declared["default"]
            if value is None:
                if not declared.get("optional"):
                    raise ConfigError(
                        "A step lacks an input.",
                        where=f"{node.name}.{name}",
                        found=str(pipeline.file),
                        todo="Bind that input in the pipeline file.",
                    )
            elif str(declared.get("type", "")).startswith(("uri_", "custom_", "mlflow_")):
                place = folder / "inputs" / name
                values[f"inputs.{name}"] = str(_fresh_copy(Path(str(value)), place))
                read_only[place] = _digest(place)
            else:
                values[f"inputs.{name}"] = str(value)
        for name, declared in component.outputs.items():
            place = self._output(pipeline, node, name, declared, folder)
            place.mkdir(parents=True, exist_ok=True)
            values[f"outputs.{name}"] = str(place)
            job.outputs[f"{node.name}.{name}"] = place
        job.commands[node.name] = command_of(component, values)
        self._start(node.name, job.commands[node.name], component, folder)
        changed = [str(place) for place, digest in read_only.items() if _digest(place) != digest]
        if changed:
            raise ConfigError(
                "A step wrote into its inputs.",
                where=node.name,
                found=", ".join(changed),
                todo="Let it write to its outputs only.",
            )

    def _start(self, step: str, command: str, component: Component, folder: Path) -> None:
        """Run it in an empty folder (or a copy of its code); StepFailed when it does not end with 0."""
        here, log = folder / "here", folder / "log.txt"
        code = component.data.get("code")
        if code is not None:
            shutil.copytree((component.file.parent / str(code)).resolve(), here)
        here.mkdir(parents=True, exist_ok=True)
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
        environment.update((key, str(value)) for key, value in component.data.get("environment_variables", {}).items())
        try:
            exit_code = self.start(command, here, environment, log)
        except OSError as error:
            raise InfrastructureError(
                "A step could not be started.",
                where=step,
                found=str(error),
                todo="Run it in the environment that segengine is installed in.",
            ) from error
        if exit_code != 0:
            raise StepFailed(step, exit_code, log)

    def _bound(self, pipeline: Pipeline, value: Any, job: LocalJob, given: Mapping[str, Path | str]) -> Any:
        """What a node's input stands for: a path of this machine, a literal, or None."""
        if isinstance(value, dict):
            return self._located(str(value["path"]), pipeline.file.parent)
        binding = BINDING.fullmatch(value) if isinstance(value, str) else None
        if binding is None:
            return value
        parts = binding[1].split(".")
        if parts[:2] == ["parent", "inputs"]:
            if parts[2] in given:
                return given[parts[2]]
            return self._bound(pipeline, pipeline.inputs.get(parts[2]), job, given)
        return job.outputs[f"{parts[2]}.{parts[4]}"]

    def _output(self, pipeline: Pipeline, node: Node, name: str, declared: Mapping[str, Any], folder: Path) -> Path:
        """A fresh folder, or the place of the lake that the pipeline writes to."""
        bound = node.outputs.get(name)
        binding = BINDING.fullmatch(bound) if isinstance(bound, str) else None
        if binding is not None:
            outer = pipeline.outputs.get(binding[1].split(".")[2])
            path = outer.get("path") if isinstance(outer, dict) else None
            place = DATASTORE.match(str(path)) if path else None
            if place is not None:
                if declared.get("mode") != "rw_mount":
                    raise ConfigError(
                        "A step that adds to a folder mounts it.",
                        where=f"{node.name}.{name}",
                        todo="Write mode: rw_mount at that output of the component.",
                    )
                return self.datastore(place[1], place[2])
        return folder / "outputs" / name

    def _located(self, path: str, relative_to: Path) -> Path:
        place, asset = DATASTORE.match(path), ASSET.match(path)
        if place is not None:
            found = self.datastore(place[1], place[2])
        elif asset is not None:
            found = self._asset(asset[1], asset[2])
        else:
            found = (relative_to / path).resolve()
        if not found.exists():
            raise ConfigError(
                "An input does not exist.", where=path, found=str(found), todo="Put the data there before the run."
            )
        return found

    def _asset(self, name: str, version: str | None) -> Path:
        """A named output of an earlier job, or what a file of the rendered folder describes."""
        registered = self.folder / "assets" / name
        if registered.is_dir():
            newest = str(max(int(each.name) for each in registered.iterdir()))
            return registered / (version or newest)
        for file in sorted((self.rendered / "data").glob("*.yml")):
            data = read(file)
            if data.get("name") == name and version in (None, str(data.get("version"))):
                return self._located(str(data["path"]), file.parent)
        raise ConfigError(
            "No file and no job makes this asset.",
            where=name,
            found=f"version {version or 'latest'}",
            todo="Run the job that makes it first, or describe it in conf/azureml/data.",
        )

    def _register(self, name: str, output: Path) -> None:
        place = self.folder / "assets" / name
        version = 1 + max((int(each.name) for each in place.glob("*")), default=0)
        shutil.copytree(output, place / str(version))


def command_of(component: Component, values: Mapping[str, str]) -> str:
    """The command with its references replaced, as Azure ML does: plain text, and $[[...]] only where all are there."""

    def optional(part: re.Match[str]) -> str:
        return part[1] if all(binding in values for binding in BINDING.findall(part[1])) else ""

    def replaced(binding: re.Match[str]) -> str:
        if binding[1] not in values:
            raise ConfigError(
                "A command asks for what is not bound.",
                where=str(component.file),
                found=binding[0],
                todo="Bind it in the pipeline, or put it into $[[...]] as optional.",
            )
        return values[binding[1]]

    return BINDING.sub(replaced, OPTIONAL_PART.sub(optional, component.text)).strip()


def _writer(pipeline: Pipeline, output: str) -> str:
    """Which node's output becomes this output of the pipeline."""
    for node in pipeline.nodes.values():
        for name, value in node.outputs.items():
            if value == f"${{{{parent.outputs.{output}}}}}":
                return f"{node.name}.{name}"
    raise ConfigError(
        "No step writes an output of the pipeline.",
        where=str(pipeline.file),
        found=output,
        todo="Bind the output to a step in the pipeline file.",
    )


def _fresh_copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
        return target
    target.mkdir()
    return Path(shutil.copyfile(source, target / source.name))


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name, content in _contents(folder):
        digest.update(shlex.quote(name).encode() + b"\0" + content)
    return digest.hexdigest()


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        with file.open("rb") as stream:
            yield str(file.relative_to(folder)), hashlib.file_digest(stream, "sha256").digest()
