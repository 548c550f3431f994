"""How good segments are, measured alike for all contestants: cost and separation in common spaces, and the truth."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from benchmarks.contestants.sweep import prepared
from benchmarks.contestants.task import CUSTOMERS_FILE, FEATURES, RESTARTS, RESULT_FILE, SEED, SILHOUETTE_SAMPLE
from segengine.features.prepare_numbers import Preparation, prepare

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

STEP = re.compile(r"segengine\.steps: ([^:]+): .*?([\d,]*\d\.\d+) s, run")
"""A step of a run and its seconds, in segengine's log."""


def segmented(out: Path) -> pa.Table:
    """What a contestant wrote, by customer_id: FEATURES and segment, numbered from 0. One row is a customer."""
    gold = out / "output" / "gold"
    if not gold.is_dir():
        return _by_id(ds.dataset(out / CUSTOMERS_FILE).to_table(["customer_id", *FEATURES, "segment"]))
    current = gold / json.loads((gold / "current.json").read_text(encoding="utf-8"))["folder"]
    rows = ds.dataset(current / "assignments").to_table(["customer_key", *FEATURES, "segment_key"])
    ids = ds.dataset(current / "customers").to_table(["customer_key", "customer_id"])
    rows = _by_id(rows.join(ids, "customer_key").drop_columns("customer_key"))
    keys = pc.subtract(rows["segment_key"], 1)
    return rows.drop_columns("segment_key").append_column("segment", keys)


def _by_id(rows: pa.Table) -> pa.Table:
    """Sorted by customer_id, which is a plain string afterwards: polars writes large ones."""
    position = rows.schema.get_field_index("customer_id")
    ids = rows["customer_id"].cast(pa.string())
    return rows.set_column(position, "customer_id", ids).sort_by("customer_id")


def account(out: Path) -> dict[str, Any]:
    """A contestant's result.json; for segengine the same, from its own record of the run."""
    file = out / RESULT_FILE
    if file.is_file():
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found
    model = _model(out)
    total = sum(model["sizes"])
    (log,) = (out / "output").glob("*.log")
    steps = STEP.findall(log.read_text(encoding="utf-8"))
    return {
        "customers": total,
        "k": len(model["sizes"]),
        "shares": {str(segment): round(size / total, 6) for segment, size in enumerate(model["sizes"])},
        "seconds": {step: float(seconds.replace(",", "")) for step, seconds in steps},
    }


def _model(out: Path) -> dict[str, Any]:
    (file,) = (out / "output" / "models").glob("v*/model.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class Space:
    """Points (customers, dimensions) that clusterings are compared on, and the customers that silhouettes are of."""

    name: str
    points: Floats
    shown: NDArray[np.int64]

    def cost(self, labels: Labels) -> float:
        """Within-segment sum of squares about the segments' own means."""
        total = 0.0
        for segment in np.unique(labels):
            members = self.points[labels == segment]
            total += float(((members - members.mean(axis=0)) ** 2).sum())
        return total

    def silhouettes(self, labels: Labels) -> tuple[float, float]:
        """Mean over customers, and mean of the segments' means (macro), of the same customers for everybody."""
        few = labels[self.shown]
        values = silhouette_samples(self.points[self.shown], few)
        macro = np.mean([values[few == segment].mean() for segment in np.unique(few)])
        return float(values.mean()), float(macro)


@dataclass(frozen=True)
class Judge:
    """Judges clusterings of the same customers. `truth`: the segment that each was made of, in the order of ids."""

    ids: pa.ChunkedArray
    truth: Labels
    spaces: tuple[Space, ...]

    @classmethod
    def of(cls, customers: pa.Table, truth: Path, segengine: Path | None) -> Judge:
        """`customers`: as of `segmented`, whosever; `segengine`: its output, for the space that it works in."""
        known = ds.dataset(truth).to_table()
        true = customers.select(["customer_id"]).join(known, "customer_id").sort_by("customer_id")
        features = np.column_stack([customers[name].to_numpy() for name in FEATURES])
        chance = np.random.default_rng(SEED)
        count = min(SILHOUETTE_SAMPLE, len(features))
        shown = np.sort(chance.choice(len(features), count, replace=False))
        spaces = [Space("log1p, z", prepared(features), shown)]
        if segengine is not None:
            preparation = Preparation.from_dict(_model(segengine)["preparation"])
            columns = {name: features[:, position] for position, name in enumerate(FEATURES)}
            spaces.append(Space("segengine's", prepare(preparation, columns), shown))
        codes = true["true_segment"].combine_chunks().dictionary_encode().indices.to_numpy()
        return cls(customers["customer_id"], codes.astype(np.int64), tuple(spaces))

    def verdict(self, rows: pa.Table) -> dict[str, Any]:
        """k, agreement with the truth (adjusted Rand index, 1 is all), and cost and silhouettes in each space."""
        if not rows["customer_id"].equals(self.ids):
            raise ValueError("The contestants do not have the same customers.")
        labels = rows["segment"].to_numpy().astype(np.int64)
        return {
            "k": len(np.unique(labels)),
            "adjusted_rand_index": round(float(adjusted_rand_score(self.truth, labels)), 4),
            "spaces": {space.name: _in_space(space, labels) for space in self.spaces},
        }

    def best_known(self, k: int) -> dict[str, float]:
        """Cost of scikit-learn's k-means on everybody, RESTARTS starts, by space: what a cost is to be held against."""
        return {
            space.name: float(KMeans(n_clusters=k, n_init=RESTARTS, random_state=SEED).fit(space.points).inertia_)
            for space in self.spaces
        }


def _in_space(space: Space, labels: Labels) -> dict[str, float]:
    mean, macro = space.silhouettes(labels)
    return {"cost": space.cost(labels), "silhouette": round(mean, 4), "macro_silhouette": round(macro, 4)}


def rows_of(folder: Path) -> int:
    """Rows of all Parquet files of a folder."""
    return int(ds.dataset(folder).count_rows())
