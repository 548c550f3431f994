"""The sections of a configuration: every key with its type, default and limits, and what it means."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, StringConstraints, model_validator

from segengine.config import rules
from segengine.config.document import redact
from segengine.config.frozen import FrozenDict
from segengine.config.part import Expression, ExpressionOrName, Frozen, Part, Text, Wrong, known_key, refuse
from segengine.config.times import History, instant, parse_span
from segengine.config.values import (
    CapValue,
    Currency,
    KValue,
    MomentValue,
    Span,
    SpanOrAll,
    TableName,
    Zone,
    as_attributes,
    snake_case,
)
from segengine.tables import minor_unit

__all__ = [
    "CUSTOMER_ROLES",
    "FEATURE_PATTERN",
    "LINE_ROLES",
    "NAME_PATTERN",
    "Config",
    "CsvOptions",
    "CustomersTable",
    "Features",
    "Lanes",
    "Output",
    "Prepare",
    "Quality",
    "Retrain",
    "Segments",
    "TableSource",
    "Tables",
    "TransactionsTable",
]

LINE_ROLES = {
    "customer_id": "who bought; required",
    "ordered_at": "when; required",
    "amount": "what the line is worth, in `currency`; required",
    "order_id": "which order the line belongs to; without it the lines of a customer's day are an order",
    "quantity": "how many pieces",
    "product": "what was bought",
    "category": "what kind of thing it is",
}
CUSTOMER_ROLES = {"customer_id": "whose row it is; required"}


def _needs(*roles: str) -> AfterValidator:
    def check(columns: Mapping[str, str]) -> Mapping[str, str]:
        refuse(
            Wrong((role,), "is missing", "Map it to a column, or to an expression such as Quantity * UnitPrice.")
            for role in roles
            if role not in columns
        )
        return columns

    return AfterValidator(check)


def _mapping_schema(roles: Mapping[str, str], required: tuple[str, ...]) -> dict[str, Any]:
    properties = {role: {"type": "string", "minLength": 1, "description": text} for role, text in roles.items()}
    return {"properties": properties, "required": list(required), "additionalProperties": False}


LineColumns = Annotated[
    Mapping[Annotated[str, AfterValidator(known_key(LINE_ROLES))], ExpressionOrName],
    _needs("customer_id", "ordered_at", "amount"),
    Frozen,
]
CustomerColumns = Annotated[
    Mapping[Annotated[str, AfterValidator(known_key(CUSTOMER_ROLES))], ExpressionOrName],
    _needs("customer_id"),
    Frozen,
]
Attributes = Annotated[Mapping[Text, ExpressionOrName], BeforeValidator(as_attributes), Frozen]
Rules = Annotated[Mapping[Annotated[str, AfterValidator(snake_case)], Expression], Frozen]
CustomSql = Annotated[Mapping[Annotated[str, AfterValidator(snake_case)], Text], Frozen]
Weights = Annotated[
    Mapping[
        Annotated[str, AfterValidator(known_key((*rules.FAMILIES, "custom", "others")))], Annotated[float, Field(ge=0)]
    ],
    Frozen,
]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
FEATURE_PATTERN = r"^([a-z][a-z0-9_]*|attributes\..+)$"
FeatureName = Annotated[str, StringConstraints(pattern=FEATURE_PATTERN)]


class CsvOptions(Part):
    """How CSV files are written; every field is read as text first and cast with a rule of its own."""

    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=10)] = Field(
        ",", description="What stands between fields; \\t is a tab."
    )
    quote: Annotated[str, StringConstraints(max_length=1)] = Field(
        '"', description="What stands around fields that hold a delimiter; empty when nothing does."
    )
    encoding: Text = Field("utf-8", description="utf-8, utf-16, or a single-byte encoding such as cp1252.")
    decimal: Literal[".", ","] = Field(".", description="The decimal separator of numbers.")
    timestamp_format: Text | None = Field(
        None, description="Spark's pattern of times, such as dd/MM/yyyy HH:mm; ISO 8601 when absent."
    )


class TableSource(Part):
    """Where a table is: files (`path`) or a catalog table (`table`)."""

    path: Text | None = Field(None, description="A file, a folder, a glob, or a URI of a store Spark can read.")
    table: TableName | None = Field(None, description="A table of Spark's catalog, instead of path.")
    format: Literal["parquet", "delta", "csv", "json"] = Field("parquet", description="What the files are.")
    csv: CsvOptions = Field(CsvOptions(), description="How CSV files are written.")
    timezone: Zone | None = Field(
        None, description="Where the wall clock hangs that times without a zone were read from; timezone when absent."
    )
    version: int | None = Field(None, ge=0, description="The Delta version to read; the newest when absent.")

    @model_validator(mode="after")
    def _check_source(self) -> TableSource:
        refuse(rules.of_source(self))
        return self


class TransactionsTable(TableSource):
    """Order lines: one row is a line of an order."""

    columns: LineColumns = Field(
        description="Our columns to theirs: an exact column name, or else a SQL expression over the columns of a row.",
        json_schema_extra=_mapping_schema(LINE_ROLES, ("customer_id", "ordered_at", "amount")),
    )
    returns: Expression | None = Field(
        None, description="A SQL condition: which rows are returns. quality.returns says what becomes of them."
    )
    duplicates: Literal["keep", "drop"] = Field(
        "keep",
        description="What becomes of rows that equal another one in every column; their number is told either way.",
    )
    rules: Rules = Field(
        FrozenDict(),
        description="SQL conditions by name, beside the built-in rules; rows for which one is not true go to quarantine.",
    )
    ignore_customers: tuple[Text, ...] = Field((), description="Ids of house and guest accounts to leave out.")


class CustomersTable(TableSource):
    """Customers: one row is a customer."""

    columns: CustomerColumns = Field(
        description="Our columns to theirs: customer_id, an exact column name or else a SQL expression.",
        json_schema_extra=_mapping_schema(CUSTOMER_ROLES, ("customer_id",)),
    )
    attributes: Attributes = Field(
        FrozenDict(),
        description="Names of columns, or name: column or SQL expression. They are described per segment, and are "
        "features where features.include says so.",
    )
    protected: Attributes = Field(
        FrozenDict(), description="Like attributes, but never features: only their mix per segment is reported."
    )
    opted_out: Expression | None = Field(
        None, description="A SQL condition: who does not want to be profiled, and so is put in no segment."
    )
    rules: Rules = Field(
        FrozenDict(), description="SQL conditions by name; rows for which one is not true go to quarantine."
    )
    ignore_customers: tuple[Text, ...] = Field((), description="Ids of house and guest accounts to leave out.")

    @model_validator(mode="after")
    def _check_attributes(self) -> CustomersTable:
        refuse(rules.of_customers(self))
        return self


class Tables(Part):
    """The tables that are read."""

    transactions: TransactionsTable | None = Field(None, description="Order lines; required unless kind is customers.")
    customers: CustomersTable | None = Field(None, description="One row per customer; optional beside transactions.")


class Quality(Part):
    """How much may be wrong with the rows."""

    max_rejected_share: float = Field(
        0.30, ge=0, le=1, description="The run stops (exit code 4) when a larger share of the rows goes to quarantine."
    )
    returns: Literal["net", "drop"] = Field(
        "net", description="net: returns reduce what a customer spent; drop: they are ignored."
    )
    unknown_customers: Literal["keep", "reject"] = Field(
        "keep", description="What becomes of lines whose customer is not in the customers table."
    )


class Features(Part):
    """What customers are compared by."""

    include: tuple[FeatureName, ...] = Field(
        rules.DEFAULT_FAMILIES,
        description=f"Families ({', '.join(rules.FAMILIES)}), single features, or attributes.<name>. "
        "With kind: customers the default is [attributes].",
    )
    exclude: tuple[FeatureName, ...] = Field((), description="Single features to leave out of the families.")
    custom: CustomSql = Field(
        FrozenDict(), description="Features of your own by name: SQL aggregates over the lines of one customer."
    )
    top_categories: int = Field(5, ge=0, le=50, description="How many categories category_mix makes a share of.")

    @model_validator(mode="after")
    def _check_features(self) -> Features:
        refuse(rules.of_features(self))
        return self


class Prepare(Part):
    """How features become comparable numbers."""

    cap: CapValue = Field(
        (0.01, 0.99), description="Quantiles that values are capped at; null for none. Fitted when a model is trained."
    )
    log: Literal["auto", "always", "never"] = Field(
        "auto", description="Logarithms where skewed, everywhere, or nowhere."
    )
    scale: Literal["standard", "none"] = Field("standard", description="standard: mean 0, standard deviation 1.")
    weights: Weights = Field(
        FrozenDict(rfm=1.0, others=0.5),
        description="What a family weighs, whatever the number of its features; the families not named share others.",
    )


class Lanes(Part):
    """When a customer is too new to be put in a segment; nobody is by default."""

    too_new_days: int | None = Field(None, ge=0, description="First order fewer days ago than this.")
    too_new_orders: int | None = Field(None, ge=1, description="Fewer orders than this.")


class Segments(Part):
    """How many segments, and how large."""

    k: KValue = Field((3, 10), description="How many segments: a number, or the least and the most to try. 2 to 50.")
    min_share: float = Field(0.03, ge=0, lt=1, description="No segment holds a smaller share of the customers.")
    max_share: float = Field(0.80, gt=0, le=1, description="No segment holds a larger share of the customers.")
    restarts: int = Field(10, ge=1, le=1000, description="Starts per number of segments; the best one counts.")
    seed: int = Field(7, ge=0, le=2**31 - 1, description="Start of random numbers: same seed, same segments.")

    @model_validator(mode="after")
    def _check_shares(self) -> Segments:
        refuse(rules.of_segments(self))
        return self


class Retrain(Part):
    """When `segengine run` trains a new model before it scores."""

    every: Span | None = Field(
        None, description="When the champion is this old, counted from its as_of; null: only when it is asked for."
    )
    on_alarm: bool = Field(False, description="When monitoring raises an alarm; nothing does as yet.")


class Output(Part):
    """Where results go."""

    path: Text = Field(description="A folder of its own: runs write and clean it. Not inside of what is read.")
    format: Literal["parquet", "delta"] = Field("parquet", description="What published tables are written as.")
    keep_publications: int = Field(5, ge=1, le=1000, description="Publications that are kept, with the current one.")


class Config(Part):
    """Everything a run is told. Relative paths start at the folder of the file."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)] = Field(
        description="A name for the segmentation: letters, digits, - and _."
    )
    kind: Literal["transactions", "customers"] = Field(
        "transactions",
        description="customers: there are no order lines, and the customers table holds the features.",
    )
    as_of: MomentValue = Field(
        "latest",
        description="Features look at what came before this moment. A date is its midnight in timezone, a time without an "
        "offset is wall clock there; latest is the midnight after the newest good row.",
    )
    history: SpanOrAll = Field(
        "24 months", description="How far back features look: so many days, weeks, months or years, or all."
    )
    timezone: Zone = Field("UTC", description="Where days are counted, and what times without a zone are told in.")
    currency: Currency = Field("USD", description="The currency of amounts (ISO 4217).")
    tables: Tables = Field(description="The tables that are read.")
    quality: Quality = Field(Quality(), description="How much may be wrong with the rows.")
    features: Features = Field(Features(), description="What customers are compared by.")
    prepare: Prepare = Field(Prepare(), description="How features become comparable numbers.")
    lanes: Lanes = Field(Lanes(), description="When a customer is too new to be put in a segment.")
    segments: Segments = Field(Segments(), description="How many segments, and how large.")
    retrain: Retrain = Field(Retrain(), description="When `segengine run` trains a new model before it scores.")
    output: Output = Field(description="Where results go.")

    _written_paths: dict[tuple[str, ...], str] = PrivateAttr(default_factory=dict)
    """Paths as the file has them: a configuration that moves with its folder keeps its fingerprint."""
    _secrets: dict[str, str] = PrivateAttr(default_factory=dict)
    """Values of environment variables that were used -> their references."""

    @model_validator(mode="before")
    @classmethod
    def _default_features(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("kind") != "customers":
            return values
        features = values.get("features", {})
        if isinstance(features, dict) and "include" not in features:
            return {**values, "features": {**features, "include": ["attributes"]}}
        return values

    @model_validator(mode="after")
    def _check_config(self) -> Config:
        refuse(rules.of_config(self))
        return self

    @property
    def k_values(self) -> range:
        """Every number of segments to try."""
        low, high = self.segments.k if isinstance(self.segments.k, tuple) else (self.segments.k, self.segments.k)
        return range(low, high + 1)

    @property
    def history_window(self) -> History:
        """How far back features look, on the calendar of `timezone`."""
        return self._span(None if self.history == "all" else self.history)

    @property
    def as_of_moment(self) -> dt.datetime | None:
        """`as_of` as an aware datetime in UTC; None for latest."""
        return None if isinstance(self.as_of, str) else instant(self.as_of, self.timezone)

    @property
    def minor_unit(self) -> int:
        """Digits after the decimal point at which money is published."""
        return minor_unit(self.currency)

    def retrain_due(self, trained_as_of: dt.datetime) -> dt.datetime | None:
        """When a model as of that moment (aware) is to be replaced; None when age is no reason."""
        return self._span(self.retrain.every).end(trained_as_of)

    def fingerprint(self) -> str:
        """SHA-256 of what the configuration says, in hexadecimal: layout and comments of the file do not matter.

        Paths count as written, and `${env:NAME}` as such, not what it stands for.
        """
        plain = self.model_dump(mode="json")
        for path, written in self._written_paths.items():
            section = plain
            for key in path[:-1]:
                section = section[key]
            section[path[-1]] = written
        text = json.dumps(plain, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def redact(self, text: str) -> str:
        """`text` with the values of `${env:NAME}` (those of four characters and more) replaced by that reference."""
        return redact(text, self._secrets)

    def _span(self, text: str | None) -> History:
        if text is None:
            return History(timezone=self.timezone)
        _, months, days = parse_span(text)
        return History(months, days, self.timezone)
