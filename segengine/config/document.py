"""YAML text becomes plain values whose lines are known: no tags, no aliases, no repeated keys, no guessed types.

Every scalar stays the text that was written, and only `null`, `~` and nothing become None: what a value means is
decided by the key it belongs to. So `007` can be a customer's id, `no` is no surprise, and `1e3` is a number only where
a number is asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from segengine.errors import ConfigError

__all__ = ["MAX_BYTES", "Document", "KeyPath", "Value", "key_path", "printable", "read", "redact"]

KeyPath = tuple[str | int, ...]
"""Where a value is: keys, and positions in lists from 0."""

Value = None | str | list["Value"] | dict[str, "Value"]

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Written in C where there is libyaml, which is ten times as fast; only its parser is used, never its constructors."""

MAX_BYTES = 256 * 1024
"""A hand-written file is a hundred times smaller; without libyaml this much takes a few seconds."""
MAX_DEPTH = 12
"""Deeper than any key goes; a file of a thousand brackets would exhaust the stack."""
NULLS = ("", "~", "null", "Null", "NULL")
REFERENCE = re.compile(r"\$\$\{|\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


@dataclass
class Document:
    """What a file says, and where."""

    file: str
    values: dict[str, Value] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    """1-based line of each key and list item; of a list item that holds a mapping, its first key."""
    templates: dict[KeyPath, str] = field(default_factory=dict)
    """Texts that `${env:NAME}` went into, as written; their values are never shown."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Values of environment variables that were used: value -> `${env:NAME}`."""

    def line(self, path: KeyPath) -> int | None:
        """The line of this key, or of the nearest key above it that the file has."""
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)

    def where(self, path: KeyPath) -> str:
        """Where a key is, for people: file, line, key."""
        line = self.line(path)
        parts = (self.file, f"line {line}" if line else "", key_path(path))
        return ", ".join(part for part in parts if part)

    def shown(self, path: KeyPath) -> str | None:
        """The value at this path as it may be shown: references instead of secrets; None where there is none."""
        value: Any = self.values
        for step in path:
            inside = step in value if isinstance(value, dict) else isinstance(value, list) and step in range(len(value))
            if not inside:
                return None
            value = value[step]
        return _text(value, path, self.templates)

    def redact(self, text: str) -> str:
        """`text` without the values of environment variables (those of four characters and more)."""
        return redact(text, self.secrets)


def redact(text: str, secrets: Mapping[str, str]) -> str:
    """`text` with every secret of four characters and more replaced by its reference; longest first."""
    for value in sorted(secrets, key=len, reverse=True):
        if len(value) >= 4:
            text = text.replace(value, secrets[value])
    return text


def _text(value: object, path: KeyPath, templates: Mapping[KeyPath, str]) -> str:
    if value in ("", None, [], {}):
        return "empty text" if value == "" else "nothing"
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{k}: {_text(v, (*path, k), templates)}" for k, v in value.items()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(_text(v, (*path, n), templates) for n, v in enumerate(value)) + "]"
    else:
        text = templates.get(path, str(value))
    return printable(text)


def key_path(path: KeyPath) -> str:
    """`("segments", "k", 0)` -> `segments.k[0]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{printable(step, 60)}" for step in path)
    return text.removeprefix(".")


def printable(text: str, limit: int = 120) -> str:
    """At most so many characters, and none that moves a cursor, starts a line or hides: those are escaped."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def read(text: str, *, file: str, environ: Mapping[str, str] | None = None) -> Document:
    """Read a document and put environment variables in.

    Raises ConfigError with the line for text that is not YAML, tags, anchors and aliases, repeated keys, keys that are
    not text, more than one document, nesting without end, and variables that are not set.
    """
    document = Document(file)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ConfigError(
            f"The configuration is larger than {MAX_BYTES // 1024} KiB.", where=file, todo="Is this the right file?"
        )
    try:
        _check_events(text, document)
        root = yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError as error:
        raise _not_yaml(error, text, file) from error
    except RecursionError as error:
        raise ConfigError("The configuration is nested too deeply.", where=file) from error
    if root is None or (isinstance(root, yaml.ScalarNode) and root.value in NULLS):
        raise ConfigError("The configuration is empty.", where=file, todo="Start from one of the examples in conf/.")
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(
            "A configuration is a mapping, lines of `key: value`.",
            where=f"{file}, line {_line(root)}",
            found="a list" if isinstance(root, yaml.SequenceNode) else "text",
            todo="Start from one of the examples in conf/.",
        )
    problems = list(_repeated(root, ()))
    if problems:
        raise ConfigError(problems[0][0], where=f"{file}, line {problems[0][1]}", todo="Keep one of them.")
    values = _build(root, (), document, os.environ if environ is None else environ)
    assert isinstance(values, dict)
    document.values = values
    return document


