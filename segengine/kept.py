"""Rows that are computed once and read several times: persisted, and over Spark Connect given a name.

A Connect client sends the whole plan with every question, and protobuf refuses plans nested more than 100 deep. What
is kept under a temporary name starts a new plan, a single step long.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segengine.connect import is_connect

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Kept", "keep"]


@dataclass(frozen=True)
class Kept:
    """Persisted rows, until `release`; `view` is their temporary name over Spark Connect."""

    rows: DataFrame
    view: str | None = None

    def release(self) -> None:
        """Free them. Rows that were derived from them cannot be computed over Spark Connect any more."""
        self.rows.unpersist()
        if self.view is not None:
            self.rows.sparkSession.catalog.dropTempView(self.view)


def keep(rows: DataFrame) -> Kept:
    """Persist rows; nothing is computed before they are asked for."""
    spark = rows.sparkSession
    if not is_connect(spark):
        return Kept(rows.persist())
    view = f"segengine_{uuid.uuid4().hex}"
    rows.createOrReplaceTempView(view)
    return Kept(spark.table(view).persist(), view)
