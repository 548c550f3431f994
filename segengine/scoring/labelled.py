"""Scored customers on the driver: a sample chosen by hash, with their features and the segment of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segengine.features.prepare_fit import InputColumn
from segengine.features.prepare_numbers import Preparation, prepare
from segengine.features.prepare_sample import SAMPLE_LIMIT, hash_sample
from segengine.scoring.nearest import Centres

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from segengine.model.trained import TrainedModel

__all__ = ["Labelled", "labelled", "learnt_from"]

SEGMENT = "segment_index"


@dataclass(frozen=True)
class Labelled:
    """Features of n sampled customers as they were before preparation, and `labels` (n,), the index of the segment."""

    columns: dict[str, NDArray[Any]]
    labels: NDArray[np.int64]


def labelled(
    scored: DataFrame, model: TrainedModel, *, customers: int | None = None, limit: int = SAMPLE_LIMIT
) -> Labelled:
    """At most `limit` of the customers with a segment. `customers`: how many of those there are, where it is known."""
    from pyspark.sql import functions as F

    inputs = [
        InputColumn(item.name, item.family, item.kind) for item in Preparation.from_dict(model.preparation).inputs
    ]
    segmented = scored.where(F.col(SEGMENT).isNotNull())
    sample = hash_sample(segmented, [*inputs, InputColumn(SEGMENT, "", "numeric")], limit, customers=customers)
    columns = sample.columns
    return Labelled(columns, columns.pop(SEGMENT).astype(np.int64))


def learnt_from(model: TrainedModel) -> Labelled | None:
    """The customers that a model was just learnt from, as `labelled` gives them, without asking Spark.

    None where they are not known, or are of groups, whose shares of the sample are not those of the customers.
    """
    if model.sample is None or model.grouping is not None:
        return None
    preparation = Preparation.from_dict(model.preparation)
    columns = {item.name: model.sample.columns[item.name] for item in preparation.inputs}
    labels, *_ = Centres(model.centres).find(np.ascontiguousarray(prepare(preparation, columns).T))
    return Labelled(columns, labels.astype(np.int64))
