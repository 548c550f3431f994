"""Published tables of how models were judged; they grow: rows of earlier versions stay."""

from __future__ import annotations

from segengine.tables.declare import Column, declared

__all__ = ["GATES", "K_CANDIDATES", "PREDICTION"]

GATES = declared(
    "gates",
    "one row is a gate of a model: a measure, its limits, the verdict",
    ("model_version", "gate"),
    Column("model_version", "string", "the model"),
    Column(
        "gate",
        "string",
        "number_of_segments, stability_lowest, stability_mean, smallest_share, largest_share, macro_silhouette, "
        "moved_by_model or next_period",
    ),
    Column("value", "double", "what was measured", nullable=True),
    Column("warn_limit", "double", "beyond it the gate warns", nullable=True),
    Column("refuse_limit", "double", "beyond it the model is refused", nullable=True),
    Column("verdict", "string", "passed, warned, refused or not_judged"),
    Column("text", "string", "what was found, in a sentence"),
    cumulative=True,
    replaced_by=("model_version",),
)

K_CANDIDATES = declared(
    "k_candidates",
    "one row is a number of segments that was tried for a model; none with segments.by",
    ("model_version", "k"),
    Column("model_version", "string", "the model"),
    Column("k", "int", "number of segments"),
    Column(
        "inertia", "double", "sum of squared distances to the centres, of the sample, prepared units", nullable=True
    ),
    Column("macro_silhouette", "double", "mean of the segments' mean silhouettes, Euclidean", nullable=True),
    Column("micro_silhouette", "double", "mean silhouette of the customers, Euclidean", nullable=True),
    Column(
        "squared_silhouette", "double", "Spark's: with squared distances, not comparable with the others", nullable=True
    ),
    Column("calinski_harabasz", "double", "between over within variance, high is good", nullable=True),
    Column("davies_bouldin", "double", "mean worst overlap of two segments, low is good", nullable=True),
    Column(
        "gap", "double", "gap statistic; only of a k that keeps the limits of shares, as all that follow", nullable=True
    ),
    Column(
        "gap_error", "double", "standard deviation of the gap over its references, times sqrt(1 + 1/B)", nullable=True
    ),
    Column(
        "prediction_strength", "double", "how well one half of the customers predicts the other, 0 to 1", nullable=True
    ),
    Column("jaccard_min", "double", "bootstrap stability of the least stable segment, 0 to 1", nullable=True),
    Column("smallest_share", "double", "share of the smallest segment, of the sample", nullable=True),
    Column("largest_share", "double", "share of the largest segment, likewise", nullable=True),
    Column("verdict", "string", "chosen, passed or refused"),
    Column("reason", "string", "why it was chosen, lost or was refused"),
    cumulative=True,
    replaced_by=("model_version",),
)

PREDICTION = declared(
    "prediction",
    "one row is a behaviour of the next 90 days and a way to group customers 90 days before",
    ("model_version", "behaviour", "method"),
    Column("model_version", "string", "the model whose recipe was used on the earlier customers"),
    Column(
        "behaviour",
        "string",
        "log_revenue, active_later (in the second half), log_order_value, log_variety, discount_share or revenue; "
        "revenue is shown and not judged",
    ),
    Column("method", "string", "segments, rfm_grid (the sum of RFM scores, in tiers) or raw_rfm_kmeans"),
    Column("eta_squared", "double", "share of the behaviour's variance that lies between the groups, 0 to 1"),
    Column("low", "double", "lower end of its 95 % bootstrap interval"),
    Column("high", "double", "upper end"),
    Column("customers", "long", "customers of the sample that the behaviour says something of"),
    cumulative=True,
    replaced_by=("model_version",),
)
