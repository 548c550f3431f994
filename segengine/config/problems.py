"""What pydantic finds wrong, in plain sentences: the key, its line, the value, and what to write."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from segengine.config.document import Document, KeyPath, key_path
from segengine.config.models import Config
from segengine.config.part import Part, Wrong
from segengine.errors import ConfigError

__all__ = ["Problem", "as_error", "problems_of", "sections"]

NOT_YET = {
    "tracking": "Runs are not tracked elsewhere as yet: remove it.",
    "<<": "Merging is not used in a configuration: write the keys out.",
}


@dataclass(frozen=True)
class Problem:
    """`what` goes on after the key's name."""

    path: KeyPath
    what: str
    todo: str = ""
    shows_value: bool = True


def as_error(problems: Sequence[Problem], document: Document) -> ConfigError:
    """One error for all problems, in the order of the file. No value of an environment variable is in it."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: document.line(problem.path) or 0)
    if len(ordered) == 1:
        problem = ordered[0]
        return ConfigError(
            document.redact(f"{key_path(problem.path) or 'The configuration'} {problem.what}."),
            where=document.where(problem.path),
            found=_found(problem, document),
            todo=document.redact(problem.todo),
        )
    lines = [f"The configuration has {len(ordered)} problems:"]
    for problem in ordered:
        line, found = document.line(problem.path), _found(problem, document)
        place = f"line {line}: " if line else ""
        text = f"  {place}{key_path(problem.path) or 'the configuration'} {problem.what}."
        text += f" Found: {found}." if found else ""
        lines.append(document.redact(text + (f" {problem.todo}" if problem.todo else "")))
    return ConfigError("\n".join(lines), where=document.file)


def _found(problem: Problem, document: Document) -> str:
    shown = document.shown(problem.path) if problem.shows_value else None
    return "" if shown is None else shown


def problems_of(error: ValidationError) -> Iterator[Problem]:
    """Every problem that pydantic collected."""
    for one in error.errors(include_url=False, include_input=False):
        path = tuple(step for step in one["loc"] if step != "[key]")
        context: Mapping[str, Any] = one.get("ctx", {})
        if one["type"] == "segengine":
            wrongs: tuple[Wrong, ...] = context["wrongs"]
            yield from (Problem((*path, *w.at), w.what, w.todo) for w in wrongs)
        elif one["type"] == "extra_forbidden":
            yield _unknown(path, tuple(_keys(path[:-1])))
        elif one["type"] == "unknown_key":
            yield _unknown(path, context["known"])
        elif one["type"] == "missing":
            yield Problem(path, "is missing", _meaning(path), shows_value=False)
        else:
            what, todo = _sentence(one["type"], context, one["msg"])
            yield Problem(path, what, todo)


def _unknown(path: KeyPath, known: tuple[str, ...]) -> Problem:
    key = str(path[-1])
    hints = []
    if key in NOT_YET:
        hints.append(NOT_YET[key])
    near = get_close_matches(key, known, n=1, cutoff=0.6) or get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    elsewhere = [place for place in _places().get(key, ()) if place[:-1] != path[:-1]]
    if near:
        hints.append(f"Did you mean {near[0]}?")
    elif elsewhere:
        hints.append(
            f"It belongs under {key_path(elsewhere[0][:-1])}." if len(elsewhere[0]) > 1 else "It belongs at the top."
        )
    hints.append(f"Known here: {', '.join(known)}.")
    return Problem(path, "is not a known key", " ".join(hints), shows_value=False)


SENTENCES = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number of usual size",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a number, neither infinite nor not a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "model_type": "must be a section, lines of `key: value`",
    "model_attributes_type": "must be a section, lines of `key: value`",
    "mapping_type": "must be lines of `key: value`",
    "dict_type": "must be lines of `key: value`",
    "tuple_type": "must be a list, such as [first, second]",
    "list_type": "must be a list, such as [first, second]",
    "too_long": "has too many items",
    "too_short": "has too few items",
}
TODOS = {
    "int_parsing": "Write digits only, such as 1000.",
    "float_parsing": "Write it with a decimal point, such as 0.03.",
    "string_type": "Write text, in quotes where it is a list, a mapping or nothing to YAML.",
}


def _sentence(kind: str, context: Mapping[str, Any], message: str) -> tuple[str, str]:
    """What is wrong and what to do; `message` is pydantic's own, which holds no value."""
    if kind == "literal_error":
        return f"must be {context['expected']}", ""
    if kind == "string_too_short":
        return "must not be empty", ""
    if kind == "string_too_long":
        return f"must not be longer than {_count(context['max_length'], 'character')}", ""
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"must match {context['pattern']}"), ""
    bounds = {
        "greater_than_equal": "at least",
        "greater_than": "above",
        "less_than_equal": "at most",
        "less_than": "below",
    }
    if kind in bounds:
        return f"must be {bounds[kind]} {next(iter(context.values())):g}", ""
    return SENTENCES.get(kind, f"cannot be used: {message}"), TODOS.get(kind, "")


_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$": "must be letters, digits, - and _, a letter or digit first, 100 at most",
    r"^([a-z][a-z0-9_]*|attributes\..+)$": "must be a family or feature, in small letters with _, or attributes.<name>",
}


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _meaning(path: KeyPath) -> str:
    field = _fields(path[:-1]).get(str(path[-1])) if path else None
    return f"It is: {field.description[0].lower()}{field.description[1:]}" if field and field.description else ""


def _keys(path: KeyPath) -> Iterator[str]:
    yield from _fields(path)


def _fields(path: KeyPath) -> Mapping[str, FieldInfo]:
    part: type[Part] | None = Config
    for step in path:
        if part is None or step not in part.model_fields:
            return {}
        part = section_of(part.model_fields[str(step)])
    return part.model_fields if part else {}


def section_of(field: FieldInfo) -> type[Part] | None:
    """The section that a key opens; None when it holds a value."""
    annotation = field.annotation
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return next((one for one in options if isinstance(one, type) and issubclass(one, Part)), None)


def sections(part: type[Part] = Config, path: KeyPath = ()) -> Iterator[tuple[KeyPath, type[Part]]]:
    """Every section with where it is, the whole first."""
    yield path, part
    for name, field in part.model_fields.items():
        below = section_of(field)
        if below is not None:
            yield from sections(below, (*path, name))


@cache
def _places() -> Mapping[str, tuple[KeyPath, ...]]:
    """Every known key and where it belongs."""
    found: dict[str, tuple[KeyPath, ...]] = {}
    for path, part in sections():
        for name in part.model_fields:
            found[name] = (*found.get(name, ()), (*path, name))
    return found
