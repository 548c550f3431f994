"""A trained model and everything that is known about it. No Spark here but in types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segengine.features.catalog import Feature
from segengine.model.choose import KDecision
from segengine.model.groups import Grouping
from segengine.model.identity import Identity, first

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel

    from segengine.features.prepare_sample import Sample

__all__ = ["LoadedModel", "TrainedModel", "describe", "feature_from_dict", "feature_to_dict"]


@dataclass(frozen=True)
class TrainedModel:
    """Segments of customers, in the order of their revenue: segment i is `prediction` i of the pipeline."""

    pipeline: PipelineModel
    """Stock stages only: features to `prediction`."""
    features: tuple[Feature, ...]
    preparation: dict[str, Any]
    """JSON-able: segengine.features.prepare_numbers.Preparation.from_dict reads it."""
    centres: NDArray[np.float64]
    """(k, d), prepared space."""
    centres_original: list[dict[str, float | str]]
    """For each segment, feature -> value in the feature's own unit; see `inverse` for what kind of mean that is."""
    names: tuple[str, ...]
    outlier_limits: NDArray[np.float64]
    """(k,): a customer farther from its centre is an outlier, prepared units."""
    sizes: tuple[int, ...]
    """Customers of each segment when the model was fitted."""
    decision: KDecision
    metrics: dict[str, Any]
    """Cost on everybody, qualities on the sample, shares, the contest; JSON-able."""
    seed: int
    grouping: Grouping | None = None
    """The groups that have segments of their own; None: one model for everybody."""
    sample: Sample | None = None
    """The customers it was learnt from; not saved."""
    identity: Identity | None = None
    """Who its segments are; None until they have been matched to the champion's."""

    @property
    def k(self) -> int:
        return len(self.centres)

    @property
    def identified(self) -> Identity:
        """Who its segments are: the first ones of all where nothing came before."""
        return self.identity or first(self.k)

    @property
    def segment_keys(self) -> tuple[int, ...]:
        """The lasting key of every segment, by its index: the one place that says so."""
        return self.identified.keys

    @property
    def stability(self) -> tuple[float | None, ...]:
        """Bootstrap stability of each segment, 0 to 1; None where it was not measured."""
        parts = [self.metrics] if self.grouping is None else [group.metrics for group in self.grouping.groups]
        known = tuple(value for part in parts for value in part.get("stability", ()))
        return known if len(known) == self.k else (None,) * self.k

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided about groups."""
        return () if self.grouping is None else self.grouping.notes

    def group_of(self, segment: int) -> str | None:
        """The name of the group whose segment this is, by its index; None without groups."""
        return None if self.grouping is None else self.grouping.name_of(segment)


@dataclass(frozen=True, kw_only=True)
class LoadedModel(TrainedModel):
    """A model from a verified bundle."""

    version: str
    manifest: dict[str, Any]


def describe(model: TrainedModel) -> dict[str, Any]:
    """The JSON form of everything but the pipeline, the decision, the identity and the sample."""
    return {
        "features": [feature_to_dict(feature) for feature in model.features],
        "preparation": model.preparation,
        "centres": model.centres.tolist(),
        "centres_original": model.centres_original,
        "names": list(model.names),
        "outlier_limits": model.outlier_limits.tolist(),
        "sizes": list(model.sizes),
        "metrics": model.metrics,
        "seed": model.seed,
        **({} if model.grouping is None else {"grouping": model.grouping.to_dict()}),
    }


def feature_to_dict(feature: Feature) -> dict[str, Any]:
    plain = asdict(feature)
    return {key: sorted(value) if isinstance(value, (set, frozenset)) else value for key, value in plain.items()}


def feature_from_dict(data: Mapping[str, Any]) -> Feature:
    known = {field.name for field in fields(Feature)}
    values = {key: value for key, value in data.items() if key in known}
    return Feature(**{**values, "needs": frozenset(values["needs"])})
