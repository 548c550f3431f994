"""The customers that a model is learnt from on the driver: those with the smallest hash of their id."""

from __future__ import annotations

import math
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
HASH = "__hash"


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


def hash_sample(
    rows: DataFrame, inputs: Sequence[InputColumn], limit: int = SAMPLE_LIMIT, *, customers: int | None = None
) -> Sample:
    """At most `limit` customers, chosen and ordered by xxhash64 of the id, so that no partitioning can change them.

    `rows`: one row a customer, with customer_id and the input columns. Numbers arrive as doubles (missing is NaN).
    `customers`: how many rows there are, where that is known; else they are counted.
    """
    from pyspark.sql import functions as F

    customers = rows.count() if customers is None else customers
    hashed = rows.select(*input_values(inputs), F.xxhash64(F.col(ID).cast("string")).alias(HASH))
    likely = _likely(limit, customers)
    frame = (hashed if likely is None else hashed.where(F.col(HASH) <= likely)).toPandas()
    if len(frame) < min(limit, customers):  # hashes that are not spread evenly: let Spark find the smallest
        frame = hashed.orderBy(HASH, ID).limit(limit).toPandas()
    frame = frame.iloc[_in_order(frame)[:limit]].drop(columns=HASH).reset_index(drop=True)
    return Sample(typed(frame, inputs), customers)


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


def _likely(limit: int, customers: int) -> int | None:
    """A hash that a little more than `limit` of the customers stay below; None when all are wanted.

    Hashes are even, so the count below one is binomial: eight standard deviations of it are spare.
    """
    wanted = limit + 8 * math.isqrt(limit) + 8
    return None if wanted >= customers else -(2**63) + 2**64 * wanted // customers


def _in_order(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Positions of the rows by hash, then id; ids are compared only where hashes are equal."""
    hashes = frame[HASH].to_numpy()
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((frame[ID].to_numpy().astype(str), hashes))
    return order
