"""Names for features and attributes that come from the data: plain identifiers, unique, the same in every run."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from segengine.config import Config
from segengine.features.catalog import MIXES, catalog_names
from segengine.tables import ASSIGNMENTS, CUSTOMERS, SEGMENTS

__all__ = ["RESERVED", "SHARE_PREFIXES", "attribute_columns", "is_plain", "share_names", "slug"]

SHARE_PREFIXES = tuple(mix.prefix for mix in MIXES)
LONGEST = 40
"""Characters of a slug; tools that show the names cut them off later."""

_OURS = [
    "lines_used",
    "lines_ignored",
    "lines_rejected",
    "lines_dropped",
    "lines_before_history",
    "before_history_e4",
    "duplicates",
    "duplicates_e4",
    "dropped_e4",
    "revenue_e4",
    "first_ordered_at",
    "last_ordered_at",
    "is_known",
    "lane",
    "opted_out",
    "features",
    "prediction",
    "segment_index",
    "runner_up_index",
]
RESERVED: frozenset[str] = frozenset(
    (*_OURS, *ASSIGNMENTS.column_names, *CUSTOMERS.column_names, *SEGMENTS.column_names, *catalog_names())
)
"""Lower-case names that no attribute and no custom feature may have in customer rows."""


def is_plain(name: str) -> bool:
    """Whether a name needs no quotes in SQL and is no longer than tools show."""
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", name) is not None


def slug(text: str) -> str:
    """Lower-case ASCII letters, digits and underscores; a short hash stands in where nothing readable is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not words:
        return _short_hash(text)
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}_{_short_hash(text)}"


def share_names(categories: Sequence[str], prefix: str) -> dict[str, str]:
    """Category (or channel) -> prefix and slug. Those whose slugs are equal get a hash of their text."""
    times = Counter(slug(category) for category in categories)
    return {
        category: prefix
        + (slug(category) if times[slug(category)] == 1 else f"{slug(category)}_{_short_hash(category)}")
        for category in categories
    }


def attribute_columns(config: Config) -> dict[str, str]:
    """Attribute of the customers table, as configured -> its column in customer rows; protected ones are in it."""
    table = config.tables.customers
    if table is None:
        return {}
    attributes = tuple(dict.fromkeys((*table.attributes, *table.protected)))
    plain = {name: name if is_plain(name) else slug(name) for name in attributes}
    times = Counter(name.lower() for name in plain.values())
    taken = RESERVED | {name.lower() for name in config.features.custom}
    return {name: _free(name, column, times[column.lower()] > 1, taken) for name, column in plain.items()}


def _free(attribute: str, column: str, shared: bool, taken: Iterable[str]) -> str:
    if shared:
        column = f"{column}_{_short_hash(attribute)}"
    clash = column.lower() in taken or column.lower().startswith(SHARE_PREFIXES) or not column[0].isalpha()
    return f"attribute_{column}" if clash else column


def _short_hash(text: str) -> str:
    return "x" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
