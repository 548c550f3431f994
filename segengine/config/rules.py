"""What holds between the values of a configuration: each function gives what is wrong, from its section's point of view."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from segengine.config.expressions import identifiers, why_refused_aggregate
from segengine.config.part import Wrong
from segengine.config.paths import overlap

if TYPE_CHECKING:
    from segengine.config.models import Config, CustomersTable, Features, Segments, TableSource

__all__ = [
    "DEFAULT_FAMILIES",
    "FAMILIES",
    "RESERVED_NAMES",
    "of_config",
    "of_customers",
    "of_features",
    "of_segments",
    "of_source",
]

FAMILIES = ("rfm", "basket", "tenure", "rhythm", "trend", "returns", "category_mix", "attributes")
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
            "is_return",
        ),
        *("lane", "revenue_e4", "orders", "first_ordered_at", "last_ordered_at", "is_known", "opted_out"),
        *("lines_used", "lines_ignored", "lines_rejected", "duplicates", "duplicates_e4"),
        *("segment_index", "distance", "margin", "runner_up_index", "is_outlier", "assigned_by"),
    )
)
"""Columns of our own that stand beside the features in one table, and names of families."""


def of_source(table: TableSource) -> Iterator[Wrong]:
    """Where a table is, and options that would do nothing."""
    if table.path is None and table.table is None:
        yield Wrong((), "needs path (files) or table (a name in a catalog)")
    if table.path is not None and table.table is not None:
        yield Wrong(("table",), "cannot be used beside path", "Keep one of the two.")
    given = table.model_fields_set
    if "csv" in given and (table.format != "csv" or table.table is not None):
        yield Wrong(("csv",), "is for files of format: csv only", "Set format: csv, or remove it.")
    if table.version is not None and table.format != "delta":
        yield Wrong(("version",), "is for format: delta only", "Set format: delta, or remove it.")


def of_customers(table: CustomersTable) -> Iterator[Wrong]:
    """Attributes that clash, or that are made from protected ones."""
    for name in table.attributes:
        if name in table.protected:
            yield Wrong(("protected", name), "is in attributes as well", "Keep it under protected only.")
    seen: dict[str, str] = {}
    for name in (*table.attributes, *table.protected):
        key = name.lower()
        if seen.get(key, name) != name:
            yield Wrong(("attributes",), f"names two attributes that differ only in case: {seen[key]} and {name}")
        seen[key] = name
    secret = {name.lower() for name in table.protected} | {
        text.strip("` ").lower() for text in table.protected.values()
    }
    for name, text in table.attributes.items():
        words = identifiers(text) | {text.strip("` ").lower()}
        made_from = sorted(words & secret)
        if made_from and name not in table.protected:
            yield Wrong(
                ("attributes", name), f"is made from {made_from[0]}, which is protected", "List it under protected."
            )


def of_features(features: Features) -> Iterator[Wrong]:
    """Which features are wanted: once each, at least one, custom ones with names and SQL that can be used."""
    if not features.include and not features.custom:
        yield Wrong(("include",), "is empty, and there are no custom features: nothing is left to segment by")
    for key in ("include", "exclude"):
        names: tuple[str, ...] = getattr(features, key)
        for position, name in enumerate(names):
            if name in names[:position]:
                yield Wrong((key, position), f"names {name} twice")
    for position, name in enumerate(features.exclude):
        if name in features.include:
            yield Wrong(("exclude", position), f"names {name}, which include wants", "Remove it from one of the two.")
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
        yield Wrong(("min_share",), f"cannot hold: {low} segments cannot each be above 1/{low} of the customers")
    if segments.max_share * high < 1:
        yield Wrong(
            ("max_share",), f"cannot hold: the largest of {high} segments is at least 1/{high} of the customers"
        )
    if segments.min_share > segments.max_share:
        yield Wrong(("min_share",), "must not be above max_share")


def of_config(config: Config) -> Iterator[Wrong]:
    """What holds between sections."""
    yield from _of_kind(config)
    yield from _of_attributes(config)
    for name in ("transactions", "customers"):
        table: TableSource | None = getattr(config.tables, name)
        reason = overlap(table.path, config.output.path) if table is not None and table.path is not None else None
        if reason is not None:
            todo = "A run writes and deletes below output.path: give it a folder of its own."
            yield Wrong(("output", "path"), f"{reason} (tables.{name}.path)", todo)


def _of_kind(config: Config) -> Iterator[Wrong]:
    tables = config.tables
    if config.kind == "transactions" and tables.transactions is None:
        todo = "Add it; or write kind: customers for a table that has one row per customer already."
        yield Wrong(("tables", "transactions"), "is missing", todo)
    if config.kind == "customers":
        if tables.transactions is not None:
            todo = "Remove it, or write kind: transactions."
            yield Wrong(("tables", "transactions"), "cannot be used with kind: customers", todo)
        if tables.customers is None:
            yield Wrong(("tables", "customers"), "is missing; kind: customers segments its rows")
        elif not tables.customers.attributes:
            todo = "List the columns to segment by: attributes: [income, score]."
            yield Wrong(
                ("tables", "customers", "attributes"), "is missing; with kind: customers they are the features", todo
            )
    if config.quality.unknown_customers == "reject" and tables.customers is None:
        yield Wrong(("quality", "unknown_customers"), "is reject, and there is no tables.customers to know them from")


def _of_attributes(config: Config) -> Iterator[Wrong]:
    customers = config.tables.customers
    attributes = dict(customers.attributes) if customers else {}
    protected = dict(customers.protected) if customers else {}
    for position, name in enumerate(config.features.include):
        at = ("features", "include", position)
        bare = name.removeprefix("attributes.")
        if bare in protected:
            todo = "Remove it here: its mix per segment is reported, and it never decides who is in one."
            yield Wrong(at, f"names {bare}, which is protected", todo)
        elif name == "attributes" and not attributes and config.kind == "transactions":
            yield Wrong(at, "names attributes, and tables.customers lists none")
        elif name.startswith("attributes.") and bare not in attributes:
            near = get_close_matches(bare, attributes, n=1, cutoff=0.6)
            has = f"It has: {', '.join(attributes)}." if attributes else "It has none."
            hint = f"Did you mean attributes.{near[0]}? {has}" if near else has
            yield Wrong(at, f"names {bare}, which tables.customers.attributes does not have", hint)
    words = {name.lower() for name in protected}
    for name, text in config.features.custom.items():
        used = sorted((identifiers(text) | {name}) & words)
        if used:
            yield Wrong(("features", "custom", name), f"uses {used[0]}, which is protected", "Remove it.")
