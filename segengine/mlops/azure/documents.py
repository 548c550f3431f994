"""The YAML files of a rendered folder as plain data, with what binds them: components, pipelines, nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from segengine.errors import ConfigError

__all__ = ["BINDING", "Component", "Node", "Pipeline", "component_of", "load_pipeline", "read"]

BINDING = re.compile(r"\$\{\{\s*([^}]*?)\s*\}\}")
"""A reference such as ${{inputs.state}} or ${{parent.jobs.gate.outputs.verdict}}."""


@dataclass(frozen=True)
class Component:
    """One step that pipelines name: its declared inputs and outputs, and its command or, for Spark, its arguments."""

    file: Path
    data: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]

    @property
    def text(self) -> str:
        """The command, or a Spark component's arguments."""
        return str(self.data.get("command") or self.data.get("args") or "")


@dataclass(frozen=True)
class Node:
    """One use of a component in a pipeline: what its inputs and outputs are bound to."""

    name: str
    data: Mapping[str, Any]
    component: Component | None
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    def needs(self) -> tuple[str, ...]:
        """The nodes whose outputs this one reads, as written, in the order of its inputs."""
        parts = (binding.split(".") for value in self.inputs.values() for binding in BINDING.findall(str(value)))
        return tuple(dict.fromkeys(each[2] for each in parts if each[:2] == ["parent", "jobs"] and len(each) > 2))


@dataclass(frozen=True)
class Pipeline:
    """Nodes, and what the pipeline itself declares."""

    file: Path
    data: Mapping[str, Any]
    nodes: Mapping[str, Node] = field(default_factory=dict)

    @property
    def inputs(self) -> Mapping[str, Any]:
        return _section(self.data, "inputs")

    @property
    def outputs(self) -> Mapping[str, Any]:
        return _section(self.data, "outputs")

    def in_order(self) -> Iterator[Node]:
        """Nodes, each after those it reads from. ConfigError for a circle; what does not exist is passed over."""
        left = dict(self.nodes)
        while left:
            ready = [name for name, node in left.items() if not set(node.needs()) & left.keys()]
            if not ready:
                raise ConfigError(
                    "Steps of a pipeline wait for each other.",
                    where=str(self.file),
                    found=", ".join(sorted(left)),
                    todo="Let no step use what a later one makes.",
                )
            for name in ready:
                yield left.pop(name)


def read(file: Path) -> Mapping[str, Any]:
    """A YAML file that holds keys. ConfigError when it cannot be read or holds something else."""
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        found = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        raise ConfigError(
            "A file for Azure ML cannot be read.", where=str(file), found=found, todo="Mend the YAML, or render again."
        ) from error
    if not isinstance(data, dict):
        raise ConfigError(
            "A file for Azure ML holds keys.",
            where=str(file),
            found=type(data).__name__,
            todo="Write it as keys and values, as the files in conf/azureml are.",
        )
    return data


def component_of(file: Path, data: Mapping[str, Any] | None = None) -> Component:
    """A component from its file, or one written inside a pipeline."""
    data = read(file) if data is None else data
    return Component(file, data, _declared(data, "inputs"), _declared(data, "outputs"))


def load_pipeline(file: Path) -> Pipeline:
    """A pipeline job or pipeline component, with the components that its nodes name by file."""
    data = read(file)
    nodes = {}
    for name, job in _section(data, "jobs").items():
        named = job.get("component")
        component = None
        if isinstance(named, dict):
            component = component_of(file, named)
        elif isinstance(named, str) and not named.startswith("azureml:"):
            path = (file.parent / named.removeprefix("file:")).resolve()
            component = component_of(path) if path.is_file() else None
        elif named is None and ("command" in job or "entry" in job):
            component = component_of(file, job)
        nodes[name] = Node(name, job, component, _section(job, "inputs"), _section(job, "outputs"))
    return Pipeline(file, data, nodes)


def _section(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    section = data.get(key)
    return section if isinstance(section, dict) else {}


def _declared(data: Mapping[str, Any], key: str) -> Mapping[str, Mapping[str, Any]]:
    return {name: value if isinstance(value, dict) else {} for name, value in _section(data, key).items()}
