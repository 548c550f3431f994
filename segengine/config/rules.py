"""What holds between values of a configuration: each function gives what is wrong, as its section sees it."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from segengine.config.expressions import identifiers, why_refused_aggregate
from segengine.config.part import Wrong
from segengine.config.paths import overlap
from segengine.config.powerbi import of_kpis, of_powerbi

if TYPE_CHECKING:
    from segengine.config.models import Config, Features, Privacy, Segments
    from segengine.config.sources import CustomersTable, JdbcOptions, TableSource

__all__ = [
    "DEFAULT_FAMILIES",
    "FAMILIES",
    "RESERVED_NAMES",
    "of_config",
    "of_customers",
    "of_features",
    "of_incremental",
    "of_jdbc",
    "of_segments",
    "of_source",
]

FAMILIES = (
    "rfm",
    "basket",
    "tenure",
    "rhythm",
    "trend",
    "returns",
    "category_mix",
    "channel_mix",
    "timing",
    "discount",
    "clv",
    "attributes",
)
DEFAULT_FAMILIES = ("rfm", "basket", "tenure", "rhythm", "trend")

RESERVED_NAMES = frozenset(
    (
        *FAMILIES,
        *("custom", "others", "features", "prediction"),
        *(
            "customer_id",
            "order_id",
            "ordered_at",
            "amount",
            "amount_e4",
            "quantity",
            "product",
            "category",
            "channel",
            "discount",
            "discount_e4",
            "is_return",
        ),
        *("row_hash", "status", "rule", "publication_id", "customer_key", "segment_key"),
        *("lane", "revenue_e4", "orders", "first_ordered_at", "last_ordered_at", "is_known", "opted_out"),
        *("lines_used", "lines_ignored", "lines_rejected", "duplicates", "duplicates_e4"),
        *("segment_index", "distance", "margin", "runner_up_index", "is_outlier", "assigned_by"),
        *("rfm_recency_score", "rfm_frequency_score", "rfm_monetary_score", "rfm_cell"),
    )
)
"""Columns of our own that stand beside the features in one table, and names of families."""


def of_source(table: TableSource) -> Iterator[Wrong]:
    """Where a table is, and options that would do nothing."""
    given = [key for key in ("path", "table", "query", "jdbc") if getattr(table, key) is not None]
    if not given:
        yield Wrong((), "needs a path (files), a table (a name in a catalog), a query, or a jdbc section (a database)")
    for key in given[1:]:
        yield Wrong((key,), f"cannot be used beside {given[0]}", "Keep one of the two.")
    if table.jdbc is not None and table.format != "jdbc":
        yield Wrong(("jdbc",), "is for format: jdbc only", "Set format: jdbc, or remove it.")
    if table.format == "jdbc" and table.jdbc is None:
        yield Wrong(("format",), "jdbc needs a jdbc section, which says where the database is")
    if "csv" in table.model_fields_set and (table.format != "csv" or table.path is None):
        yield Wrong(("csv",), "is for files of format: csv only", "Set format: csv, or remove it.")
    keeps_versions = table.table is not None or (table.path is not None and table.format == "delta")
    if table.version is not None and not keeps_versions:
        yield Wrong(
            ("version",), "is for tables of a catalog and Delta tables only", "Set format: delta, or remove it."
        )


def of_jdbc(jdbc: JdbcOptions) -> Iterator[Wrong]:
    """One thing to read, and a login that is whole."""
    if jdbc.table is None and jdbc.query is None:
        yield Wrong((), "needs a table or a query")
    if jdbc.table is not None and jdbc.query is not None:
        yield Wrong(("query",), "cannot be used beside table", "Keep one of the two.")
    if jdbc.password is not None and jdbc.user is None:
        yield Wrong(("user",), "is missing, and there is a password")
    if "partitions" in jdbc.model_fields_set and jdbc.partition_column is None:
        yield Wrong(("partitions",), "does nothing without partition_column", "Add one, or remove it.")


def of_customers(table: CustomersTable) -> Iterator[Wrong]:
    """Attributes that clash, or that are made from protected ones."""
    seen: dict[str, str] = {}
    for name in (*table.attributes, *table.protected):
        if seen.setdefault(name.lower(), name) != name:
            yield Wrong(("attributes",), "and protected name two that differ only in case", "Rename one.")
    secret = {text.strip("` ").lower() for pair in table.protected.items() for text in pair}
    for name, text in table.attributes.items():
        if name in table.protected:
            yield Wrong(("protected", name), "is in attributes as well", "Keep it under protected only.")
        elif secret & {*identifiers(text), text.strip("` ").lower()}:
            yield Wrong(("attributes", name), "is made from a protected attribute", "List it under protected.")


def of_features(features: Features) -> Iterator[Wrong]:
    """Which features are wanted: once each, at least one, custom ones with names and SQL that can be used."""
    if not features.include and not features.custom:
        yield Wrong(("include",), "is empty, and there are no custom features: nothing is left to segment by")
    for key, names in (("include", features.include), ("exclude", features.exclude)):
        for position, name in enumerate(names):
            if name in names[:position]:
                yield Wrong((key, position), "is there twice", "Keep one of them.")
    for position, name in enumerate(features.exclude):
        if name in features.include:
            yield Wrong(("exclude", position), "is in include as well", "Remove it from one of the two.")
    for name, text in features.custom.items():
        if name in RESERVED_NAMES:
            yield Wrong(("custom", name), "has a name that segengine uses itself", f"Call it my_{name}, say.")
        reason = why_refused_aggregate(text)
        if reason is not None:
            yield Wrong(("custom", name), f"cannot be used as SQL: {reason}")


def of_segments(segments: Segments) -> Iterator[Wrong]:
    """Limits on shares that some number of segments can keep to."""
    low, high = segments.k if isinstance(segments.k, tuple) else (segments.k, segments.k)
    if segments.min_share * low > 1:
        yield Wrong(("min_share",), f"is too large for {low} segments", f"Write at most {1 / low:.3f}, or lower k.")
    if segments.max_share * high < 1:
        yield Wrong(("max_share",), f"is too small for {high} segments", f"Write more than {1 / high:.3f}, or raise k.")
    if segments.min_share > segments.max_share:
        yield Wrong(("min_share",), "must not be above max_share")
    if segments.by is None and "by_min_customers" in segments.model_fields_set:
        yield Wrong(
            ("by_min_customers",), "does nothing without by", "Add by: an attribute of customers, or remove it."
        )


def of_privacy(privacy: Privacy) -> Iterator[Wrong]:
    """Pseudonyms have a key."""
    if privacy.pseudonymise and privacy.salt_env is None:
        yield Wrong(("salt_env",), "is missing", "Name the variable of the salt, such as salt_env: SEGENGINE_SALT.")


def of_config(config: Config) -> Iterator[Wrong]:
    """What holds between sections."""
    yield from _of_kind(config)
    yield from _of_include(config)
    yield from _of_custom(config)
    if config.incremental:
        yield from of_incremental(config)
    yield from _of_by(config)
    yield from of_powerbi(config)
    yield from of_kpis(config)
    for name, table in (("transactions", config.tables.transactions), ("customers", config.tables.customers)):
        reason = overlap(table.path, config.output.path) if table is not None and table.path is not None else None
        if reason is not None:
            todo = "A run writes and deletes below output.path: give it a folder of its own."
            yield Wrong(("output", "path"), f"{reason} (tables.{name}.path)", todo)


def _of_kind(config: Config) -> Iterator[Wrong]:
    transactions, customers = config.tables.transactions, config.tables.customers
    if config.kind == "transactions" and transactions is None:
        todo = "Add it; or write kind: customers for a table that has one row per customer already."
        yield Wrong(("tables", "transactions"), "is missing", todo)
    if config.kind == "customers":
        if transactions is not None:
            todo = "Remove it, or write kind: transactions."
            yield Wrong(("tables", "transactions"), "cannot be used with kind: customers", todo)
        if customers is None:
            yield Wrong(("tables", "customers"), "is missing; kind: customers segments its rows")
        elif not customers.attributes:
            todo = "They are the features here: list the columns to segment by, attributes: [income, score]."
            yield Wrong(("tables", "customers", "attributes"), "is missing", todo)
    if config.quality.unknown_customers == "reject" and customers is None:
        todo = "Add tables.customers, or write keep."
        yield Wrong(("quality", "unknown_customers"), "needs a customers table to know customers from", todo)


def of_incremental(config: Config) -> Iterator[Wrong]:
    """What earlier runs can keep for later ones: sums over lines of files, each judged by itself."""
    table = config.tables.transactions
    if table is None or table.path is None or table.format == "delta":
        yield Wrong(("incremental",), "is for order lines in files: Parquet, ORC, CSV or JSON", "Remove it.")
    if config.features.custom:
        todo = "Remove one of the two: custom SQL needs all lines of a customer."
        yield Wrong(("features", "custom"), "cannot be used with incremental", todo)
    if config.quality.unknown_customers == "reject":
        todo = "Write keep: what is unknown today may be known tomorrow."
        yield Wrong(("quality", "unknown_customers"), "reject cannot be used with incremental", todo)


def _of_include(config: Config) -> Iterator[Wrong]:
    customers = config.tables.customers
    attributes = tuple(customers.attributes) if customers else ()
    protected = tuple(customers.protected) if customers else ()
    for position, name in enumerate(config.features.include):
        at = ("features", "include", position)
        bare = name.removeprefix("attributes.")
        if bare in protected:
            todo = "Remove it here: its mix per segment is reported, and it never decides who is in one."
            yield Wrong(at, "is protected, and so never a feature", todo)
        elif name == "attributes" and not attributes and config.kind == "transactions":
            yield Wrong(at, "stands for tables.customers.attributes, and there are none")
        elif name.startswith("attributes.") and bare not in attributes:
            near = get_close_matches(bare, attributes, n=1, cutoff=0.6)
            hint = f"Did you mean attributes.{near[0]}? " if near else ""
            has = f"It has: {', '.join(attributes)}." if attributes else "It has none."
            yield Wrong(at, "is not in tables.customers.attributes", hint + has)


def _of_by(config: Config) -> Iterator[Wrong]:
    customers, by = config.tables.customers, config.segments.by
    attributes = tuple(customers.attributes) if customers else ()
    if by is None or by in attributes:
        return
    if customers is not None and by in customers.protected:
        todo = "Take another attribute: a protected one never decides who is in a segment."
        yield Wrong(("segments", "by"), "is protected", todo)
        return
    near = get_close_matches(by, attributes, n=1, cutoff=0.6)
    hint = f"Did you mean {near[0]}? " if near else ""
    has = f"It has: {', '.join(attributes)}." if attributes else "It has none."
    yield Wrong(("segments", "by"), "is not in tables.customers.attributes", hint + has)


def _of_custom(config: Config) -> Iterator[Wrong]:
    customers = config.tables.customers
    protected = {name.lower() for name in customers.protected} if customers else set()
    for name, text in config.features.custom.items():
        if protected & {name, *identifiers(text)}:
            yield Wrong(("features", "custom", name), "uses a protected attribute", "Remove it.")
