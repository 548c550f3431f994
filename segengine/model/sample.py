"""The sample as prepared points, in an order that no renaming, shuffling or partitioning of customers changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segengine.features.prepare_numbers import Preparation, prepare
from segengine.features.prepare_sample import SAMPLE_LIMIT, Sample, hash_sample

__all__ = ["SAMPLE_LIMIT", "PreparedSample", "Sample", "hash_sample", "prepared_sample"]


@dataclass(frozen=True)
class PreparedSample:
    """Prepared customers: `points` (n, d) and which row of the sample each one is."""

    points: NDArray[np.float64]
    rows: NDArray[np.int64]


def prepared_sample(sample: Sample, preparation: Preparation) -> PreparedSample:
    """Prepare the sample; ordered by prepared values, id last, when everybody is in it, else by the hash of the id.

    With everybody in it no hash decides anything any more: renamed customers get the same segments.
    """
    points = prepare(preparation, sample.columns)
    rows = np.arange(len(points))
    if sample.is_everybody:
        ids = sample.ids.astype(str)
        rows = np.lexsort((ids, *points.T[::-1]))
    return PreparedSample(np.ascontiguousarray(points[rows]), rows)
