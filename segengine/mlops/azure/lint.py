"""Faults in files for Azure ML that the SDK lets through, and rules of our own; works without azure-ai-ml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segengine.errors import ConfigError
from segengine.mlops.azure.documents import BINDING, Component, Node, Pipeline, component_of, load_pipeline, read
from segengine.mlops.azure.lint_spark import spark_faults
from segengine.mlops.azure.lint_workspace import made_in, workspace_faults

__all__ = ["Fault", "lint"]

OPTIONAL_PART = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
NUMBERS = {"integer": int, "number": (int, float)}


@dataclass(frozen=True, order=True)
class Fault:
    """Something that would fail, or do harm, only in Azure. `where` is a path of keys in the file."""

    file: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.where}: {self.text}"


def lint(folder: Path) -> list[Fault]:
    """Everything that is wrong with the YAML files of a rendered folder, by file."""
    faults: set[Fault] = set()
    documents: dict[Path, Mapping[str, Any]] = {}
    for file in sorted(folder.rglob("*.yml")):
        if (folder / "context") in file.parents:
            continue
        try:
            documents[file] = read(file)
        except ConfigError as error:
            faults.add(Fault(file.relative_to(folder).as_posix(), "-", f"{error.what} {error.found}"))
    made = made_in(documents.values())
    for file, data in documents.items():
        for where, text in (*_faults(file, data), *workspace_faults(file, data, made)):
            faults.add(Fault(file.relative_to(folder).as_posix(), where, text))
    return sorted(faults)


def _faults(file: Path, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(data.get("jobs"), dict):
        yield from _pipeline(load_pipeline(file))
    elif data.get("type") in ("command", "spark") and "name" in data:
        yield from _component(component_of(file, data))


def _component(component: Component) -> Iterator[tuple[str, str]]:
    text, plain = component.text, OPTIONAL_PART.sub("", component.text)
    place = "args" if component.data.get("type") == "spark" else "command"
    for binding in BINDING.findall(text):
        kind, _, name = binding.partition(".")
        declared = {"inputs": component.inputs, "outputs": component.outputs}.get(kind)
        if declared is None or name.split(".")[0] not in declared:
            yield place, f"${{{{{binding}}}}} is not declared"
    for binding in BINDING.findall(plain):
        name = binding.removeprefix("inputs.")
        if component.inputs.get(name, {}).get("optional"):
            yield place, f"{name} may be absent: write $[[ ... ]] around what mentions it"
    used = set(BINDING.findall(text))
    for kind, declared in (("inputs", component.inputs), ("outputs", component.outputs)):
        for name, value in declared.items():
            if f"{kind}.{name}" not in used:
                yield f"{kind}.{name}", "is declared, and the command does not use it"
            if (
                value.get("type") == "string"
                and re.search(rf"(?<!')\$\{{\{{inputs\.{name}\}}\}}", text)
                and name != "as_of"
            ):
                yield f"inputs.{name}", "free text becomes part of a shell command: pass a file instead"
    if component.data.get("is_deterministic") is not False:
        yield "is_deterministic", "must be false: an earlier result would be taken for that of new data"
    code = component.data.get("code")
    if isinstance(code, str) and "://" not in code and not (component.file.parent / code).exists():
        yield "code", f"there is no {code}"
    yield from spark_faults(component)


def _pipeline(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    for name, node in pipeline.nodes.items():
        for where, text in _node(pipeline, node):
            yield f"jobs.{name}.{where}", text
    try:
        list(pipeline.in_order())
    except ConfigError as error:
        yield "jobs", f"wait for each other: {error.found}"
    fed = {binding for node in pipeline.nodes.values() for v in node.outputs.values() for binding in _bindings(v)}
    for name in pipeline.outputs:
        if f"parent.outputs.{name}" not in fed:
            yield f"outputs.{name}", "no step writes it"


def _node(pipeline: Pipeline, node: Node) -> Iterator[tuple[str, str]]:
    for kind, bound in (("inputs", node.inputs), ("outputs", node.outputs)):
        for name, value in bound.items():
            for binding in _bindings(value):
                problem = _unresolved(pipeline, binding)
                if problem:
                    yield f"{kind}.{name}", f"${{{{{binding}}}}}: {problem}"
    component = node.component
    if component is None:
        named = node.data.get("component")
        if isinstance(named, str) and not named.startswith("azureml:"):
            yield "component", f"there is no {named}"
        return
    for name in sorted(node.inputs.keys() - component.inputs.keys()):
        yield f"inputs.{name}", f"the component has no such input; it has {', '.join(component.inputs)}"
    for name in sorted(node.outputs.keys() - component.outputs.keys()):
        yield f"outputs.{name}", f"the component has no such output; it has {', '.join(component.outputs)}"
    for name, declared in component.inputs.items():
        if name not in node.inputs:
            if not declared.get("optional") and "default" not in declared:
                yield f"inputs.{name}", "is required, and nothing is bound to it"
            continue
        yield from ((f"inputs.{name}", text) for text in _value_faults(declared, node.inputs[name]))
    if component.data is node.data:
        yield from _component(component)


def _unresolved(pipeline: Pipeline, binding: str) -> str:
    """Why a reference leads nowhere; empty when it leads somewhere."""
    parts = binding.split(".")
    if parts[:2] == ["parent", "inputs"] and len(parts) == 3:
        return "" if parts[2] in pipeline.inputs else "the pipeline has no such input"
    if parts[:2] == ["parent", "outputs"] and len(parts) == 3:
        return "" if parts[2] in pipeline.outputs else "the pipeline has no such output"
    if parts[:2] == ["parent", "jobs"] and len(parts) == 5 and parts[3] == "outputs":
        node = pipeline.nodes.get(parts[2])
        if node is None:
            return "the pipeline has no such job"
        known = node.component.outputs if node.component is not None else node.outputs
        return "" if parts[4] in known or node.component is None else "that job has no such output"
    return "is no reference that a pipeline knows"


def _value_faults(declared: Mapping[str, Any], value: Any) -> Iterator[str]:
    """What is wrong with a value written for an input with a type, a least and a most."""
    kind = str(declared.get("type", ""))
    if isinstance(value, str) and BINDING.search(value):
        return
    if kind.startswith(("uri_", "mltable", "mlflow_", "custom_", "triton_")):
        if not isinstance(value, dict) and not (isinstance(value, str) and value.startswith("azureml:")):
            yield f"takes {kind}, and gets {value!r}"
        return
    if kind in NUMBERS and (isinstance(value, bool) or not isinstance(value, NUMBERS[kind])):  # type: ignore[arg-type]  # both are what isinstance takes
        yield f"takes {kind}, and gets {value!r}"
    elif kind == "boolean" and not isinstance(value, bool):
        yield f"takes boolean, and gets {value!r}"
    elif kind in NUMBERS:
        if "min" in declared and value < declared["min"]:
            yield f"is {value}, and the least is {declared['min']}"
        if "max" in declared and value > declared["max"]:
            yield f"is {value}, and the most is {declared['max']}"
    if "enum" in declared and value not in declared["enum"]:
        yield f"is {value!r}, and may be {', '.join(map(str, declared['enum']))}"


def _bindings(value: Any) -> list[str]:
    texts = value.values() if isinstance(value, dict) else [value]
    return [binding for text in texts if isinstance(text, str) for binding in BINDING.findall(text)]
