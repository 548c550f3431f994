"""Published tables of what is now: each publication replaces them."""

from __future__ import annotations

from segengine.tables.declare import Column, declared

__all__ = [
    "ASSIGNMENTS",
    "CUSTOMERS",
    "DATES",
    "EXPECTED_KPIS",
    "PROTECTED_MIX",
    "RFM_CELLS",
    "SEGMENTS",
    "SEGMENT_PROFILES",
]

SEGMENTS = declared(
    "segments",
    "one row is a segment that exists now",
    ("segment_key",),
    Column("segment_key", "int", "number of the segment, 1 for the one with most revenue when first found"),
    Column("segment_id", "string", "identity of the segment, such as S-001"),
    Column("name", "string", "name to show; it stays until the model is replaced, and longer while it is true"),
    Column("name_is_true", "boolean", "whether what the name says holds for its customers now", nullable=True),
    Column("description", "string", "two sentences: who they are, and what they are worth", nullable=True),
    Column("action", "string", "what the playbook suggests", nullable=True),
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
    Column("rule", "string", "a rule that describes the segment, in words", nullable=True),
    Column(
        "rule_sql",
        "string",
        "the rule as a CASE over columns of assignments: 1 or 0; runs in Spark, DuckDB and PostgreSQL",
        nullable=True,
    ),
    Column("rule_precision", "double", "share of those the rule finds who are in the segment, 0 to 1", nullable=True),
    Column("rule_coverage", "double", "share of the segment's customers the rule finds, 0 to 1", nullable=True),
    Column("stability", "double", "bootstrap stability, 0 to 1", nullable=True),
    Column("colour", "string", "colour to draw it in, #rrggbb"),
    Column("warning", "string", "why the model is to be used with care; null when it passed its gates", nullable=True),
)

ASSIGNMENTS = declared(
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
    Column(
        "rfm_recency_score", "int", "1 to rfm_grid.bins, most for the most recent; null without rfm_grid", nullable=True
    ),
    Column("rfm_frequency_score", "int", "likewise, by orders", nullable=True),
    Column("rfm_monetary_score", "int", "likewise, by money", nullable=True),
    Column("rfm_cell", "string", "the named cell of the three scores", nullable=True),
    Column("model_version", "string", "the model that assigned the customer"),
    Column("as_of", "timestamp", "the moment the features look back from"),
    open_ended=True,
)

CUSTOMERS = declared(
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

DATES = declared(
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

SEGMENT_PROFILES = declared(
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
    Column(
        "z_prepared",
        "double",
        "the same over capped and logged values, which names go by; of a text: of the value that differs most",
        nullable=True,
    ),
    Column("rank", "int", "place among the segment's differences by the size of z_prepared, 1 is first", nullable=True),
    Column("index", "double", "100 times mean over mean of all, where that is above 0", nullable=True),
    Column("overall_mean", "double", "mean over all segmented customers", nullable=True),
    Column("missing_share", "double", "share of the segment's customers without a value, 0 to 1", nullable=True),
)

RFM_CELLS = declared(
    "rfm_cells",
    "one row is a named cell of the RFM grid; none without rfm_grid",
    ("cell",),
    Column("cell", "string", "the name"),
    Column("codes", "string", "the codes it covers: scores of recency, frequency and money"),
    Column("customers", "long", "customers with a segment who are in the cell"),
    Column("share", "double", "share of all customers with a segment, 0 to 1"),
    Column("revenue", "money", "revenue in the window", nullable=True),
    Column("revenue_share", "double", "share of the segmented customers' revenue", nullable=True),
)

PROTECTED_MIX = declared(
    "protected_mix",
    "one row is a segment and a value of a protected attribute; none without such attributes",
    ("segment_key", "attribute", "value"),
    Column("segment_key", "int", "the segment"),
    Column("attribute", "string", "the protected attribute, as configured"),
    Column("value", "string", "its value; a span for numbers, (other) for rare ones, (missing) for none"),
    Column("customers", "long", "customers; null where they are few, or would tell how many a few are", nullable=True),
    Column("share", "double", "share of the segment's customers, 0 to 1; null as customers is", nullable=True),
    Column(
        "overall_share", "double", "share of all segmented customers, 0 to 1; null where they are few", nullable=True
    ),
    Column("cramers_v", "double", "Cramer's V of attribute and segments over known values, 0 to 1", nullable=True),
)

EXPECTED_KPIS = declared(
    "expected_kpis",
    "one row is what a measure of the Power BI project must show: of all segments together, or of one",
    ("kpi", "segment_key"),
    Column("kpi", "string", "the measure"),
    Column("segment_key", "int", "the segment; 0 for all together"),
    Column("value", "double", "what the measure's paired SQL gives", nullable=True),
)
