"""How single values of a configuration are read: spans, moments, zones, numbers of segments, lists of attributes."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from segengine.config.expressions import why_refused_foreign_query, why_refused_query
from segengine.config.part import Text, Wrong, refuse, refuse_value
from segengine.config.times import Moment, parse_moment, parse_span

__all__ = [
    "ATTRIBUTES_SCHEMA",
    "CapValue",
    "Currency",
    "DatabaseQuery",
    "DatabaseTable",
    "JdbcUrl",
    "KValue",
    "MomentValue",
    "Query",
    "Span",
    "SpanOrAll",
    "SparkOption",
    "TableName",
    "TrackingUri",
    "Zone",
    "as_attributes",
    "snake_case",
]

IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,59}")
TABLE_NAME = re.compile(r"(`[^`]+`|\w+)(\.(`[^`]+`|\w+)){0,3}")
DATABASE_PART = r'(?:"[^"\0]+"|`[^`\0]+`|\[[^\]\0]+\]|[\w$#]+)'
DATABASE_TABLE = re.compile(rf"{DATABASE_PART}(?:\.{DATABASE_PART}){{0,3}}")
URL_LOGIN = re.compile(r"(?i)[^/:@]+[/:][^/:@]+@|[?&;](user(name)?|password|passwd|pwd|\w*secret\w*|\w*token\w*)=")
SECRET_NAME = (
    r"(?i)secret|passw(or)?d|pwd|token|access[._-]?key|account[._-]?key|api[._-]?key|shared[._-]?access"
    r"|connection[._-]?string|credential|[.]sas([.]|$)|sig="
)
"""Names of settings that hold secrets. Spark's own pattern lets Azure account keys and SAS signatures through."""
SPARK_PREFIXES = ("spark.hadoop.", "spark.sql.catalog.")
SPARK_OPTIONS = (
    "spark.jars",
    "spark.jars.excludes",
    "spark.jars.ivySettings",
    "spark.jars.packages",
    "spark.jars.repositories",
)
WHOLE = re.compile(r"[+-]?[0-9]{1,9}")
K_LEAST, K_MOST = 2, 50
K_TEXT = "must be a whole number or two of them, such as 5 or [3, 10]"


def _span(text: str) -> str:
    try:
        return parse_span(text)[0]
    except ValueError as error:
        refuse_value(str(error))


def _span_or_all(text: str) -> str:
    if text.strip().lower() == "all":
        return "all"
    try:
        return parse_span(text)[0]
    except ValueError as error:
        refuse_value(f"{error}; or all")


def _moment(value: object) -> Moment:
    try:
        return parse_moment(value)
    except ValueError as error:
        refuse_value(str(error))


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (OSError, ValueError, KeyError):  # no such zone, a folder of them, or no name at all
        near = get_close_matches(name, sorted(available_timezones()), n=1, cutoff=0.7)
        refuse_value(
            "is not a time zone of the IANA list",
            f"Did you mean {near[0]}?" if near else "Write a name such as Europe/Paris, America/New_York or UTC.",
        )


def _currency(text: str) -> str:
    if re.fullmatch(r"[A-Z]{3}", text) is None:
        refuse_value("must be a currency's three capital letters (ISO 4217), such as EUR")
    return text


def _table_name(text: str) -> str:
    if TABLE_NAME.fullmatch(text) is None:
        refuse_value("must be a table's name, such as catalog.schema.name", "Put other characters in backticks.")
    return text


def _query_that(why_refused: Callable[[str], str | None]) -> Callable[[str], str]:
    def check(text: str) -> str:
        reason = why_refused(text)
        if reason is not None:
            refuse_value(f"cannot be used as a query: {reason}")
        return text

    return check


def _database_table(text: str) -> str:
    if DATABASE_TABLE.fullmatch(text) is None:
        refuse_value("must be a table's name, such as sales.lines", "Put other characters in the database's quotes.")
    return text


def _jdbc_url(text: str) -> str:
    if re.match(r"jdbc:[A-Za-z][\w+-]*:\S+$", text) is None:
        refuse_value("must be a JDBC address, such as jdbc:postgresql://host:5432/name")
    if URL_LOGIN.search(text):
        refuse_value("must not hold a user, a password or a token", "Write user: and password: as ${env:NAME}.")
    return text


def _spark_option(name: str) -> str:
    if not name.startswith(SPARK_PREFIXES) and name not in SPARK_OPTIONS:
        near = get_close_matches(name, SPARK_OPTIONS, n=1, cutoff=0.8)
        known = f"Here are {', '.join(f'{one}*' for one in SPARK_PREFIXES)} and {', '.join(SPARK_OPTIONS)}."
        hint = f"Did you mean {near[0]}? " if near else ""
        refuse_value("is not a setting that belongs here", f"{hint}{known} Others go to spark-submit --conf.")
    return name


