"""Small saved models without Spark: what the tests of the scorer and of explanations load."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segengine.features.prepare_fit import InputColumn, Options, learn
from segengine.features.prepare_numbers import Preparation, inverse
from segengine.model.bundle import canonical_json
from segengine.model.scorer import scorer_facts
from segengine.scoring.online import Scorer

COLUMNS = (
    InputColumn("recency_days", "rfm", "numeric"),
    InputColumn("frequency_orders", "rfm", "numeric"),
    InputColumn("monetary_total", "rfm", "numeric"),
    InputColumn("days_between_orders_mean", "rhythm", "numeric"),
    InputColumn("plan", "attributes", "categorical"),
)
UNITS = {
    "recency_days": "days",
    "frequency_orders": "orders",
    "monetary_total": "currency",
    "days_between_orders_mean": "days",
    "plan": "",
}
NUMBERS = tuple(column.name for column in COLUMNS if column.kind == "numeric")


def customers(n: int = 500, seed: int = 0) -> pd.DataFrame:
    """Skewed numbers, some missing, and a text, some missing."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "recency_days": np.round(random.gamma(2, 40, n)),
            "frequency_orders": 1.0 + random.poisson(4, n),
            "monetary_total": np.round(random.lognormal(4, 1.2, n) - 20, 2),
            "days_between_orders_mean": np.where(random.random(n) < 0.2, np.nan, random.gamma(3, 12, n)),
            "plan": random.choice(np.array(["basic", "pro", "team", None], dtype=object), n, p=[0.5, 0.3, 0.1, 0.1]),
        }
    )


def preparation(cap: tuple[float, float] | None = (0.01, 0.99), log: Any = "auto", scale: Any = "standard"):
    """A preparation learnt from those customers."""
    frame = customers(2000, seed=7)
    columns = {column.name: frame[column.name].to_numpy() for column in COLUMNS}
    return learn(COLUMNS, columns, Options(cap, log, scale, {"rfm": 1.0, "others": 0.5}))


def described(fitted: Preparation, k: int = 5, seed: int = 3, grouping: Mapping[str, Any] | None = None):
    """What model.json holds, with centres drawn near the origin."""
    centres = np.random.default_rng(seed).normal(0, 0.5, (k, len(fitted.vector)))
    more = {} if grouping is None else {"grouping": grouping}
    return {
        "features": [{"name": item.name, "family": item.family, "unit": UNITS[item.name]} for item in fitted.inputs],
        "preparation": fitted.to_dict(),
        "centres": centres.tolist(),
        "centres_original": inverse(fitted, centres),
        "names": [f"Segment {i + 1}" for i in range(k)],
        "outlier_limits": [1.0 + 0.1 * i for i in range(k)],
        "sizes": [100 + 10 * i for i in range(k)],
        "seed": 7,
        **more,
    }


GROUPING: dict[str, Any] = {
    "by": "country",
    "column": "country",
    "fallback": 1,
    "spacing": 64.0,
    "notes": [],
    "groups": [
        {"name": "FR", "kind": "value", "value": "FR", "first": 0, "k": 2, "customers": 9, "metrics": {}},
        {"name": "DE", "kind": "value", "value": "DE", "first": 2, "k": 1, "customers": 9, "metrics": {}},
        {"name": "missing", "kind": "missing", "value": None, "first": 3, "k": 2, "customers": 9, "metrics": {}},
    ],
}


def scorer(model: Mapping[str, Any]) -> Scorer:
    """A scorer of such a model, as loading it would make it."""
    segments = [
        {"segment_key": i + 1, "segment_id": f"S-{i + 1:03d}", "segment_name": name}
        for i, name in enumerate(model["names"])
    ]
    facts = json.loads(json.dumps(scorer_facts(model)))
    return Scorer({**facts, "model_version": "v0001", "segments": segments})


def write_bundle(
    root: Path, model: Mapping[str, Any], version: str = "v0001", without: tuple[str, ...] = (), **files: Any
) -> Path:
    """An output folder whose only model is this one, the champion; `files` are more JSON files of the bundle."""
    folder = root / "models" / version
    contents = {
        "model.json": canonical_json(model),
        "scorer.json": canonical_json(scorer_facts(model)),
        "pipeline/metadata/part-00000": b"{}",
        **{f"{name}.json": canonical_json(data) for name, data in files.items()},
    }
    listed = {}
    for name, content in contents.items():
        if name not in without:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
            listed[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    names = [item["name"] for item in model["preparation"]["inputs"]]
    told = {"format": 1, "version": version, "features": names, "k": len(model["names"]), "spark_version": "4.2.0"}
    manifest = canonical_json({**told, "files": listed})
    (folder / "manifest.json").write_bytes(manifest)
    record = {"version": version, "manifest_sha256": hashlib.sha256(manifest).hexdigest()}
    (root / "models" / "champion.json").write_bytes(canonical_json(record))
    return root


def equal(one: Any, other: Any) -> bool:
    """Whether two tables of scores are the same in every bit."""
    return all(np.array_equal(one[name], other[name]) for name in one)


FITTED = preparation()
MODEL = described(FITTED)
GROUPED = described(FITTED, grouping=GROUPING)
