"""Centres to start from that are where the champion's segments are now. No Spark here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from segengine.features.prepare_numbers import Preparation, prepare

if TYPE_CHECKING:
    from segengine.features.prepare_sample import Sample
    from segengine.model.groups import Key
    from segengine.model.trained import TrainedModel

__all__ = ["centres_of", "places_of", "warm_start"]

Floats = NDArray[np.float64]


def centres_of(champion: TrainedModel | None, by: str | None, key: Key | None) -> list[dict[str, float | str]]:
    """The champion's centres in the features' own units, of the same group where there are groups; none: empty."""
    return [] if champion is None else [champion.centres_original[i] for i in _own(champion, by, key)]


def places_of(
    champion: TrainedModel | None, by: str | None, key: Key | None, sample: Sample
) -> NDArray[np.int64] | None:
    """(n,) which of the champion's segments each customer of a sample is nearest to; None when it cannot be told."""
    own = _own(champion, by, key)
    if champion is None or len(own) == 0:
        return None
    preparation, columns = Preparation.from_dict(champion.preparation), sample.columns
    if not {item.name for item in preparation.inputs} <= set(columns):
        return None
    points = prepare(preparation, columns)
    away = np.stack([np.linalg.norm(points - champion.centres[i], axis=1) for i in own])
    return np.asarray(away.argmin(axis=0), dtype=np.int64)


def _own(champion: TrainedModel | None, by: str | None, key: Key | None) -> range:
    """Indices of the champion's segments, of the same group where there are groups."""
    if champion is None or (champion.grouping.by if champion.grouping else None) != by:
        return range(0)
    if champion.grouping is None:
        return range(champion.k)
    found = [group for group in champion.grouping.groups if group.key == key]
    return range(found[0].first, found[0].stop) if found else range(0)


def warm_start(
    preparation: Preparation, centres: Floats, champion: Sequence[Mapping[str, float | str]]
) -> Floats | None:
    """`centres` (k, d) of the sweep, each moved to the champion's centre that is nearest in the pairing of all.

    `champion`: its centres in the features' own units. With more centres than the champion has, those without a partner
    stay; so do the components of features that the champion does not know. None when it knows none of them.
    """
    known = {name for centre in champion for name in centre}
    parts = [j for j, column in enumerate(preparation.vector) if column.input in known]
    if not parts or not champion:
        return None
    columns = {
        item.name: np.array(
            [centre.get(item.name) for centre in champion], dtype=np.float64 if item.kind == "numeric" else object
        )
        for item in preparation.inputs
    }
    before = prepare(preparation, columns)[:, parts]
    away = ((centres[:, None, parts] - before[None, :, :]) ** 2).sum(axis=2)
    rows, partners = linear_sum_assignment(away)
    start = centres.copy()
    start[np.ix_(rows, parts)] = before[partners]
    return start
