"""Every published table: what one row is, its columns, types and units, and its key. No Spark here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "int", "long", "double", "boolean", "date", "timestamp", "money"]
"""`money` is a decimal(20, m), m being the currency's minor unit; `timestamp` is UTC, in microseconds."""


@dataclass(frozen=True)
class Column:
    """A column of a published table."""

    name: str
    kind: Kind
    text: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A published table. `cumulative` ones are carried from one publication to the next."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    cumulative: bool = False
    replaced_by: tuple[str, ...] = ()
    """Cumulative tables: rows carried forward that share these columns with new rows are replaced."""
    open_ended: bool = False
    """More columns follow, one for each feature or attribute of the configuration."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


PUBLICATION_ID = Column("publication_id", "string", "the publication that wrote this row")


def _table(
    name: str,
    grain: str,
    key: tuple[str, ...],
    *columns: Column,
    cumulative: bool = False,
    replaced_by: tuple[str, ...] = (),
    open_ended: bool = False,
) -> Table:
    return Table(name, grain, key, (*columns, PUBLICATION_ID), cumulative, replaced_by, open_ended)


SEGMENTS = _table(
    "segments",
    "one row is a segment that exists now",
    ("segment_key",),
    Column("segment_key", "int", "number of the segment, 1 for the one with most revenue when first found"),
    Column("segment_id", "string", "identity of the segment, such as S-001"),
    Column("name", "string", "name to show"),
    Column("group_name", "string", "the group whose segment it is; null without segments.by", nullable=True),
    Column("group_share", "double", "share of the group's segmented customers, 0 to 1", nullable=True),
    Column("rank", "int", "place by revenue, 1 is first"),
    Column("customers", "long", "customers in the segment"),
    Column("share", "double", "share of the segmented customers, 0 to 1"),
    Column("revenue", "money", "revenue in the window, in the configured currency", nullable=True),
    Column("revenue_share", "double", "share of the segmented customers' revenue, 0 to 1", nullable=True),
    Column("average_order_value", "money", "revenue divided by orders", nullable=True),
    Column("mean_distance", "double", "mean distance of its customers to its centre, prepared units", nullable=True),
    Column("outliers", "long", "customers flagged as far from the centre"),
    Column("rule", "string", "a rule that describes the segment", nullable=True),
    Column("stability", "double", "bootstrap stability, 0 to 1", nullable=True),
    Column("colour", "string", "colour to draw it in, #rrggbb"),
)

ASSIGNMENTS = _table(
    "assignments",
    "one row is a customer, now; it has a segment or a lane, never both",
    ("customer_key",),
    Column("customer_key", "long", "key of the customer"),
    Column("segment_key", "int", "the segment", nullable=True),
    Column(
        "lane",
        "string",
        "why there is no segment: ignored, opted_out, only_returns, no_purchases, too_new",
        nullable=True,
    ),
    Column("assigned_by", "string", "nearest (centre), or held (kept near a border)", nullable=True),
    Column("distance", "double", "Euclidean distance to the own centre, prepared units", nullable=True),
    Column("margin", "double", "(distance to runner-up - distance) / distance to runner-up, 0 to 1", nullable=True),
    Column("runner_up_key", "int", "the second nearest segment", nullable=True),
    Column("is_outlier", "boolean", "farther from its centre than the limit learnt for that segment", nullable=True),
    Column("revenue", "money", "revenue in the window", nullable=True),
    Column("orders", "long", "orders in the window", nullable=True),
    Column("model_version", "string", "the model that assigned the customer"),
    Column("as_of", "timestamp", "the moment the features look back from"),
    open_ended=True,
)

CUSTOMERS = _table(
    "customers",
    "one row is a customer",
    ("customer_key",),
    Column("customer_key", "long", "xxhash64 of customer_id, rehashed when two ids collide"),
    Column("customer_id", "string", "the id in the source, as canonical text"),
    Column("first_ordered_at", "timestamp", "first order in the window", nullable=True),
    Column("last_ordered_at", "timestamp", "last order in the window", nullable=True),
    Column(
        "is_known", "boolean", "whether the customers table has the customer; null without such a table", nullable=True
    ),
    open_ended=True,
)

DATES = _table(
    "dates",
    "one row is a day, from the first order's year to the as-of date's",
    ("date",),
    Column("date", "date", "the day"),
    Column("date_key", "int", "yyyymmdd"),
    Column("year", "int", "year"),
    Column("quarter", "int", "quarter of the year, 1 to 4"),
    Column("month", "int", "month, 1 to 12"),
    Column("month_name", "string", "English name of the month"),
    Column("year_month", "string", "such as 2011-12"),
    Column("iso_week", "int", "ISO 8601 week"),
    Column("day_of_week", "int", "1 is Monday, 7 is Sunday"),
    Column("day_name", "string", "English name of the day"),
    Column("is_weekend", "boolean", "Saturday or Sunday"),
)

SEGMENT_PROFILES = _table(
    "segment_profiles",
    "one row is a segment and a feature",
    ("segment_key", "feature"),
    Column("segment_key", "int", "the segment"),
    Column("feature", "string", "the feature, with its unit in the name"),
    Column("family", "string", "the feature's family"),
    Column("unit", "string", "the feature's unit"),
    Column("mean", "double", "mean over the segment's customers that have a value", nullable=True),
    Column(
        "median", "double", "median, exact up to 200,000 customers, else of a fixed sample of as many", nullable=True
    ),
    Column("p10", "double", "10th percentile, as the median", nullable=True),
    Column("p90", "double", "90th percentile, as the median", nullable=True),
    Column("centre", "double", "the centre of the segment in the feature's own unit", nullable=True),
    Column("z", "double", "(mean - mean of all) / standard deviation of all (population)", nullable=True),
    Column("index", "double", "100 times mean over mean of all, where that is above 0", nullable=True),
    Column("overall_mean", "double", "mean over all segmented customers", nullable=True),
    Column("missing_share", "double", "share of the segment's customers without a value, 0 to 1", nullable=True),
)

SEGMENT_KPIS = _table(
    "segment_kpis",
    "one row is a segment as of a moment",
    ("segment_key", "as_of"),
    Column("segment_key", "int", "the segment"),
    Column("as_of", "timestamp", "the moment the features look back from"),
    Column("model_version", "string", "the model that assigned the customers"),
    Column("group_name", "string", "the group whose segment it is; null without segments.by", nullable=True),
    Column("customers", "long", "customers"),
    Column("share", "double", "share of the segmented customers, 0 to 1"),
    Column("revenue", "money", "revenue in the window", nullable=True),
    Column("revenue_share", "double", "share of the segmented customers' revenue", nullable=True),
    Column("orders", "long", "orders in the window", nullable=True),
    Column("average_order_value", "money", "revenue divided by orders", nullable=True),
    Column("revenue_per_customer", "money", "revenue divided by customers", nullable=True),
    Column("active_90_days", "long", "customers with an order in the last 90 days", nullable=True),
    Column("mean_distance", "double", "mean distance to the centre, prepared units", nullable=True),
    Column(
        "expected_order_days_90d",
        "double",
        "days with an order to be expected of its customers in the next 90 days; null without that feature of clv",
        nullable=True,
    ),
    Column(
        "expected_order_days_90d_per_customer", "double", "mean of the same over customers with a value", nullable=True
    ),
    Column(
        "lifetime_value_365d",
        "money",
        "money to be expected of its customers in the next 365 days, not discounted; null without that feature of clv",
        nullable=True,
    ),
    Column("lifetime_value_365d_per_customer", "money", "mean of the same over customers with a value", nullable=True),
    cumulative=True,
    replaced_by=("as_of",),
)

MODELS = _table(
    "models",
    "one row is a model version",
    ("model_version",),
    Column("model_version", "string", "such as v0001"),
    Column("created_at", "timestamp", "when it was trained"),
    Column("as_of", "timestamp", "the moment its features look back from"),
    Column("status", "string", "champion, challenger, retired or refused"),
    Column("k", "int", "number of segments, of all groups together"),
    Column("groups", "int", "groups with segments of their own; null without segments.by", nullable=True),
    Column("features", "string", "names of the features, comma-separated"),
    Column("customers", "long", "customers it was fitted on"),
    Column("inertia", "double", "sum of squared distances to the centres, prepared units"),
    Column(
        "macro_silhouette", "double", "mean of the segments' mean silhouettes, Euclidean, on a sample", nullable=True
    ),
    Column("micro_silhouette", "double", "mean silhouette of the sample's customers, Euclidean", nullable=True),
    Column("calinski_harabasz", "double", "between over within variance, high is good", nullable=True),
    Column("davies_bouldin", "double", "mean worst overlap of two segments, low is good", nullable=True),
    Column("smallest_share", "double", "share of the smallest segment, of its group where there are groups"),
    Column("largest_share", "double", "share of the largest segment, likewise"),
    Column("decision", "string", "why this k was chosen, in a sentence"),
    Column("config_sha256", "string", "hash of the configuration"),
    cumulative=True,
    replaced_by=("model_version",),
)

QUALITY = _table(
    "quality",
    "one row is a rule of a table in a run: what it did to how many rows and how much money",
    ("run_id", "table", "rule"),
    Column("run_id", "string", "the run"),
    Column("as_of", "timestamp", "the moment the features look back from"),
    Column("table", "string", "transactions or customers"),
    Column("rule", "string", "name of the rule; used for the rows that passed"),
    Column(
        "outcome", "string", "used, rejected (in quarantine), ignored (by a named rule), or noted (used, but counted)"
    ),
    Column("rows", "long", "rows"),
    Column("amount", "money", "sum of their amounts, where they have one", nullable=True),
    Column("text", "string", "what the rule means, in a sentence"),
    cumulative=True,
    replaced_by=("as_of",),
)

RUNS = _table(
    "runs",
    "one row is a run: what was read, what became of it, by which code",
    ("run_id",),
    Column("run_id", "string", "the run"),
    Column("command", "string", "train, score or run"),
    Column("started_at", "timestamp", "when it started"),
    Column("finished_at", "timestamp", "when its tables were ready to publish"),
    Column("as_of", "timestamp", "the moment the features look back from"),
    Column("model_version", "string", "the model used"),
    Column("rows_read", "long", "rows of the main table"),
    Column("rows_used", "long", "rows that made features"),
    Column("rows_rejected", "long", "rows in quarantine"),
    Column("rows_ignored", "long", "rows ignored by a named rule"),
    Column("customers", "long", "customers found"),
    Column("customers_assigned", "long", "customers in a segment"),
    Column("customers_in_lanes", "long", "customers in a lane"),
    Column("amount_read", "money", "sum of all amounts read", nullable=True),
    Column("amount_assigned", "money", "revenue of the customers in segments", nullable=True),
    Column("inputs", "string", "tables read: path, version, files, bytes, as JSON"),
    Column("config_sha256", "string", "hash of the configuration"),
    Column("segengine_version", "string", "version of segengine"),
    Column("spark_version", "string", "version of Spark"),
    cumulative=True,
    replaced_by=("as_of",),
)

PUBLICATIONS = _table(
    "publications",
    "one row is a publication",
    ("publication_id",),
    Column("run_id", "string", "the run that published"),
    Column("published_at", "timestamp", "when it was prepared"),
    Column("as_of", "timestamp", "the moment the features look back from"),
    Column("model_version", "string", "the model used"),
    Column("format", "string", "parquet or delta"),
    Column("table_versions", "string", "Delta: version of every table, as JSON; Parquet: its folder", nullable=True),
    cumulative=True,
    replaced_by=("publication_id",),
)

TABLES: tuple[Table, ...] = (
    SEGMENTS,
    ASSIGNMENTS,
    CUSTOMERS,
    DATES,
    SEGMENT_PROFILES,
    SEGMENT_KPIS,
    MODELS,
    QUALITY,
    RUNS,
    PUBLICATIONS,
)

LANES: tuple[tuple[str, str], ...] = (
    ("ignored", "a house or guest account listed in the configuration"),
    ("opted_out", "the customer does not want to be profiled"),
    ("only_returns", "returned goods in the window, bought none that count"),
    ("no_purchases", "known, but without a purchase that counts in the window"),
    ("too_new", "bought too recently or too seldom to tell"),
)
"""Lanes by precedence: a customer is in the first one that fits."""

MINOR_UNITS: dict[str, int] = {
    **dict.fromkeys(("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF").split(), 0),
    **dict.fromkeys(("BHD IQD JOD KWD LYD OMR TND").split(), 3),
    **dict.fromkeys(("CLF UYW").split(), 4),
}
"""ISO 4217 currencies whose minor unit is not 2 digits."""


def minor_unit(currency: str) -> int:
    """Digits after the decimal point at which money in this currency is published (ISO 4217)."""
    return MINOR_UNITS.get(currency.upper(), 2)


def by_name(name: str) -> Table:
    """The published table of that name; KeyError when there is none."""
    return {table.name: table for table in TABLES}[name]


KIND_TEXT: dict[Kind, str] = {
    "string": "text",
    "int": "32-bit integer",
    "long": "64-bit integer",
    "double": "64-bit float",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp, UTC, microseconds",
    "money": "decimal(20, minor unit)",
}

HEAD = """# Published tables

