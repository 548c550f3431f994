"""From one row of features a customer to a trained model: sample, prepare, sweep, choose, fit, order, measure."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segengine.errors import ModelError
from segengine.features.prepare import Prepare, input_columns, options_of
from segengine.features.prepare_numbers import Preparation, inverse
from segengine.kept import keep
from segengine.model.choose import KDecision, choose
from segengine.model.fit import Fit, contest, lay_out, segment_order
from segengine.model.pipeline import segment_pipeline
from segengine.model.sample import SAMPLE_LIMIT, hash_sample, prepared_sample
from segengine.model.sweep import Trial, measure, sweep
from segengine.model.trained import TrainedModel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from segengine.config import Config
    from segengine.features.catalog import Chosen

__all__ = ["outlier_limits", "train"]

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]


def train(
    rows: DataFrame, chosen: Chosen, config: Config, *, seed: int, sample_limit: int = SAMPLE_LIMIT
) -> TrainedModel:
    """Find segments of the customers in `rows`: one row each, with customer_id, the feature columns and revenue_e4.

    `rows` is read two or three times: persist it when it is dear to compute. Raises ModelError when there are too few
    customers, nothing tells them apart or no k passes, and FeatureError for a feature that cannot be prepared.
    """
    estimator = Prepare(
        inputs=input_columns(chosen.features), options=options_of(config.prepare), sample_limit=sample_limit
    )
    sample = hash_sample(rows, estimator.input_columns(), sample_limit)
    _require_customers(sample.customers, list(config.k_values))
    preparation = estimator.learn(sample.columns)
    prepared = prepared_sample(sample, preparation)
    trials = sweep(prepared.points, config.k_values, restarts=config.segments.restarts, seed=seed)
    decision = choose(trials, min_share=config.segments.min_share, max_share=config.segments.max_share)
    log.info("k: %s", decision.sentence)

    fit = _fit_everybody(rows, preparation, _centres_of(trials, decision), sample.customers, config, seed)
    order = segment_order(fit, by="customers" if config.kind == "customers" else "revenue")
    centres = np.ascontiguousarray(fit.centres[order]) + 0.0
    distances = _distances(prepared.points, centres)
    return TrainedModel(
        pipeline=segment_pipeline(rows.sparkSession, preparation, centres),
        features=tuple(chosen.features),
        preparation=preparation.to_dict(),
        centres=centres,
        centres_original=inverse(preparation, centres),
        names=tuple(f"Segment {i + 1}" for i in range(len(centres))),
        outlier_limits=outlier_limits(distances),
        sizes=tuple(int(fit.sizes[i]) for i in order),
        decision=decision,
        metrics=_metrics(fit, prepared.points, distances, seed),
        seed=seed,
        sample=sample,
    )


def _require_customers(customers: int, k_values: list[int]) -> None:
    if not k_values or min(k_values) < 2:
        raise ModelError("segments.k must be 2 or more.", where="segments.k", found=str(k_values))
    if customers < 2 * min(k_values):
        raise ModelError(
            f"There are too few customers to find {min(k_values)} segments.",
            where="customers with purchases that count",
            found=f"{customers:,} customers; {2 * min(k_values):,} are needed",
            todo="Use a longer history, check which rows were rejected, or ask for fewer segments (segments.k).",
        )


def _centres_of(trials: tuple[Trial, ...], decision: KDecision) -> Floats:
    for trial in trials:
        if trial.k == decision.k and trial.centres is not None:
            return trial.centres
    raise ModelError(f"The sweep has no centres for the chosen k = {decision.k}.")


def _fit_everybody(
    rows: DataFrame, preparation: Preparation, start: Floats, customers: int, config: Config, seed: int
) -> Fit:
    has_revenue = config.kind != "customers" and "revenue_e4" in rows.columns
    points = keep(lay_out(rows, preparation, customers, has_revenue=has_revenue))
    try:
        limits = config.segments
        return contest(points.rows, start, seed=seed, min_share=limits.min_share, max_share=limits.max_share)
    finally:
        points.release()


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
