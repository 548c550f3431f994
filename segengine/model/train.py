"""From one row of features a customer to a trained model: sample, prepare, sweep, choose, fit, order, measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segengine.errors import ModelError
from segengine.features.names import attribute_columns
from segengine.features.prepare import Prepare, input_columns, options_of
from segengine.features.prepare_numbers import Preparation, inverse
from segengine.features.prepare_sample import Sample
from segengine.kept import keep
from segengine.model.fit import Fit, contest, lay_out, segment_order, settle, steadier
from segengine.model.group_sample import group_samples, group_sizes
from segengine.model.groups import Grouping, GroupModel, Key, Routing, named, spacing
from segengine.model.pipeline import segment_pipeline
from segengine.model.sample import SAMPLE_LIMIT, hash_sample
from segengine.model.search import Found, Searched, fewest, least_customers, search, search_groups
from segengine.model.stability import DRAWS, bootstrap_jaccard
from segengine.model.sweep import measure
from segengine.model.trained import TrainedModel
from segengine.model.warm import centres_of, places_of, warm_start

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from segengine.config import Config
    from segengine.features.catalog import Chosen

__all__ = ["Segmentation", "find_segments", "fit_segments", "outlier_limits"]

Floats = NDArray[np.float64]

FEWEST_DRAWS = 5
"""Bootstrap draws of a group's customers at least; the work of many groups is kept to that of a few models."""


@dataclass(frozen=True)
class _Part:
    """The segments of a group, or of everybody, in their order."""

    key: Key | None
    found: Found
    centres: Floats
    sizes: NDArray[np.int64]
    revenue: float
    limits: Floats
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Segmentation:
    """Segments that were found among sampled customers, not yet fitted to all of them."""

    sample: Sample
    preparation: Preparation
    searched: Searched

    @property
    def k(self) -> int:
        """How many segments, of all groups together."""
        return sum(found.decision.k for found in self.searched.found)


def find_segments(
    rows: DataFrame,
    chosen: Chosen,
    config: Config,
    *,
    seed: int,
    sample_limit: int = SAMPLE_LIMIT,
    provisional: bool = False,
    champion: TrainedModel | None = None,
    weights: Mapping[str, float] | None = None,
    customers: int | None = None,
) -> Segmentation:
    """Segments of a sample of the customers in `rows`: one row each, with customer_id, the feature columns and
    revenue_e4, with segments.by also the attribute's column.

    `rows` is read once or twice here: persist it when it is dear to compute. `customers`: how many rows there are,
    where that is known. Raises ModelError when there are too few customers, nothing tells them apart or no k passes,
    and FeatureError for a feature that cannot be prepared.
    `provisional`: when no k passes for everybody, the least bad one is taken. `champion`: the model in use. `weights`:
    those of families, where prepare.weights is auto.
    """
    estimator = Prepare(
        inputs=input_columns(chosen.features), options=options_of(config.prepare, weights), sample_limit=sample_limit
    )
    by = config.segments.by
    if by is None:
        sample = hash_sample(rows, estimator.input_columns(), sample_limit, customers=customers)
        _require_customers(sample.customers, config)
        preparation = estimator.learn(sample.columns)
        before = places_of(champion, by, None, sample)
        found = search(sample, preparation, config, seed, provisional=provisional, before=before)
        return Segmentation(sample, preparation, Searched((), (found,), ()))
    column = attribute_columns(config)[by]
    sizes = group_sizes(rows, column, by, least_customers(config))
    _require_customers(sizes.customers, config)
    sample, samples = group_samples(rows, estimator.input_columns(), column, sizes, sample_limit)
    preparation = estimator.learn(sample.columns)
    places = partial(places_of, champion, by)
    searched = search_groups(sizes, samples, preparation, config, seed, before=places)
    return Segmentation(sample, preparation, searched)


def fit_segments(
    rows: DataFrame,
    chosen: Chosen,
    config: Config,
    found: Segmentation,
    *,
    seed: int,
    champion: TrainedModel | None = None,
) -> TrainedModel:
    """The model of segments that were found among a sample of `rows`, fitted to all of them.

    `rows` is read once. `champion`: the model in use, whose centres the fit starts from as well.
    """
    preparation, searched = found.preparation, found.searched
    parts = _fitted(rows, preparation, searched, config, seed, champion)
    grouping = _grouping(parts, searched, preparation, config)
    centres = np.concatenate([part.centres for part in parts])
    return TrainedModel(
        pipeline=segment_pipeline(rows.sparkSession, preparation, centres, grouping),
        features=tuple(chosen.features),
        preparation=preparation.to_dict(),
        centres=centres,
        centres_original=inverse(preparation, centres),
        names=_names(parts, grouping),
        outlier_limits=np.concatenate([part.limits for part in parts]),
        sizes=tuple(int(size) for part in parts for size in part.sizes),
        decision=parts[0].found.decision if grouping is None else grouping.decision(),
        metrics=parts[0].metrics if grouping is None else grouping.metrics(),
        seed=seed,
        grouping=grouping,
        sample=found.sample,
    )


def _require_customers(customers: int, config: Config) -> None:
    k_values = list(config.k_values)
    if not k_values or min(k_values) < 2:
        raise ModelError("segments.k must be 2 or more.", where="segments.k", found=str(k_values))
    if customers < fewest(config):
        raise ModelError(
            f"There are too few customers to find {min(k_values)} segments.",
            where="customers with purchases that count",
            found=f"{customers:,} customers; {fewest(config):,} are needed",
            todo="Use a longer history, check which rows were rejected, or ask for fewer segments (segments.k).",
        )


