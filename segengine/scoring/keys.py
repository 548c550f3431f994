"""From the index of a segment in the model's centres to its lasting key, as a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["segment_key"]


def segment_key(index: Column, keys: Sequence[int]) -> Column:
    """The key of a segment by its index (int); null stays null. `keys[i]` is the key of index i.

    Not `element_at` of the index alone: for an array of literals Spark 4.2 takes its result for never null, and a null
    index gives a key.
    """
    from pyspark.sql import functions as F

    if tuple(keys) == tuple(range(keys[0], keys[0] + len(keys))):
        return (index + F.lit(keys[0])).cast("int")
    found = F.element_at(F.array(*(F.lit(key) for key in keys)), index + F.lit(1))
    return F.when(index.isNotNull(), found).cast("int")
