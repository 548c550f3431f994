"""What is remembered of a population of customers: counts over bins, never a customer. No Spark here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from segengine.features.prepare_numbers import LARGEST, Preparation, prepare

if TYPE_CHECKING:
    from segengine.features.customer_totals import FeatureTotals
    from segengine.model.trained import TrainedModel

__all__ = ["BINS", "DISTANCE", "RECENT_DAYS", "Bins", "Profile", "counted", "cut", "learn"]

BINS = 10
MOST_LEVELS = 20
"""Values of a category that are counted one by one; the others are together."""
RECENT_DAYS = 30
DISTANCE = "distance to the own centre"
FORMAT = 1


@dataclass(frozen=True)
class Bins:
    """How a column is cut, and how many customers are in each part.

    numeric: bin i holds (edges[i-1], edges[i]], the first and the last are open; `low` and `high` are the smallest and
    the largest value seen when the edges were made. categorical: a bin for each of `levels`, and one for all others.
    """

    kind: Literal["numeric", "categorical"]
    counts: tuple[int, ...]
    missing: int
    family: str = ""
    edges: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 0.0
    levels: tuple[str, ...] = ()

    @property
    def known(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class Profile:
    """Customers as of a moment, as counts. `columns` has the features, and DISTANCE; `far` is None where unknown."""

    as_of: dt.datetime
    model_version: str
    customers: int
    """In segments, or of the sample that was looked at."""
    columns: Mapping[str, Bins]
    segments: tuple[int, ...]
    lanes: Mapping[str, int]
    far: int | None = None
    rows_read: int | None = None
    rows_rejected: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "as_of": self.as_of.isoformat(), "format": FORMAT}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Profile:
        """KeyError, TypeError or ValueError when it is not what `to_dict` made."""
        plain = {name: value for name, value in data.items() if name != "format"}
        if data.get("format") != FORMAT:
            raise ValueError("another format")
        columns = {name: _bins(saved) for name, saved in plain["columns"].items()}
        moment = dt.datetime.fromisoformat(plain["as_of"])
        return cls(**{**plain, "as_of": moment, "columns": columns, "segments": tuple(plain["segments"])})


def _bins(saved: Mapping[str, Any]) -> Bins:
    lists = {name: tuple(saved[name]) for name in ("counts", "edges", "levels")}
    return Bins(**{**saved, **lists})


def learn(
    model: TrainedModel, totals: FeatureTotals, *, as_of: dt.datetime, version: str, rows: tuple[int, int] | None
) -> Profile:
    """The profile of the customers that a model was learnt from: what later ones are compared with.

    Made of the model's sample, so of at most 200,000 customers; segments and lanes are those of everybody. With
    segments by group distances are not known here. `rows`: rows read and rejected.
    """
    assert model.sample is not None
    values = model.sample.columns
    columns = {
        feature.name: cut(values[feature.name], feature.kind, feature.family)
        for feature in model.features
        if feature.name in values
    }
    far = None
    if model.grouping is None:
        points = prepare(Preparation.from_dict(model.preparation), values)
        distance, label = _nearest(points, model.centres)
        columns[DISTANCE] = cut(distance, "numeric", "distance")
        far = int((distance > model.outlier_limits[label]).sum())
    lanes = {name: lane.customers for name, lane in totals.by_lane.items()}
    read, rejected = rows if rows is not None else (None, None)
    size = len(model.sample.frame)
    return Profile(as_of, version, size, columns, tuple(model.sizes), lanes, far, read, rejected)


def _nearest(points: NDArray[np.float64], centres: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    distances = np.stack([np.linalg.norm(points - centre, axis=1) for centre in centres], axis=1)
    return distances.min(axis=1), distances.argmin(axis=1)


def cut(values: NDArray[Any], kind: Literal["numeric", "categorical"], family: str) -> Bins:
    """A column of a sample in bins: deciles of numbers, the most frequent texts. Missing is NaN, or None."""
    return _cut_numbers(values, family) if kind == "numeric" else _cut_texts(values, family)


def _cut_numbers(values: NDArray[Any], family: str) -> Bins:
    """A column of a sample in bins: deciles of numbers, the most frequent texts. Missing is NaN, or None."""
    """Deciles; equal ones are one, so a value that many customers have gets a bin that ends with it."""
    numbers = values.astype(np.float64)
    known = np.isfinite(numbers) & (np.abs(numbers) <= LARGEST)
    present = numbers[known]
    missing = int((~known).sum())
    if not len(present):
        return Bins("numeric", (0,), missing, family)
    low, high = float(present.min()), float(present.max())
    deciles = np.quantile(present, np.arange(1, BINS) / BINS, method="inverted_cdf")
    edges = tuple(float(edge) for edge in np.unique(deciles) if edge < high)
    return Bins("numeric", counted(present, edges), missing, family, edges, low, high)


def counted(values: NDArray[Any], edges: Sequence[float]) -> tuple[int, ...]:
    """How many values are in each bin (edges[i-1], edges[i]]."""
    places = np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="left")
    return tuple(int(count) for count in np.bincount(places, minlength=len(edges) + 1))


def _cut_texts(values: NDArray[Any], family: str) -> Bins:
    known = [str(value) for value in values if value is not None]
    names, counts = np.unique(np.array(known, dtype=object).astype(str), return_counts=True)
    order = np.lexsort((names, -counts))
    first, rest = order[:MOST_LEVELS], order[MOST_LEVELS:]
    levels = tuple(str(names[i]) for i in first)
    return Bins(
        "categorical",
        (*(int(counts[i]) for i in first), int(counts[rest].sum())),
        len(values) - len(known),
        family,
        levels=levels,
    )
