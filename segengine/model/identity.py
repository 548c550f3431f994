"""Who the segments of a new model are: ids that survive a retrain, and what became of every segment. No Spark here.

A segment keeps the id of the champion's segment that most of the same customers are in, so a retrain that finds the
same segments in another order, or some more or fewer of them, changes no id. An id is never given twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

__all__ = ["FILE", "Event", "Identity", "by_centres", "by_overlap", "first", "kept_share", "segment_id", "unmatched"]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Happening = Literal["kept", "new", "split", "merged", "retired"]
Method = Literal["first", "overlap", "centres", "none"]

FILE = "identity.json"
FORMAT = 1

ALIKE = 1 / 3
"""Jaccard similarity from which a segment may keep an id: two segments of equal size then share half of their
customers. One that falls into three equal parts has no heir."""

MOST = 0.5
"""Share of customers that says where a segment came from or went to."""


def segment_id(segment_key: int) -> str:
    """The id that people see: 1 is S-001."""
    return f"S-{segment_key:03d}"


@dataclass(frozen=True)
class Event:
    """What became of a segment in a retrain. `overlap` is 0 to 1, None where only centres were compared.

    kept: Jaccard similarity of the customers it had and has. split, new: `other_segment_key` is where most of its
    customers were, and `overlap` their share of it. merged, retired: where most of its customers are now, and their
    share of what it had.
    """

    segment_key: int
    event: Happening
    other_segment_key: int | None
    overlap: float | None


@dataclass(frozen=True)
class Identity:
    """The lasting keys of a model's segments, by their index, and of all that were ever given."""

    keys: tuple[int, ...]
    minted: tuple[int, ...]
    """Every key that any version of the output ever had, in order: none of them is given again."""
    events: tuple[Event, ...] = ()
    champion: str | None = None
    """The version it was matched to."""
    method: Method = "first"
    counts: tuple[tuple[int, ...], ...] = ()
    """Common customers by the champion's segment (rows) and the new one, where overlap decided."""

    @property
    def kept(self) -> frozenset[int]:
        """Keys that the champion had as well."""
        return frozenset(event.segment_key for event in self.events if event.event == "kept")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; for every centre its index, key and id."""
        segments = [
            {"index": index, "segment_key": key, "segment_id": segment_id(key)} for index, key in enumerate(self.keys)
        ]
        return {
            "format": FORMAT,
            "segments": segments,
            "minted": list(self.minted),
            "champion": self.champion,
            "method": self.method,
            "events": [asdict(event) for event in self.events],
            "counts": [list(row) for row in self.counts],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Identity:
        """The inverse of `to_dict`. KeyError, TypeError or ValueError: it is something else."""
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']}")
        places = {int(item["index"]): int(item["segment_key"]) for item in data["segments"]}
        if sorted(places) != list(range(len(places))) or len(set(places.values())) != len(places):
            raise ValueError("indices or keys are not each there once")
        return cls(
            tuple(places[index] for index in range(len(places))),
            tuple(int(key) for key in data["minted"]),
            tuple(Event(**event) for event in data["events"]),
            data["champion"],
            data["method"],
            tuple(tuple(int(n) for n in row) for row in data["counts"]),
        )


def first(k: int, minted: Iterable[int] = ()) -> Identity:
    """The identity of a model that nothing came before: 1 for the first segment, which has most revenue."""
    taken = max(minted, default=0)
    keys = tuple(range(taken + 1, taken + k + 1))
    return Identity(keys, tuple(sorted({*minted, *keys})), tuple(Event(key, "new", None, 0.0) for key in keys))


def kept_share(before: Counts, after: Counts) -> float:
    """The share of customers who would keep their id when the segments `before` (n) become those `after` (n)."""
    counts = np.zeros((int(before.max()) + 1, int(after.max()) + 1), dtype=np.int64)
    np.add.at(counts, (before, after), 1)
    pairs = _assigned(np.where(_jaccard(counts) >= ALIKE, counts, 0).astype(np.float64))
    return float(sum(counts[i, j] for j, i in pairs.items()) / len(before))


def by_overlap(
    counts: Counts,
    fresh: Sequence[int],
    *,
    old: Sequence[int],
    minted: Iterable[int],
    champion: str,
    sizes: Sequence[int],
    allowed: NDArray[np.bool_] | None = None,
) -> Identity:
    """Match by customers that the champion and the new model both put in a segment, of the same snapshot.

    `counts` (k_old, k_new): customers who were there when the champion was trained; `fresh` (k_new): those who came
    later. `old`: the champion's keys; `sizes`: its customers when it was trained; `allowed` (k_old, k_new): which
    segments are of the same group. The matching with most common customers wins among pairs that are ALIKE.
    """
    counts = np.asarray(counts, dtype=np.int64)
    eligible = np.ones(counts.shape, dtype=bool) if allowed is None else allowed
    has, alike = counts.sum(axis=0), _jaccard(counts)
    pairs = _assigned(np.where(eligible & (alike >= ALIKE), counts, 0).astype(np.float64))
    keys, registry = _keys(pairs, old, counts.shape[1], minted)
    events = [Event(old[i], "kept", None, float(alike[i, j])) for j, i in sorted(pairs.items())]
    for j in range(counts.shape[1]):
        if j not in pairs:
            events.append(_arrived(keys[j], counts[:, j], int(has[j] + fresh[j]), old))
    heirs = set(pairs.values())
    for i in range(counts.shape[0]):
        if i not in heirs:
            events.append(_gone(old[i], counts[i], sizes[i], keys))
    return Identity(keys, registry, tuple(events), champion, "overlap", tuple(map(tuple, counts.tolist())))


def by_centres(
    distances: Floats,
    gaps: Floats,
    *,
    old: Sequence[int],
    minted: Iterable[int],
    champion: str,
    allowed: NDArray[np.bool_] | None = None,
) -> Identity:
    """Match by centres in the champion's space, where no customers can be compared.

    `distances` (k_old, k_new); `gaps` (k_old): from each of the champion's centres to the nearest other one. A segment
    may keep the id of the centre that it is nearest to; the matching with the smallest sum of distances wins. Half a
    gap from a centre every customer is certainly the champion's: a second new centre in there is a split.
    """
    limited = np.where(np.ones(distances.shape, dtype=bool) if allowed is None else allowed, distances, np.inf)
    nearest = limited.argmin(axis=0)
    near = np.isfinite(limited) & (np.arange(len(limited))[:, None] == nearest[None, :])
    farthest = float(distances[near].max(initial=0.0)) + 1.0
    pairs = _assigned(np.where(near, len(limited) * farthest + farthest - np.where(near, distances, 0.0), 0.0))
    keys, registry = _keys(pairs, old, distances.shape[1], minted)
    events = [Event(old[i], "kept", None, None) for _, i in sorted(pairs.items())]
    for j in range(distances.shape[1]):
        if j not in pairs:
            i = int(nearest[j])
            inside = bool(near[i, j]) and distances[i, j] <= gaps[i] / 2
            events.append(Event(keys[j], "split" if inside else "new", old[i] if inside else None, None))
    heirs = set(pairs.values())
    events += [Event(old[i], "retired", None, None) for i in range(len(limited)) if i not in heirs]
    return Identity(keys, registry, tuple(events), champion, "centres")


def unmatched(k: int, *, old: Sequence[int], minted: Iterable[int], champion: str) -> Identity:
    """All segments are new and all of the champion's retired: the models have no feature in common."""
    keys, registry = _keys({}, old, k, minted)
    events = [*(Event(key, "new", None, None) for key in keys), *(Event(key, "retired", None, None) for key in old)]
    return Identity(keys, registry, tuple(events), champion, "none")


