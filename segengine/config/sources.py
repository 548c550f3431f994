"""The tables section of a configuration: where tables are, and which of their columns mean what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from segengine.config import rules
from segengine.config.part import Expression, ExpressionOrName, Frozen, Part, Text, Wrong, known_key, refuse
from segengine.config.values import (
    ATTRIBUTES_SCHEMA,
    DatabaseQuery,
    DatabaseTable,
    JdbcUrl,
    Query,
    TableName,
    Zone,
    as_attributes,
    snake_case,
)

__all__ = [
    "CUSTOMER_ROLES",
    "LINE_ROLES",
    "CsvOptions",
    "CustomersTable",
    "JdbcOptions",
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
    "channel": "how it was bought: shop, web, telephone",
    "discount": "what was taken off the line, in `currency`; its sign does not matter",
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
Id = Annotated[Text, WithJsonSchema({"type": ["string", "number"]})]
Attributes = Annotated[
    Mapping[Text, ExpressionOrName], BeforeValidator(as_attributes), Frozen, WithJsonSchema(ATTRIBUTES_SCHEMA)
]
Rules = Annotated[Mapping[Annotated[str, AfterValidator(snake_case)], Expression], Frozen]


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


class JdbcOptions(Part):
    """A database, for format: jdbc. It is read once, into a snapshot that lasts as long as the run."""

    url: JdbcUrl = Field(description="Where the database is: jdbc:postgresql://host:5432/name. No user, no password.")
    table: DatabaseTable | None = Field(None, description="A table or view of the database, such as sales.lines.")
    query: DatabaseQuery | None = Field(None, description="One SELECT in the database's own SQL, instead of table.")
    user: Text | None = Field(None, description="Who reads, as ${env:NAME}; an account that can only read is best.")
    password: SecretStr | None = Field(None, description="As ${env:NAME}, never the password itself.")
    driver: Text | None = Field(None, description="The driver's class, where its JAR does not announce it.")
    partition_column: Text | None = Field(
        None,
        description="A number, date or time by whose ranges the rows are read in parallel; one reader when absent.",
    )
    partitions: int = Field(8, ge=2, le=1000, description="How many ranges, and so connections, at most.")
    fetch_size: int = Field(10_000, ge=1, le=1_000_000, description="Rows that come over at a time.")

    @model_validator(mode="after")
    def _check_jdbc(self) -> JdbcOptions:
        refuse(rules.of_jdbc(self))
        return self


class TableSource(Part):
    """Where a table is: files (`path`), a catalog table (`table`), a query over them (`query`), or a database."""

    path: Text | None = Field(None, description="A file, a folder, a glob, or a URI of a store Spark can read.")
    table: TableName | None = Field(None, description="A table of Spark's catalog, instead of path.")
    query: Query | None = Field(
        None,
        description="One SELECT over tables of Spark's catalog, instead of path. It is run once, into a snapshot that "
        "lasts as long as the run.",
    )
    format: Literal["parquet", "delta", "csv", "json", "orc", "jdbc"] = Field(
        "parquet", description="What the files are; jdbc: the table is in a database."
    )
    jdbc: JdbcOptions | None = Field(None, description="Which database, for format: jdbc.")
    csv: CsvOptions = Field(CsvOptions(), description="How CSV files are written.")
    timezone: Zone | None = Field(
        None, description="Where the wall clock hangs that times without a zone were read from; timezone when absent."
    )
    version: int | None = Field(
        None, ge=0, description="The Delta version or Iceberg snapshot to read; the newest when absent."
    )

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
        {},
        validate_default=True,
        description="SQL conditions by name, beside the built-in rules; rows that do not pass go to quarantine.",
    )
    ignore_customers: tuple[Id, ...] = Field((), description="Ids of house and guest accounts to leave out.")


class CustomersTable(TableSource):
    """Customers: one row is a customer."""

    columns: CustomerColumns = Field(
        description="Our columns to theirs: customer_id, an exact column name or else a SQL expression.",
        json_schema_extra=_mapping_schema(CUSTOMER_ROLES, ("customer_id",)),
    )
    attributes: Attributes = Field(
        {},
        validate_default=True,
        description="Columns of the table, or of your own making. They are described per segment, and "
        "features where features.include says so.",
    )
    protected: Attributes = Field(
        {},
        validate_default=True,
        description="Like attributes, but never features: only their mix per segment is reported.",
    )
    opted_out: Expression | None = Field(
        None, description="A SQL condition: who does not want to be profiled, and so is put in no segment."
    )
    rules: Rules = Field(
        {},
        validate_default=True,
        description="SQL conditions by name; rows that do not pass go to quarantine.",
    )
    ignore_customers: tuple[Id, ...] = Field((), description="Ids of house and guest accounts to leave out.")

    @model_validator(mode="after")
    def _check_attributes(self) -> CustomersTable:
        refuse(rules.of_customers(self))
        return self


class Tables(Part):
    """The tables that are read."""

    transactions: TransactionsTable | None = Field(None, description="Order lines; required unless kind is customers.")
    customers: CustomersTable | None = Field(None, description="One row per customer; optional beside transactions.")