def snake_case(name: str) -> str:
    """A validator for names that become columns or rules."""
    if IDENTIFIER.fullmatch(name) is None:
        refuse_value("is a name that cannot be used", "Use small letters, digits and _, a letter first, 60 at most.")
    return name


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and WHOLE.fullmatch(value.strip()):
        return int(value)
    refuse_value(K_TEXT)


def _k(value: object) -> int | tuple[int, int]:
    pair = isinstance(value, (list, tuple))
    numbers = [_whole(one) for one in value] if isinstance(value, (list, tuple)) else [_whole(value)]
    if pair and len(numbers) != 2:
        refuse_value(K_TEXT)
    low, high = numbers[0], numbers[-1]
    if not K_LEAST <= low <= high <= K_MOST:
        refuse_value(f"must be from {K_LEAST} to {K_MOST}, the smaller first")
    return (low, high) if pair else low


def _cap(value: object) -> object:
    if value is not None and (not isinstance(value, (list, tuple)) or len(value) != 2):
        refuse_value("must be two quantiles, such as [0.01, 0.99], or null for none")
    return value


def _ordered(value: tuple[float, float] | None) -> tuple[float, float] | None:
    if value is not None and not 0 <= value[0] < value[1] <= 1:
        refuse_value("must be two quantiles from 0 to 1, the smaller first")
    return value


def as_attributes(value: Any) -> Any:
    """`[country, {plan: tariff_code}]` -> `{country: country, plan: tariff_code}`; a mapping stays as it is."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, (list, tuple)):
        refuse_value("must be a list of names, such as [country, plan]")
    found: dict[str, Any] = {}
    wrongs = []
    for position, item in enumerate(value):
        pairs = {item: item} if isinstance(item, str) else item
        if not isinstance(pairs, Mapping) or len(pairs) != 1:
            wrongs.append(Wrong((position,), "must be a name, or one `name: column or SQL expression`"))
            continue
        name, theirs = next(iter(pairs.items()))
        if name in found:
            wrongs.append(Wrong((position,), "is there twice"))
        found[name] = theirs
    refuse(wrongs)
    return found


TRACKING_SCHEMES = (
    "sqlite", "http", "https", "azureml", "databricks", "postgresql", "mysql", "mssql",
)  # fmt: skip


def _tracking_uri(uri: str) -> str:
    """Where an MLflow server or its database is; folders are refused, as MLflow itself refuses them by now."""
    scheme = uri.split(":", 1)[0].split("+", 1)[0].lower()
    if uri != "databricks" and (scheme not in TRACKING_SCHEMES or ":" not in uri):
        refuse_value(
            "names no MLflow server",
            "Write sqlite:///out/mlflow.db for a file, or http://..., azureml://..., databricks or a database.",
        )
    if scheme == "sqlite" and not uri.startswith("sqlite:///"):
        refuse_value("is no sqlite file", "Write sqlite:///out/mlflow.db, or four slashes before an absolute path.")
    return uri


_K = {"type": "integer", "minimum": K_LEAST, "maximum": K_MOST}
K_SCHEMA = {"anyOf": [_K, {"type": "array", "prefixItems": [_K, _K], "items": False, "minItems": 2}]}
_NAMED = {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}
_NAME_OR_NAMED = [{"type": "string", "minLength": 1}, {**_NAMED, "minProperties": 1, "maxProperties": 1}]
ATTRIBUTES_SCHEMA = {"anyOf": [{"type": "array", "items": {"anyOf": _NAME_OR_NAMED}}, _NAMED]}

Span = Annotated[Text, AfterValidator(_span)]
SpanOrAll = Annotated[Text, AfterValidator(_span_or_all)]
Zone = Annotated[Text, AfterValidator(_zone)]
Currency = Annotated[str, AfterValidator(_currency)]
DatabaseQuery = Annotated[Text, AfterValidator(_query_that(why_refused_foreign_query))]
DatabaseTable = Annotated[Text, AfterValidator(_database_table)]
JdbcUrl = Annotated[Text, AfterValidator(_jdbc_url)]
Query = Annotated[Text, AfterValidator(_query_that(why_refused_query))]
SparkOption = Annotated[str, AfterValidator(_spark_option)]
TrackingUri = Annotated[Text, AfterValidator(_tracking_uri)]
TableName = Annotated[Text, AfterValidator(_table_name)]
MomentValue = Annotated[dt.datetime | dt.date | Literal["latest"], BeforeValidator(_moment)]
KValue = Annotated[tuple[int, int] | int, BeforeValidator(_k), WithJsonSchema(K_SCHEMA)]
CapValue = Annotated[tuple[float, float] | None, BeforeValidator(_cap), AfterValidator(_ordered)]
