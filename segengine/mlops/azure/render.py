"""Fill the names of one workspace into the files of conf/azureml, into a folder that is ready to be submitted."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import segengine
from segengine.errors import ConfigError
from segengine.mlops.azure.documents import read
from segengine.mlops.azure.values import Values, load_values

__all__ = ["parameters", "render"]

TOKEN = re.compile(r"__([a-z]+(?:_[a-z]+)*)__")
CONDITION = re.compile(r"\s*#if ([a-z_]+)$")
CONTEXT = ("segengine", "tools", "requirements", "pyproject.toml", "README.md", "LICENSE")
"""What the image of the components is built from, of this repository."""
DOCKERFILES = ("Dockerfile", "online.Dockerfile")
LEFT_OUT = ("__pycache__", "*.pyc", "node_modules", "azurite", "pack.py")


def render(source: Path, workspace: str, target: Path, *, config: Path | None = None) -> Values:
    """Write the files of `source` with the values of `<workspace>.yaml` into a new folder, and the image's context.

    `config` stands in for the configuration that the values name. Raises ConfigError for unknown names, a folder that
    holds something else, and files that are missing.
    """
    values = load_values(source / f"{workspace}.yaml")
    _prepare(target)
    config = config or source / values.config
    if not config.is_file():
        raise ConfigError(
            "There is no such configuration.",
            where=f"{workspace}.yaml: config",
            found=str(config),
            todo="Name a file of a segmentation, relative to conf/azureml.",
        )
    repository = source.parent.parent
    environment = _copy_context(repository, source, target / "context")
    text = config.read_bytes()
    filled = {
        **{key: _plain(value) for key, value in values.model_dump().items()},
        "identity_id": values.identity_id,
        "environment_version": f"{segengine.__version__}-{environment}",
        "config_version": hashlib.sha256(text).hexdigest()[:12],
    }
    filled["component_version"] = filled["environment_version"]
    tables = read(config).get("tables")
    if not isinstance(tables, dict) or "customers" not in tables:
        filled["customers"] = ""  # there is no such table to mount
    for file in _templates(source):
        rendered = fill(file.read_text(encoding="utf-8"), filled, where=str(file))
        if rendered is not None:
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(rendered, encoding="utf-8")
    for code in sorted((source / "online").glob("*")):
        if code.suffix != ".yml":
            shutil.copyfile(code, target / "online" / code.name)
    (target / "segmentation.yaml").write_bytes(text)
    (target / "infra.parameters.json").write_text(json.dumps(parameters(values), indent=2) + "\n", encoding="utf-8")
    return values


def fill(text: str, values: Mapping[str, str], *, where: str) -> str | None:
    """The text with `__name__` replaced; lines marked `#if name` stay where that value is not empty.

    None when the first line is such a mark and its value is empty. ConfigError for a name nobody knows.
    """
    lines = []
    for number, line in enumerate(text.splitlines()):
        condition = CONDITION.search(line)
        if condition is not None:
            if not values[condition[1]]:
                if number == 0:
                    return None
                continue
            line = line[: condition.start()]
            if number == 0:
                continue
        lines.append(line)
    unknown = sorted({name for name in TOKEN.findall("\n".join(lines)) if name not in values})
    if unknown:
        raise ConfigError(
            "A file asks for a value that no workspace has.",
            where=where,
            found=", ".join(unknown),
            todo="Write __name__ of a key of dev.yaml and prod.yaml, or add the key to both.",
        )
    return TOKEN.sub(lambda token: values[token[1]], "\n".join(lines)) + "\n"


def parameters(values: Values) -> dict[str, object]:
    """The same values as parameters of infra/azure/main.bicep."""
    asked = ("location", "workspace", "storage_account", "compute_size", "compute_nodes")
    names = {key: re.sub(r"_(\w)", lambda letter: letter[1].upper(), key) for key in asked}
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"
    return {
        "$schema": schema,
        "contentVersion": "1.0.0.0",
        "parameters": {names[key]: {"value": getattr(values, key)} for key in asked},
    }


def _templates(source: Path) -> Iterator[Path]:
    return iter(sorted(source.rglob("*.yml")))


def _plain(value: object) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, list) else str(value)


def _prepare(target: Path) -> None:
    mark = target / "infra.parameters.json"
    if target.exists() and any(target.iterdir()):
        if not mark.is_file():
            raise ConfigError(
                "That folder holds something else.", where=str(target), todo="Name a new folder, or an earlier one."
            )
        shutil.rmtree(target)
    target.mkdir(parents=True, exist_ok=True)


def _copy_context(repository: Path, source: Path, target: Path) -> str:
    """Copy what the image is made from; returns the start of the hash of all of it."""
    for name in CONTEXT:
        origin = repository / name
        if not origin.exists():
            raise ConfigError(
                "The image is built from the files of the repository, and this is not all of it.",
                where=str(repository),
                found=f"{name} is missing",
                todo="Run it in a checkout of segengine.",
            )
        if origin.is_dir():
            shutil.copytree(origin, target / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, target / name)
    for name in DOCKERFILES:
        shutil.copyfile(source / name, target / name)
    digest = hashlib.sha256()
    for file in sorted(path for path in target.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(target)}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]
