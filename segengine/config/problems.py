"""What is wrong with a configuration, in plain sentences: the key, its line, the value, and what to write."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from segengine.config.document import Document, KeyPath, key_path
from segengine.config.models import FEATURE_PATTERN, NAME_PATTERN, VARIABLE_PATTERN, Config
from segengine.config.part import TAGS, Part, Wrong
from segengine.errors import ConfigError

__all__ = ["Problem", "as_error", "problems_of", "section_of", "sections"]

NOT_YET = {
    "<<": "Mappings are not merged here: write the keys out.",
}
MOST = 50
"""Problems that are told at once: with more, the file is none of ours."""


@dataclass(frozen=True)
class Problem:
    """`what` goes on after the key's name. Neither it nor `todo` holds the value, which may be a secret."""

    path: KeyPath
    what: str
    todo: str = ""
    shows_value: bool = True


def as_error(problems: Sequence[Problem], document: Document) -> ConfigError:
    """One error for all problems, in the order of the file."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: document.line(problem.path) or 0)
    if len(ordered) == 1:
        problem = ordered[0]
        return ConfigError(
            document.redact(f"{key_path(problem.path) or 'The configuration'} {problem.what}."),
            where=document.where(problem.path),
            found=_found(problem, document),
            todo=document.redact(problem.todo),
        )
    count = f"more than {MOST}" if len(ordered) >= MOST else str(len(ordered))
    lines = [f"The configuration has {count} problems:"]
    for problem in ordered:
        line, found = document.line(problem.path), _found(problem, document)
        text = f"line {line}: " if line else ""
        text += f"{key_path(problem.path) or 'the configuration'} {problem.what}."
        text += f" Found: {found}." if found else ""
        text += f" {problem.todo}" if problem.todo else ""
        lines.append("  " + document.redact(text))
    return ConfigError("\n".join(lines), where=document.file)


def _found(problem: Problem, document: Document) -> str:
    return (document.shown(problem.path) or "") if problem.shows_value else ""


def problems_of(error: ValidationError, document: Document) -> Iterator[Problem]:
    """Every problem that pydantic collected, for a person."""
    for one in error.errors(include_url=False, include_input=False)[:MOST]:
        path = tuple(step for step in one["loc"] if step not in ("[key]", *TAGS))
        context: Mapping[str, Any] = one.get("ctx", {})
        if one["type"] == "segengine":
            wrongs: tuple[Wrong, ...] = context["wrongs"]
            yield from (_problem((*path, *wrong.at), wrong) for wrong in wrongs)
        elif one["type"] == "extra_forbidden":
            yield _unknown(path, tuple(_fields(path[:-1])))
        elif one["type"] == "unknown_key":
            yield _unknown(path, context["known"])
        elif one["type"] == "missing":
            yield Problem(path, "is missing", _meaning(path), shows_value=False)
        elif document.shown(path) == "nothing":
            yield Problem(path, "is empty", "Give it a value, or remove the line.", shows_value=False)
        else:
            what, todo = _sentence(one["type"], context, one["msg"])
            yield Problem(path, what, todo)


def _problem(path: KeyPath, wrong: Wrong) -> Problem:
    return Problem(
        path, wrong.what, wrong.todo, shows_value=path not in dict(sections())
    )  # a section is no value to show


def _unknown(path: KeyPath, known: tuple[str, ...]) -> Problem:
    key = str(path[-1])
    hints = [NOT_YET[key]] if key in NOT_YET else []
    near = [name for name in known if sorted(name) == sorted(key.lower())]  # letters that swapped places
    near = (
        near or get_close_matches(key, known, n=1, cutoff=0.6) or get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    )
    places = [place[:-1] for place in _places().get(key, ()) if place[:-1] != path[:-1]]
    if near and not hints:
        hints.append(f"Did you mean {near[0]}?")
    elif places:
        hints.append(f"It belongs under {key_path(places[0])}." if places[0] else "It belongs at the top.")
    hints.append(f"Known here: {', '.join(known)}.")
    return Problem(path, "is not a known key", " ".join(hints), shows_value=False)


NUMBER = "Write it in digits, with a decimal point where it has one: 0.03."
SECTION = "must be a section, lines of key: value"
SENTENCES: dict[str, tuple[str, str]] = {
    "int_parsing": ("must be a whole number", "Write it in digits: 1000."),
    "int_type": ("must be a whole number", "Write it in digits: 1000."),
    "int_from_float": ("must be a whole number", "Write it in digits: 1000."),
    "int_parsing_size": ("must be a whole number of usual size", ""),
    "float_parsing": ("must be a number", NUMBER),
    "float_type": ("must be a number", NUMBER),
    "finite_number": ("must be a finite number", NUMBER),
    "bool_parsing": ("must be true or false", ""),
    "bool_type": ("must be true or false", ""),
    "string_type": ("must be text", "Put text that looks like a list or a mapping in quotes."),
    "string_too_short": ("must not be empty", ""),
    "model_type": (SECTION, ""),
    "mapping_type": (SECTION, ""),
    "dict_type": (SECTION, ""),
    "tuple_type": ("must be a list, such as [first, second]", ""),
}
BOUNDS = {"greater_than_equal": "at least", "greater_than": "above", "less_than_equal": "at most", "less_than": "below"}
PATTERNS = {
    NAME_PATTERN: "must be letters, digits, - and _, at most 100, a letter or digit first",
    FEATURE_PATTERN: "must be a family or a feature (small letters, digits and _), or attributes.<name>",
    VARIABLE_PATTERN: "must be the name of an environment variable: letters, digits and _, no digit first",
}


def _sentence(kind: str, context: Mapping[str, Any], message: str) -> tuple[str, str]:
    """What is wrong and what to do; `message` is pydantic's own, and holds no value."""
    if kind == "literal_error":
        return f"must be {context['expected']}", ""
    if kind == "string_too_long":
        return f"must not be longer than {context['max_length']} character(s)", ""
    if kind == "string_pattern_mismatch":
        return PATTERNS[context["pattern"]], ""
    if kind in BOUNDS:
        return f"must be {BOUNDS[kind]} {next(iter(context.values())):.10g}", ""
    return SENTENCES.get(kind, (f"cannot be used: {message}", ""))


def _meaning(path: KeyPath) -> str:
    description = _fields(path[:-1])[str(path[-1])].description or ""
    return f"It is required: {description[:1].lower()}{description[1:]}"


def _fields(path: KeyPath) -> Mapping[str, FieldInfo]:
    """The fields of the section at a path; empty where there is none."""
    part = dict(sections()).get(path)
    return part.model_fields if part else {}


def section_of(field: FieldInfo) -> type[Part] | None:
    """The section that a key opens; None when it holds a value."""
    options: tuple[Any, ...] = typing.get_args(field.annotation) or (field.annotation,)
    return next((one for one in options if isinstance(one, type) and issubclass(one, Part)), None)


def sections(part: type[Part] = Config, path: KeyPath = ()) -> Iterator[tuple[KeyPath, type[Part]]]:
    """Every section and where it is, the whole first."""
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