def _check_events(text: str, document: Document) -> None:
    """Refuse what the language offers and a configuration does not need, before anything is built from it."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        where = f"{document.file}, line {line}"
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise ConfigError("The file holds more than one document.", where=where, todo="Remove the line `---`.")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise ConfigError(
                "Anchors (&) and aliases (*) are not used in a configuration.",
                where=where,
                found=printable(f"{'*' if isinstance(event, yaml.AliasEvent) else '&'}{event.anchor}"),
                todo="Write the value out; put text that starts with & or * in quotes.",
            )
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            raise ConfigError(
                "Tags (!) are not used in a configuration.",
                where=where,
                found=printable(str(event.tag)),
                todo="Remove it; put text that starts with ! in quotes.",
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ConfigError(f"The configuration is nested deeper than {MAX_DEPTH} levels.", where=where)


def _not_yaml(error: yaml.YAMLError, text: str, file: str) -> ConfigError:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        where = f"{file}, line {mark.line + 1}, column {mark.column + 1}" if mark else file
        todo = "Indent with spaces, and put text with `: `, `#`, quotes or brackets in quotes."
        return ConfigError(f"This is not YAML: {what}.", where=where, todo=todo)
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 1
        code = error.character if isinstance(error.character, int) else ord(str(error.character)[0])
        return ConfigError(
            f"The character U+{code:04X} is not allowed in YAML.", where=f"{file}, line {line}", todo="Remove it."
        )
    return ConfigError("This is not YAML.", where=file)


def _repeated(node: yaml.Node, path: KeyPath) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            yield from _repeated(item, (*path, position))
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    name = key_path((*path, key.value))
                    yield f"The key '{name}' is there twice: on lines {seen[key.value]} and {_line(key)}.", _line(key)
                seen[key.value] = _line(key)
                yield from _repeated(value, (*path, key.value))


def _build(node: yaml.Node, path: KeyPath, document: Document, environ: Mapping[str, str]) -> Value:
    if isinstance(node, yaml.ScalarNode):
        if not node.style and node.value in NULLS:
            return None
        return _with_environment(node, path, document, environ)
    if isinstance(node, yaml.SequenceNode):
        items: list[Value] = []
        for position, item in enumerate(node.value):
            document.lines[(*path, position)] = _line(item)
            items.append(_build(item, (*path, position), document, environ))
        return items
    values: dict[str, Value] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or (not key.style and key.value in NULLS):
            where = f"{document.file}, line {_line(key)}" + (f", {key_path(path)}" if path else "")
            raise ConfigError("A key must be text.", where=where, todo="Write `key: value`; quote braces and brackets.")
        document.lines[(*path, key.value)] = _line(key)
        values[key.value] = _build(value, (*path, key.value), document, environ)
    return values


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _with_environment(node: yaml.ScalarNode, path: KeyPath, document: Document, environ: Mapping[str, str]) -> str:
    """The text with `${env:NAME}` replaced, once; `$${` stands for `${`."""

    def value_of(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = match[1]
        if name is None:
            raise ConfigError(
                "A reference is written ${env:NAME}.",
                where=document.where(path),
                found=printable(node.value),
                todo="Name an environment variable, or write $${ where ${ itself is meant.",
            )
        if name not in environ:
            raise ConfigError(
                f"The environment variable {name} is not set.",
                where=document.where(path),
                found=printable(node.value),
                todo=f"Set {name} where segengine runs (on a cluster: where the driver runs).",
            )
        document.templates[path] = node.value
        document.secrets[environ[name]] = match[0]
        return environ[name]

    text: str = node.value
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigError("A lone surrogate is no character.", where=document.where(path), found=printable(text))
    return REFERENCE.sub(value_of, text)
