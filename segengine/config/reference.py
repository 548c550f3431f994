"""The configuration described: for editors as a JSON schema, for people as docs/config.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from segengine.config import expressions
from segengine.config.document import KeyPath, key_path
from segengine.config.models import Config
from segengine.config.part import Part
from segengine.config.problems import section_of, sections
from segengine.config.sources import CUSTOMER_ROLES, LINE_ROLES

__all__ = ["as_markdown", "json_schema", "schema_text"]

Schema = dict[str, Any]


def json_schema() -> Schema:
    """The JSON schema (draft 2020-12) of a configuration. It knows keys, types and limits, but no SQL and no paths."""
    schema = Config.model_json_schema()
    schema.pop("description", None)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of segengine",
        "description": "Everything a run is told. Relative paths start at the folder of the file.",
    }
    return {**head, **{key: _plain(value) for key, value in schema.items() if key != "title"}}


def _plain(value: Any, names: bool = False) -> Any:
    """Without titles that repeat names, and without defaults that repeat those of the section they open.

    `names`: the keys are names of properties.
    """
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    noise = () if names else ("title", "default") if "$ref" in value else ("title",)
    return {
        key: _plain(one, names=not names and key in ("properties", "$defs"))
        for key, one in value.items()
        if key not in noise
    }


def schema_text() -> str:
    """The schema as `segengine/config.schema.json` holds it."""
    return json.dumps(json_schema(), indent=2) + "\n"


HEAD = """# Configuration

One YAML file says what is read, what counts, and where results go. This page is made from the code by
`python -m segengine.config`; a test keeps it current. Examples to start from:
[grocery.yaml](../conf/grocery.yaml), [online_retail.yaml](../conf/online_retail.yaml) and
[customers_only.yaml](../conf/customers_only.yaml). `segengine check` tells all that is wrong with a file, line by line;
`segengine schema` prints the JSON schema for editors.

## How it is written

- Keys that are not on this page are refused, and so are keys that are there twice, anchors, aliases and tags.
- A value means what its key asks for, whatever YAML would take it for: `007` is an id, and `no` is text where text is
  wanted and false where true or false is. Dates need no quotes.
- Relative paths start at the folder of the file. `~` is not expanded.
- `${env:NAME}` inside a value stands for an environment variable: the way secrets come in. Messages, dumps and the
  fingerprint have the reference instead; a variable that is not set is an error. `$${` stands for `${` itself.
- Spans are `90 days`, `8 weeks`, `24 months` or `2 years`, counted on the calendar of `timezone`.
- Results may not lie inside of what is read.

## Columns and SQL

Under `columns`, `attributes` and `protected` a value is the exact name of a column, blanks and dots included, or else
a Spark SQL expression over the columns of a row (`Quantity * UnitPrice`); the name wins. `returns`, `rules` and
`opted_out` are SQL conditions over one row, `features.custom` are aggregates over the lines of one customer. An
expression sees its row and nothing else, and gives the same on every run: so these are refused, in whatever spelling.

"""

TAIL = """
Queries in brackets (`select`), comments, semicolons and `date 'now'` are refused too. Where the exact name of a column
looks like one of these, put it in backticks.
"""


def as_markdown() -> str:
    """The reference of all keys, as docs/config.md holds it."""
    lines = [HEAD.rstrip(), "", "| function | why |", "|---|---|"]
    prefixes = " ".join(f"{prefix}..." for prefix in expressions.PREFIXES)
    for why, names in {**expressions.CALLS, **expressions.AGGREGATES}.items():
        own = f"{names} {prefixes}" if "reflect" in names.split() else names
        where = "in features.custom: " if why in expressions.AGGREGATES else ""
        lines.append(f"| {', '.join(f'`{name}`' for name in own.split())} | {where}{why} |")
    lines += [TAIL.rstrip(), "", "## Keys", ""]
    schema = json_schema()
    for path, part in sections():
        lines += _section_markdown(path, part, schema)
    return "\n".join(lines).rstrip() + "\n"


def _section_markdown(path: KeyPath, part: type[Part], schema: Schema) -> Iterator[str]:
    properties = (schema if part is Config else schema["$defs"][part.__name__])["properties"]
    required = (schema if part is Config else schema["$defs"][part.__name__]).get("required", ())
    if path:
        yield from (f"### {key_path(path)}", "")
    yield from ((part.__doc__ or "").split("\n")[0], "", "| key | type | default | what it is |", "|---|---|---|---|")
    for name, field in part.model_fields.items():
        below = section_of(field)
        kind = (
            f"section [{name}](#{key_path((*path, name)).replace('.', '')})"
            if below
            else type_text(name, properties[name])
        )
        default = "required" if name in required else "" if below else _default_text(field.get_default())
        yield f"| `{name}` | {_cell(kind)} | {_cell(default)} | {_cell(field.description or '')} |"
    yield ""
    roles = {"TransactionsTable": LINE_ROLES, "CustomersTable": CUSTOMER_ROLES}.get(part.__name__)
    if roles:
        yield from (f"`{key_path((*path, 'columns'))}`:", "", "| key | what it is |", "|---|---|")
        yield from (f"| `{role}` | {_cell(text)} |" for role, text in roles.items())
        yield ""


WORDS = {
    "as_of": "date, date with a time, or `latest`",
    "attributes": "list of names or of `name: column or SQL`",
    "cap": "[number, number]",
    "columns": "`ours: theirs`, see below",
    "every": "span",
    "history": "span, or `all`",
    "k": "whole number, or [least, most]",
    "timezone": "name of the IANA list",
    "weights": "`name: number, from 0`, or `auto`",
}
"""Types that say more than their schema."""


def type_text(name: str, schema: Mapping[str, Any]) -> str:
    """The type of a key in words."""
    name = "attributes" if name in ("protected", "contact") else name
    if name in WORDS:
        return WORDS[name]
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    return ", ".join(_option(one) for one in options)


def _option(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema["type"]
    if kind == "array":
        return "list of texts"
    if kind == "object":
        return f"`name: {_option(schema['additionalProperties'])}`"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}
    return words[kind] + _limits(schema)


def _limits(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f", {low:g} to {high:,}"
    texts = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return "".join(f", {text} {schema[key]:g}" for key, text in texts.items() if key in schema)


def _default_text(value: object) -> str:
    if value in (None, (), {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        return "`{" + ", ".join(f"{key}: {one}" for key, one in value.items()) + "}`"
    return f"`[{', '.join(map(str, value))}]`" if isinstance(value, tuple) else f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
