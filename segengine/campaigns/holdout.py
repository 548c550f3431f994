"""Who is held out: a hash of campaign and customer says so, whatever the order and the partitions of the rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["unit", "unit_column"]

DIGITS = 13
"""Hexadecimal digits of the hash that count: 52 bits, which a double holds exactly."""


def unit(campaign_id: str, customer_key: int) -> float:
    """A number in [0, 1) that is as good as drawn; below the share, the customer is held out.

    The campaign's id is the salt: who is held out of one campaign says nothing of the next.
    """
    digest = hashlib.sha256(f"{campaign_id}/{customer_key}".encode()).hexdigest()
    return int(digest[:DIGITS], 16) / 16.0**DIGITS


def unit_column(campaign_id: str, customer_key: Column) -> Column:
    """The same number of every row."""
    from pyspark.sql import functions as F

    digest = F.sha2(F.concat(F.lit(f"{campaign_id}/"), customer_key.cast("string")), 256)
    return F.conv(F.substring(digest, 1, DIGITS), 16, 10).cast("double") / F.lit(16.0**DIGITS)
