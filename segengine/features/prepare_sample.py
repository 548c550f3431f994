"""The customers that a model is learnt from on the driver: those with the smallest hash of their id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segengine.features.prepare_fit import InputColumn
from segengine.features.prepare_stages import quoted

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import Column, DataFrame

__all__ = ["ID", "SAMPLE_LIMIT", "Sample", "hash_sample", "input_values", "typed"]

SAMPLE_LIMIT = 200_000
"""Customers on the driver at most: 64 MB at 40 features."""

ID = "customer_id"


@dataclass(frozen=True)
class Sample:
    """Sampled customers. `frame` has customer_id and the feature columns, ordered by hash of the id, then id."""

    frame: pd.DataFrame
    customers: int
    """Customers there are, sampled or not."""

    @property
    def is_everybody(self) -> bool:
        return len(self.frame) == self.customers

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        return {str(name): self.frame[name].to_numpy() for name in self.frame.columns if name != ID}

    @property
    def ids(self) -> NDArray[Any]:
        return self.frame[ID].to_numpy()


def hash_sample(rows: DataFrame, inputs: Sequence[InputColumn], limit: int = SAMPLE_LIMIT) -> Sample:
    """At most `limit` customers, chosen and ordered by xxhash64 of the id, so that no partitioning can change them.

    `rows`: one row a customer, with customer_id and the input columns. Numbers arrive as doubles (missing is NaN).
    """
    from pyspark.sql import functions as F

    ordered = rows.select(*input_values(inputs)).orderBy(F.xxhash64(F.col(ID)), F.col(ID))
    frame = typed(ordered.limit(limit).toPandas(), inputs)
    return Sample(frame, len(frame) if len(frame) < limit else rows.count())


def input_values(inputs: Sequence[InputColumn]) -> list[Column]:
    """customer_id as text, numbers as doubles, everything else as text."""
    from pyspark.sql import functions as F

    selected = [F.col(ID).cast("string").alias(ID)]
    for column in inputs:
        selected.append(
            F.col(quoted(column.name)).cast("double" if column.kind == "numeric" else "string").alias(column.name)
        )
    return selected


def typed(frame: pd.DataFrame, inputs: Sequence[InputColumn]) -> pd.DataFrame:
    """The frame, changed in place: numbers are float64 (missing is NaN), texts objects (missing is None)."""
    for column in inputs:
        if column.kind == "numeric":
            frame[column.name] = frame[column.name].astype(np.float64)
        else:
            frame[column.name] = frame[column.name].astype(object).where(frame[column.name].notna(), None)
    return frame