def _fitted(
    rows: DataFrame,
    preparation: Preparation,
    searched: Searched,
    config: Config,
    seed: int,
    champion: TrainedModel | None,
) -> list[_Part]:
    """Every group's centres fitted to all of its customers; the group with most revenue (or customers) first."""
    has_revenue = config.kind != "customers" and "revenue_e4" in rows.columns
    keys = searched.keys or (None,)
    by, low, high = config.segments.by, config.segments.least_share, config.segments.max_share
    before = [centres_of(champion, by, key) for key in keys]
    warm = [warm_start(preparation, found.centres, was) for found, was in zip(searched.found, before, strict=True)]
    customers = sum(found.customers for found in searched.found)
    routing = _routing(searched, config)
    points = keep(lay_out(rows, preparation, customers, has_revenue=has_revenue, routing=routing))
    try:
        if routing is not None:
            chosen = [
                steadier(found.points, found.centres, start, seed=seed, min_share=low, max_share=high)
                for found, start in zip(searched.found, warm, strict=True)
            ]
            fits = settle(points.rows, [centres for _, centres in chosen], [name for name, _ in chosen])
        else:
            found, limits = searched.found[0], {"min_share": low, "max_share": high}
            best = contest(points.rows, found.centres, seed=seed, sample=found.points, champion=warm[0], **limits)
            fits = [best]
    finally:
        points.release()
    draws = max(FEWEST_DRAWS, DRAWS // len(keys))
    parts = [_part(*one, config, seed, draws) for one in zip(keys, searched.found, fits, strict=True)]
    by_revenue = config.kind != "customers"
    return sorted(parts, key=lambda part: (-part.revenue if by_revenue else 0.0, -int(part.sizes.sum()), str(part.key)))


def _routing(searched: Searched, config: Config) -> Routing | None:
    by = config.segments.by
    if by is None:
        return None
    other = Key("other")
    fallback = searched.keys.index(other) if other in searched.keys else 0
    return Routing(attribute_columns(config)[by], searched.keys, fallback)


def _part(key: Key | None, found: Found, fit: Fit, config: Config, seed: int, draws: int) -> _Part:
    order = segment_order(fit, by="customers" if config.kind == "customers" else "revenue")
    centres = np.ascontiguousarray(fit.centres[order]) + 0.0
    distances = _distances(found.points, centres)
    stability = bootstrap_jaccard(found.points, distances.argmin(axis=1), len(centres), seed=seed, draws=draws)
    metrics = _metrics(fit, found.points, distances, seed)
    metrics["stability"] = [None if np.isnan(value) else float(value) for value in stability]
    return _Part(key, found, centres, fit.sizes[order], float(fit.revenue.sum()), outlier_limits(distances), metrics)


def _grouping(parts: Sequence[_Part], searched: Searched, preparation: Preparation, config: Config) -> Grouping | None:
    by = config.segments.by
    if by is None:
        return None
    keys = [part.key for part in parts if part.key is not None]
    groups, first = [], 0
    for name, key, part in zip(named(keys), keys, parts, strict=True):
        k, customers = len(part.centres), int(part.sizes.sum())
        groups.append(GroupModel(name, key, first, k, customers, part.found.decision, part.metrics))
        first += k
    other = Key("other")
    largest = max(range(len(groups)), key=lambda i: groups[i].customers)
    return Grouping(
        by,
        attribute_columns(config)[by],
        tuple(groups),
        keys.index(other) if other in keys else largest,
        spacing(preparation, np.concatenate([part.found.points for part in parts])),
        searched.notes,
    )


def _names(parts: Sequence[_Part], grouping: Grouping | None) -> tuple[str, ...]:
    if grouping is None:
        return tuple(f"Segment {i + 1}" for i in range(len(parts[0].centres)))
    return tuple(f"{group.name}: segment {i + 1}" for group in grouping.groups for i in range(group.k))


def _distances(points: Floats, centres: Floats) -> Floats:
    """(n, k) Euclidean distances."""
    distances = np.empty((len(points), len(centres)))
    for i, centre in enumerate(centres):
        distances[:, i] = np.linalg.norm(points - centre, axis=1)
    return distances


def outlier_limits(distances: Floats) -> Floats:
    """(k,) farthest distance that is still ordinary: q75 + 3 IQR of a segment's distances (Tukey's far out, 1977).

    `distances`: (n, k), of sampled customers. A segment without any in the sample takes the limit of all.
    """
    labels = distances.argmin(axis=1)
    own = distances.min(axis=1)
    limits = [_fence(own[labels == i]) if (labels == i).any() else _fence(own) for i in range(distances.shape[1])]
    return np.array(limits)


def _fence(own: Floats) -> float:
    q25, q75 = np.quantile(own, [0.25, 0.75])
    return float(q75 + 3 * (q75 - q25)) + 1e-9  # identical customers are at distance 0 but for rounding


def _metrics(fit: Fit, points: Floats, distances: Floats, seed: int) -> dict[str, Any]:
    quality = measure(points, distances.argmin(axis=1), seed=seed)
    shares = fit.sizes / fit.sizes.sum()
    return {
        "customers": int(fit.sizes.sum()),
        "sampled_customers": len(points),
        "inertia": fit.cost,
        "smallest_share": float(shares.min()),
        "largest_share": float(shares.max()),
        **(asdict(quality) if quality else {}),
        "contest": [
            {key: value for key, value in asdict(contestant).items() if value != float("inf")}
            for contestant in fit.contestants
        ],
    }