What lies in `gold` of an output. This page is made from `segengine/tables.py` by `python -m segengine.tables`; a test
keeps it current. How the tables become visible, and how to read them, is in [publishing.md](publishing.md).

Money has as many decimals as the currency's minor unit (2 for EUR, 0 for JPY) and is rounded half up, from exact sums
in 1/10,000 of the unit. No column is nested. Every row names the publication that wrote it. A column that may be null
says so; all others never are.
"""


def as_markdown() -> str:
    """The reference of all published tables, as docs/tables.md holds it."""
    return "\n".join([HEAD, *(_table_markdown(table) for table in TABLES)])


def _table_markdown(table: Table) -> str:
    lines = [f"## {table.name}", "", f"{table.grain[0].upper()}{table.grain[1:]}. Key: {_code(table.key)}.", ""]
    if table.cumulative:
        replaced = _code(table.replaced_by)
        lines += [f"Cumulative: rows of earlier publications stay, unless new rows have the same {replaced}.", ""]
    lines += ["| column | type | what it is |", "|---|---|---|"]
    for column in table.columns:
        text = column.text.replace("|", "\\|") + ("; may be null" if column.nullable else "")
        lines.append(f"| `{column.name}` | {KIND_TEXT[column.kind]} | {text} |")
    if table.open_ended:
        lines += ["", OPEN_ENDED[table.name]]
    return "\n".join(lines) + "\n"


OPEN_ENDED = {
    "assignments": "One more column follows for each feature, by its name: a 64-bit float in its own unit (null where "
    "there is no value), or text for a category. A feature with the name of a column above gets `_feature` behind its "
    "name; blanks, dots and the like become `_`.",
    "customers": "One more column follows for each attribute of the customers table: a 64-bit float or text. "
    "An attribute with the name of a column above gets `_attribute` behind its name; blanks, dots and the like become "
    "`_`.",
}


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    print(as_markdown(), end="")
