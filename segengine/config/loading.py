"""From a file or a text to a `Config`, or to one ConfigError that says all that is wrong with it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from segengine.config.document import MAX_BYTES, Document, KeyPath, read
from segengine.config.models import Config
from segengine.config.part import Part
from segengine.config.paths import LOCAL_TRACKING, resolve, resolve_tracking
from segengine.config.problems import Problem, as_error, problems_of
from segengine.config.times import parse_moment
from segengine.config.values import SECRET_NAME
from segengine.errors import ConfigError

__all__ = ["load", "parse", "with_as_of", "with_places"]

PATHS: tuple[tuple[str, ...], ...] = (
    ("tables", "transactions", "path"),
    ("tables", "customers", "path"),
    ("output", "path"),
    ("names", "vocabulary"),
    ("names", "playbook"),
    ("report", "brand", "logo"),
    ("audit", "anchor"),
)


TRACKING = ("tracking", "uri")
REFERENCES = re.compile(r"(\$\{env:\w+\})+")


def load(path: str | Path, *, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration in a file; its relative paths start at the file's folder.

    Raises ConfigError for files that cannot be read, and whatever `parse` refuses.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError("There is no such configuration.", where=str(path), todo="Check the path.") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        raise ConfigError("The configuration cannot be read.", where=repr(str(path))[1:-1], found=reason) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) <= MAX_BYTES:
            line = data.count(b"\n", 0, error.start) + 1
            raise ConfigError(
                "The configuration is not UTF-8.",
                where=f"{path}, line {line}, byte {error.start}",
                found=f"0x{data[error.start]:02X}",
                todo="Save it as UTF-8.",
            ) from error
        text = data.decode("utf-8", "replace")  # cut in the middle of a character; refused for its size
    return parse(text, file=str(path), folder=file.absolute().parent, environ=environ)


def parse(text: str, *, file: str = "config", folder: Path, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration in a text; relative paths start at `folder`, and `file` is its name in messages.

    Raises ConfigError, and nothing else, for a text that is no configuration.
    """
    document = read(text, file=file, environ=environ)
    written, problems = _resolve_paths(document, folder)
    problems += _written_secrets(document)
    try:
        config = Config.model_validate(document.values)
    except ValidationError as error:
        raise as_error(
            [*problems, *problems_of(error, document)], document
        ) from None  # pydantic's own text says it worse
    if problems:
        raise as_error(problems, document)
    config._written_paths.update(written)
    config._secrets.update(document.secrets)
    for path, template in document.templates.items():
        _mark_secret(config, path, template)
    return config


def with_as_of(config: Config, as_of: str | dt.date) -> Config:
    """The same configuration as of another moment. ConfigError when the text is none."""
    try:
        moment = parse_moment(as_of)
    except ValueError as error:
        raise ConfigError(f"as_of {error}.", where="as_of", found=repr(as_of)) from error
    changed = config.model_copy(update={"as_of": moment})
    changed._templates = {path: text for path, text in config._templates.items() if path != ("as_of",)}
    return changed


def with_places(
    config: Config, *, transactions: str | None = None, customers: str | None = None, output: str | None = None
) -> Config:
    """The same configuration reading and writing elsewhere; its fingerprint stays.

    With another output the audit trail has no anchor: it is of the real one. Raises ConfigError for a table that the
    configuration does not read from files.
    """
    tables = {}
    for name, path in (("transactions", transactions), ("customers", customers)):
        table = getattr(config.tables, name)
        if path is None:
            continue
        if table is None or table.path is None:
            raise ConfigError(
                f"The configuration reads no files for {name}.",
                where=f"tables.{name}.path",
                found=f"asked to read {path}",
                todo="Leave that input out, or give the table a path.",
            )
        tables[name] = table.model_copy(update={"path": path})
    changed: dict[str, object] = {"tables": config.tables.model_copy(update=tables)}
    if output is not None:
        changed["output"] = config.output.model_copy(update={"path": output})
        changed["audit"] = config.audit.model_copy(update={"anchor": None})
    moved = config.model_copy(update=changed)
    moved._fingerprint = config.fingerprint()
    return moved


def _resolve_paths(document: Document, folder: Path) -> tuple[dict[tuple[str, ...], str], list[Problem]]:
    """Make relative paths absolute, in place; the paths as written, and what is wrong with them."""
    written, problems = {}, []
    for path in PATHS:
        section = _section(document, path[:-1])
        value = section.get(path[-1]) if section is not None else None
        if section is None or not isinstance(value, str) or not value:
            continue
        if path == ("audit", "anchor") and value.startswith("mlflow:"):
            continue
        written[path] = document.templates.get(path, value)
        try:
            section[path[-1]] = resolve(value, folder)
        except ValueError as error:
            problems.append(Problem(path, str(error)))
    tracking = _section(document, TRACKING[:-1])
    if tracking is not None and isinstance(uri := tracking.setdefault(TRACKING[-1], LOCAL_TRACKING), str):
        written[TRACKING] = document.templates.get(TRACKING, uri)
        tracking[TRACKING[-1]] = resolve_tracking(uri, folder)
    return written, problems


def _written_secrets(document: Document) -> list[Problem]:
    """Logins and keys that the file itself holds, where only a reference to the environment may stand."""
    jdbc = [("tables", table, "jdbc", key) for table in ("transactions", "customers") for key in ("user", "password")]
    spark = [("spark", key) for key in _section(document, ("spark",)) or {} if re.search(SECRET_NAME, key)]
    found = []
    for path in (*jdbc, *spark):
        value = (_section(document, path[:-1]) or {}).get(path[-1])
        if value is not None and REFERENCES.fullmatch(document.templates.get(path, "")) is None:
            todo = f"Write {path[-1]}: ${{env:NAME}}, and set that variable where segengine runs."
            found.append(Problem(path, "must come from the environment", todo, shows_value=False))
    if _holds_a_password(document):
        todo = "Write ${env:NAME} for the password, and set that variable where segengine runs."
        found.append(Problem(TRACKING, "holds a password, which must come from the environment", todo, False))
    return found


def _holds_a_password(document: Document) -> bool:
    """Whether the URI of the tracking server holds a password that is written out."""
    uri = (_section(document, TRACKING[:-1]) or {}).get(TRACKING[-1])
    written = str(document.templates.get(TRACKING, uri or ""))
    login, at, _ = written.partition("://")[2].rpartition("@")
    password = login.partition(":")[2]
    return bool(at and password) and REFERENCES.fullmatch(password) is None


def _section(document: Document, path: tuple[str, ...]) -> dict[str, object] | None:
    section: object = document.values
    for key in path:
        section = section.get(key) if isinstance(section, dict) else None
    return section if isinstance(section, dict) else None


def _mark_secret(part: Part, path: KeyPath, template: str) -> None:
    """Let the section that holds this value know that it came from the environment."""
    value = getattr(part, str(path[0]))
    if isinstance(value, Part):
        _mark_secret(value, path[1:], template)
    else:
        part._templates[path] = template