def _jaccard(counts: Counts) -> Floats:
    union = counts.sum(axis=1)[:, None] + counts.sum(axis=0)[None, :] - counts
    return np.asarray(np.divide(counts, union, out=np.zeros(counts.shape), where=union > 0), dtype=np.float64)


def _assigned(weights: Floats) -> dict[int, int]:
    """New segment -> the champion's, with the largest sum of weights (Kuhn 1955); a weight of 0 is no match."""
    rows, columns = linear_sum_assignment(weights, maximize=True)
    return {int(j): int(i) for i, j in zip(rows, columns, strict=True) if weights[i, j] > 0}


def _keys(
    pairs: Mapping[int, int], old: Sequence[int], k: int, minted: Iterable[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The key of every new segment, and the registry with those that had to be minted."""
    registry = {*minted, *old}
    keys = []
    for j in range(k):
        key = old[pairs[j]] if j in pairs else max(registry, default=0) + 1
        registry.add(key)
        keys.append(key)
    return tuple(keys), tuple(sorted(registry))


def _arrived(key: int, came_from: Counts, customers: int, old: Sequence[int]) -> Event:
    """A segment without an heirloom: split off when most of its customers were in one segment, else new."""
    i = int(came_from.argmax())
    share = float(came_from[i] / customers) if customers else 0.0
    return Event(key, "split" if share >= MOST else "new", old[i] if came_from[i] else None, share)


def _gone(key: int, went_to: Counts, size: int, keys: Sequence[int]) -> Event:
    """A segment without an heir: merged when most of its customers are in one segment now.

    Retired when they are scattered, or when more than half of its customers had left it before the model did.
    """
    j, customers = int(went_to.argmax()), int(went_to.sum())
    share = float(went_to[j] / customers) if customers else 0.0
    merged = share >= MOST and customers >= MOST * size
    return Event(key, "merged" if merged else "retired", keys[j] if went_to[j] else None, share)
