"""Score customers without Spark: a saved model, verified, with numpy alone.

    scorer = load("out/online-retail")
    scorer.score({"recency_days": 3, "frequency_orders": 12, ...})    # one customer: a dict of values
    scorer.score(table)                                               # many: a dict of columns, or a table

Segments are those of the saved Spark pipeline for every customer; distances are within 1e-9 of batch scoring.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segengine.errors import BundleError
from segengine.scoring.nearest import Centres
from segengine.scoring.online_files import read_scorer
from segengine.scoring.online_points import MISSING, OTHER, Points
from segengine.scoring.online_rows import as_columns, as_numbers, as_texts

__all__ = ["Scorer", "load"]

CHUNK = 4096
"""Customers at a time: what they take then stays in the processor's cache."""

Indices = NDArray[np.int64]


def load(path: str | os.PathLike[str], version: str | None = None) -> Scorer:
    """A scorer from an output folder, its folder `models`, or the folder of a version, on a local disk.

    Without `version` it is the champion. Raises ModelError when there is none, and BundleError when the version is
    incomplete, altered or of another format.
    """
    return Scorer(read_scorer(path, version))


class Scorer:
    """A model that scores customers. It never changes; threads may share it."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """`facts`: what `segengine.scoring.online_files.read_scorer` returns. Raises BundleError when they clash."""
        self.model_version = str(facts["model_version"])
        self.segments: tuple[dict[str, Any], ...] = tuple(facts["segments"])
        """segment_key, segment_id and segment_name of each, by the index of its centre."""
        self.inputs: tuple[dict[str, Any], ...] = tuple(facts["inputs"])
        self.points = Points(facts["inputs"], facts["vector"])
        self.centres = np.array(facts["centres"], dtype=np.float64)
        """(k, d) in prepared space; `limits` (k,): whoever is farther from its centre is an outlier."""
        self.centres_original: tuple[dict[str, Any], ...] = tuple(facts["centres_original"])
        """feature -> value in its own unit, of each centre."""
        self.limits = np.array(facts["outlier_limits"], dtype=np.float64)
        self._grouping = facts["grouping"]
        if self.centres.shape != (len(self.segments), self.points.size) or len(self.limits) != len(self.segments):
            raise BundleError(
                "The scorer's parts do not fit together.",
                found=f"centres {self.centres.shape}, {len(self.segments)} segments, {self.points.size} components",
                todo="Train again.",
            )
        self._keys = np.array([segment["segment_key"] for segment in self.segments], dtype=np.int32)
        self._names = np.array([segment["segment_name"] for segment in self.segments], dtype=object)
        self._set_groups()
        codes = [{level: code for code, level in enumerate(levels)} for levels in self.points.levels]
        self._codes = dict(zip(self.points.texts, codes, strict=True))

    def _set_groups(self) -> None:
        """The segments of each group, first and one past the last, and which value leads to which group."""
        if self._grouping is None:
            self.spans: tuple[tuple[int, int], ...] = ((0, len(self.centres)),)
            self._groups: tuple[Centres, ...] = (Centres(self.centres),)
            return
        groups, spacing = self._grouping["groups"], self._grouping["spacing"]
        self.spans = tuple((group["first"], group["first"] + group["k"]) for group in groups)
        self._groups = tuple(
            Centres(self.centres[a:b], i * spacing, len(self.centres)) for i, (a, b) in enumerate(self.spans)
        )
        self._group_of = {group["value"]: i for i, group in enumerate(groups) if group["kind"] == "value"}
        self._group_of[None] = next(
            (i for i, group in enumerate(groups) if group["kind"] == "missing"), self._grouping["fallback"]
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """What a customer has to be handed over with: the features, and the attribute that groups are by."""
        extra = () if self._grouping is None else (str(self._grouping["column"]),)
        return tuple(dict.fromkeys((*(str(item["name"]) for item in self.inputs), *extra)))

    def score(self, customers: Any) -> dict[str, Any]:
        """Segment, distance, margin and runner-up: of one customer (a dict of values), or columns of many.

        `customers`: a dict of values or of columns, or a table of pyarrow, pandas or polars, with `columns`; None and
        NaN are missing. segment_index and segment_key (int), segment_name, distance to the own centre (prepared units),
        margin ((distance to the runner-up - distance) / distance to the runner-up, 0 to 1), runner_up_key,
        is_outlier. Raises InputError for missing columns, texts for numbers and the like.
        """
        columns, single = as_columns(customers, self.columns)
        numbers, codes, groups = self.raw(columns)
        n = groups.shape[0]
        index, runner_up = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
        distance, second = np.empty(n), np.empty(n)
        for rows, group in self._chunks(groups):
            points = self.points.prepare(numbers[:, rows], codes[:, rows])
            nearest, distance[rows], other, second[rows] = self._groups[group].find(points)
            index[rows], runner_up[rows] = nearest + self.spans[group][0], other + self.spans[group][0]
        gap = np.where(second > 0, 1.0 - distance / np.where(second > 0, second, 1.0), 0.0)
        scored: dict[str, Any] = {
            "segment_index": index,
            "segment_key": self._keys[index],
            "segment_name": self._names[index],
            "distance": distance,
            "margin": np.clip(gap, 0.0, 1.0),
            "runner_up_key": self._keys[runner_up],
            "is_outlier": distance > self.limits[index],
        }
        return {name: column.tolist()[0] for name, column in scored.items()} if single else scored

    def raw(self, columns: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.float64], Indices, Indices]:
        """Numbers (numeric inputs, n), codes of texts (texts, n) and the group of each customer (n,)."""
        n = len(next(iter(columns.values())))
        numbers = np.empty((len(self.points.numbers), n))
        for i, name in enumerate(self.points.numbers):
            numbers[i] = as_numbers(name, columns[name])
        codes = np.empty((len(self.points.texts), n), dtype=np.int64)
        for i, name in enumerate(self.points.texts):
            known = {**self._codes[name], None: MISSING}
            codes[i] = [known.get(text, OTHER) for text in as_texts(name, columns[name])]
        groups = np.zeros(n, dtype=np.int64)
        if self._grouping is not None:
            column, fallback = self._grouping["column"], self._grouping["fallback"]
            groups[:] = [self._group_of.get(text, fallback) for text in as_texts(column, columns[column])]
        return numbers, codes, groups

    def group_centres(self, group: int) -> Centres:
        """The centres of a group by its index; 0 without groups."""
        return self._groups[group]

    def _chunks(self, groups: Indices) -> Iterator[tuple[Any, int]]:
        """Rows of one group each, a few thousand at a time."""
        n = len(groups)
        if len(self._groups) == 1:
            yield from ((slice(start, start + CHUNK), 0) for start in range(0, n, CHUNK))
            return
        order = np.argsort(groups, kind="stable")
        ends = np.searchsorted(groups[order], np.arange(len(self._groups)), side="right")
        for group, (start, end) in enumerate(zip((0, *ends), ends, strict=False)):
            for at in range(start, end, CHUNK):
                yield order[at : min(at + CHUNK, end)], group
