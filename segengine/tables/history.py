"""Published tables of who was where when, and of what became of the segments."""

from __future__ import annotations

from segengine.tables.declare import Column, declared

__all__ = ["MEMBERSHIP", "MOVES", "SEGMENT_EVENTS"]

MEMBERSHIP = declared(
    "membership",
    "one row is a stay of a customer in a segment or lane, from a moment to another (a slowly changing dimension, "
    "type 2); a row with neither says that the customer is in the tables no more",
    ("customer_key", "valid_from"),
    Column("customer_key", "long", "key of the customer"),
    Column("valid_from", "timestamp", "the first as_of at which the customer was found there"),
    Column("valid_to", "timestamp", "the as_of at which it was somewhere else; null while it is there", nullable=True),
    Column("segment_key", "int", "the segment", nullable=True),
    Column("lane", "string", "the lane", nullable=True),
    Column(
        "cause",
        "string",
        "what brought it there: new (not in the tables before), customer_changed (by the same model), model_changed "
        "(the model before would have left it where it was), left (it is in the tables no more)",
    ),
    Column("model_version", "string", "the model that put it there"),
    cumulative=True,
    whole=True,
)

MOVES = declared(
    "moves",
    "one row is a way that customers went between two moments in succession, and why; who stayed is not in it",
    ("as_of", "move"),
    Column("as_of", "timestamp", "the moment at which they are found to have moved"),
    Column("move", "int", "its place at that moment, 1 is the one of most customers"),
    Column("previous_as_of", "timestamp", "the moment before; null for the first one", nullable=True),
    Column("from_segment_key", "int", "the segment they were in", nullable=True),
    Column("from_lane", "string", "the lane they were in; neither: they were not there", nullable=True),
    Column("to_segment_key", "int", "the segment they are in", nullable=True),
    Column("to_lane", "string", "the lane they are in; neither: they are there no more", nullable=True),
    Column("cause", "string", "as in membership"),
    Column("customers", "long", "how many went that way"),
    Column(
        "revenue",
        "money",
        "their revenue in the window as of that moment; null without revenue, and where an earlier moment was rebuilt",
        nullable=True,
    ),
    cumulative=True,
    replaced_by=("as_of",),
)

SEGMENT_EVENTS = declared(
    "segment_events",
    "one row is what became of a segment when a model was trained that was put to use",
    ("model_version", "segment_key"),
    Column("model_version", "string", "the new model"),
    Column("as_of", "timestamp", "the moment its features look back from"),
    Column("segment_key", "int", "the segment, of the new model or of the one before"),
    Column("segment_id", "string", "its identity, such as S-001"),
    Column("event", "string", "kept, new, split (off another one), merged (into another one) or retired"),
    Column(
        "other_segment_key",
        "int",
        "where most of its customers were (split, new) or are now (merged, retired)",
        nullable=True,
    ),
    Column(
        "overlap",
        "double",
        "kept: Jaccard similarity of its customers by both models; else the share of them that other_segment_key has, "
        "0 to 1; null where only centres could be compared",
        nullable=True,
    ),
    cumulative=True,
    replaced_by=("model_version",),
)
