"""What scoring without Spark needs of a model: the file scorer.json of a bundle, made from what model.json holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["FORMAT", "WHOLE", "scorer_facts"]

FORMAT = 1

WHOLE = (
    "recency_days",
    "frequency_orders",
    "tenure_days",
    "active_months",
    "categories_count",
    "channels_count",
)
"""Features of the catalog that are always whole numbers: a change to one of them is too."""


def scorer_facts(described: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON form of a scorer: exactly what the saved pipeline applies, in the order in which it does.

    `described`: what `segengine.model.trained.describe` returns. Bundles saved before there was a scorer.json hold it
    as well, in model.json.

    inputs: each column to hand over, with what replaces a missing number, where it is capped, and by what it is divided
    before a signed log (null: no log), or with the levels of a text. vector: (part of input - mean) * weight / std, in
    order. centres: (k, d). grouping: null, or which segments those of a customer's group are. Beside them, for
    explanations: family and unit of each input, whether it takes whole numbers only, and the centres in those units.
    """
    units = {feature["name"]: feature["unit"] for feature in described["features"]}
    preparation, grouping = described["preparation"], described.get("grouping")
    kept = ("name", "kind", "family", "impute", "cap", "log_scale", "levels")
    return {
        "format": FORMAT,
        "inputs": [
            {
                **{key: item[key] for key in kept if key in item},
                "unit": units.get(item["name"], ""),
                "whole": item["name"] in WHOLE,
            }
            for item in preparation["inputs"]
        ],
        "vector": preparation["vector"],
        "centres": described["centres"],
        "centres_original": described["centres_original"],
        "outlier_limits": described["outlier_limits"],
        "names": described["names"],
        "grouping": None if grouping is None else _grouping(grouping),
    }


def _grouping(grouping: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("name", "kind", "value", "first", "k")
    return {
        **{key: grouping[key] for key in ("by", "column", "fallback", "spacing")},
        "groups": [{key: group[key] for key in keys} for group in grouping["groups"]],
    }
