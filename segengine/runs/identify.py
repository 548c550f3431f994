"""Who the segments of a model that was just trained are: matched to the champion's on the same customers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from segengine.config.times import microseconds
from segengine.features.prepare_numbers import Preparation, prepare
from segengine.features.prepare_stages import TEMPORARY
from segengine.job import Job
from segengine.model import bundle
from segengine.model.identity import Identity, by_centres, by_overlap, first, unmatched
from segengine.model.identity_file import minted
from segengine.model.trained import LoadedModel, TrainedModel
from segengine.scoring import batch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

__all__ = ["can_score", "identified"]

OLD = TEMPORARY + "old"
KNOWN_BEFORE = dt.timedelta(days=180)
"""A customer who is still one has ordered in this time before a moment, mostly."""


def identified(
    job: Job, rows: DataFrame, model: TrainedModel, champion: LoadedModel | None, since: dt.datetime | None
) -> TrainedModel:
    """The model with the keys and names of the champion's segments where they are still the same ones.

    `rows`: the customers it was trained on, `since`: where the history begins that they are of. Without a champion the
    keys go by revenue, after all that were ever given.
    """
    taken = minted(job.store, bundle.versions(job.store))
    if champion is None:
        identity, known = first(model.k, taken), {}
    else:
        identity = _matched(rows, model, champion, taken, since)
        known = dict(zip(champion.segment_keys, champion.names, strict=True))
    return replace(model, identity=identity, names=_names(model, identity, known))


def can_score(champion: LoadedModel, rows: DataFrame) -> bool:
    """Whether the rows have every column that a model needs."""
    needed = {item.name for item in Preparation.from_dict(champion.preparation).inputs}
    needed |= {champion.grouping.column} if champion.grouping else set()
    return needed <= set(rows.columns)


def _tells_new(since: dt.datetime | None, champion: LoadedModel) -> bool:
    """Whether a first order in the history tells who came after the champion's training.

    It has to begin well before that. Otherwise old customers who bought again would all be taken for new ones.
    """
    return since is None or _trained(champion) - since >= KNOWN_BEFORE


def _trained(champion: LoadedModel) -> dt.datetime:
    return dt.datetime.fromisoformat(str(champion.manifest["as_of"]))


def _matched(
    rows: DataFrame, model: TrainedModel, champion: LoadedModel, taken: tuple[int, ...], since: dt.datetime | None
) -> Identity:
    old, allowed = champion.segment_keys, _same_group(champion, model)
    if can_score(champion, rows):
        common, fresh = _overlap(rows, model, champion, since)
        if common.any():
            return by_overlap(
                common,
                fresh.tolist(),
                old=old,
                minted=taken,
                champion=champion.version,
                sizes=champion.sizes,
                allowed=allowed,
            )
    distances = _distances(model, champion)
    if distances is None:
        return unmatched(model.k, old=old, minted=taken, champion=champion.version)
    apart = np.linalg.norm(champion.centres[:, None, :] - champion.centres[None, :, :], axis=2)
    np.fill_diagonal(apart, np.inf)
    gaps = np.where(_same_group(champion, champion), apart, np.inf).min(axis=1)
    return by_centres(distances, gaps, old=old, minted=taken, champion=champion.version, allowed=allowed)


def _same_group(one: TrainedModel, other: TrainedModel) -> NDArray[np.bool_]:
    """(k, k'): whether two segments are of the same group, or neither model has any."""
    first_groups, second_groups = (np.array(_groups(model)) for model in (one, other))
    return np.asarray(first_groups[:, None] == second_groups[None, :])


def _groups(model: TrainedModel) -> list[str]:
    """What tells apart the groups of the segments, by index."""
    grouping = model.grouping
    if grouping is None:
        return [""] * model.k
    return [f"{grouping.by} {group.key}" for group in grouping.groups for _ in range(group.k)]


def _overlap(
    rows: DataFrame, model: TrainedModel, champion: LoadedModel, since: dt.datetime | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Customers by the champion's and the new segment, (k_old, k_new), and those who came after the champion, (k_new).

    Where nothing tells the latter, all were there. Both models score the same snapshot; of which k_old x k_new numbers
    come back.
    """
    from pyspark.sql import functions as F

    there = F.lit(True)
    if _tells_new(since, champion) and "first_ordered_at" in rows.columns:
        micros = F.lit(microseconds(_trained(champion)))
        there = F.coalesce(F.unix_micros("first_ordered_at") < micros, F.lit(True))
    before = batch.score(rows, champion).withColumnRenamed("segment_index", OLD)
    scored = batch.score(before.withColumn(TEMPORARY + "there", there), model)
    counted = scored.groupBy(OLD, "segment_index", TEMPORARY + "there").agg(F.count(F.lit(1)).alias("customers"))
    common = np.zeros((champion.k, model.k), dtype=np.int64)
    fresh = np.zeros(model.k, dtype=np.int64)
    for old, new, was_there, customers in counted.collect():
        if was_there:
            common[old, new] += customers
        else:
            fresh[new] += customers
    return common, fresh


def _distances(model: TrainedModel, champion: LoadedModel) -> NDArray[np.float64] | None:
    """(k_old, k_new) distances in the champion's space; None when the models share no feature.

    A feature that only the champion has counts as missing, and its part of the distance is left out.
    """
    preparation = Preparation.from_dict(champion.preparation)
    shared = {feature.name for feature in model.features}
    parts = [j for j, column in enumerate(preparation.vector) if column.input in shared]
    if not parts:
        return None
    columns = {
        item.name: np.array(
            [centre.get(item.name) for centre in model.centres_original],
            dtype=np.float64 if item.kind == "numeric" else object,
        )
        for item in preparation.inputs
    }
    away = prepare(preparation, columns)[:, parts][None, :, :] - champion.centres[:, parts][:, None, :]
    return np.asarray(np.linalg.norm(away, axis=2), dtype=np.float64)


def _names(model: TrainedModel, identity: Identity, known: Mapping[int, str]) -> tuple[str, ...]:
    """A kept segment keeps its name, `known` by its key; others keep that of training, or go by their key."""
    kept = {key: known[key] for key in identity.keys if key in identity.kept and key in known}
    names = []
    for index, (key, name) in enumerate(zip(identity.keys, model.names, strict=True)):
        group = model.group_of(index)
        numbered = f"Segment {key}" if group is None else f"{group}: segment {key}"
        names.append(kept.get(key, name if not kept else numbered))
    return tuple(names)
