"""Published tables that grow: rows of earlier publications stay."""

from __future__ import annotations

from segengine.tables.declare import Column, declared

__all__ = ["BRIDGE", "LANE_KPIS", "MODELS", "PUBLICATIONS", "QUALITY", "RUNS", "SEGMENT_KPIS"]

SEGMENT_KPIS = declared(
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

MODELS = declared(
    "models",
    "one row is a model version",
    ("model_version",),
    Column("model_version", "string", "such as v0001"),
    Column("created_at", "timestamp", "when it was trained"),
    Column("as_of", "timestamp", "the moment its features look back from"),
    Column("status", "string", "champion, provisional (in use, did not pass its gates), retired or refused"),
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

QUALITY = declared(
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

LANE_KPIS = declared(
    "lanes",
    "one row is a lane as of a moment: customers that get no segment, and why",
    ("as_of", "lane"),
    Column("as_of", "timestamp", "the moment the features look back from"),
    Column("lane", "string", "as in assignments"),
    Column("customers", "long", "customers in the lane"),
    Column("revenue", "money", "their revenue in the window", nullable=True),
    Column("orders", "long", "their orders in the window", nullable=True),
    cumulative=True,
    replaced_by=("as_of",),
)

BRIDGE = declared(
    "bridge",
    "one row is a step from all money in the source to the money of the segments; without transactions there is none",
    ("as_of", "step"),
    Column("as_of", "timestamp", "the moment the features look back from"),
    Column("step", "int", "its place, 1 is the source and the last one the segments"),
    Column("name", "string", "source, what is taken away, segments"),
    Column("is_balance", "boolean", "true for source and segments, false for what changes between them"),
    Column("rows", "long", "rows of the step, with the sign of the change", nullable=True),
    Column("customers", "long", "customers of the step, with the sign of the change", nullable=True),
    Column("amount", "money", "money; source plus all changes is segments, to the minor unit"),
    cumulative=True,
    replaced_by=("as_of",),
)

DRIFT = declared(
    "drift",
    "one row is a comparison of the customers of a moment with earlier ones",
    ("as_of", "measure", "subject", "compared_with"),
    Column("as_of", "timestamp", "the moment the features look back from"),
    Column(
        "measure",
        "string",
        "psi, jensen_shannon, median_ratio, missing_share, segment_psi, distance_growth, far_share, lane_share, "
        "rejected_share, vanished or appeared",
    ),
    Column("subject", "string", "what was compared: a feature, a lane, a value of a column"),
    Column("compared_with", "string", "training, year_ago (the same month) or month_before"),
    Column("value", "double", "what was measured; shares 0 to 1"),
    Column("watch_limit", "double", "above it: watch", nullable=True),
    Column("alarm_limit", "double", "above it: alarm; null where it is never one", nullable=True),
    Column("verdict", "string", "ok, watch or alarm"),
    Column("text", "string", "the same in words"),
    Column("before", "double", "median or share of the earlier customers, where it is about one", nullable=True),
    Column("now", "double", "median or share of these customers", nullable=True),
    Column("compared_as_of", "timestamp", "the moment of the earlier customers", nullable=True),
    Column("model_version", "string", "the model that assigned the customers"),
    Column("customers", "long", "customers in segments"),
    cumulative=True,
    replaced_by=("as_of",),
)

RUNS = declared(
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
    Column("rows_before", "long", "rows ordered before as_of, whatever became of them", nullable=True),
    Column(
        "rows_late",
        "long",
        "rows ordered before the moment published last that were not there then; below 0 when rows are gone",
        nullable=True,
    ),
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

PUBLICATIONS = declared(
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
