"""`customer_key`: a 64-bit hash of the customer's id, unique even when hashes collide, and lasting."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from segengine.errors import PublicationError

__all__ = ["KeyHash", "customer_key", "with_customer_key"]

log = logging.getLogger(__name__)

KeyHash = Callable[[Column, int], Column]
MOST = 10_000
"""Collisions are expected once in some 10^19 / n^2 publications; thousands mean that the hash is broken."""


def customer_key(customer_id: Column, salt: int) -> Column:
    """xxhash64 of the id; of the id and the salt for an id whose key was taken."""
    return F.xxhash64(customer_id) if salt == 0 else F.xxhash64(customer_id, F.lit(salt))


def with_customer_key(
    customers: DataFrame, previous: DataFrame | None, *, key_hash: KeyHash = customer_key
) -> DataFrame:
    """`customers` (customer_id unique) with `customer_key`, in no order.

    A customer keeps the key of `previous` (customer_id, customer_key). Of new customers whose hashes collide the
    smallest id gets the key, unless it is taken; the others are hashed again with salt 1, 2, ... until free. Only
    customers with an unusual key are ever brought to the driver. PublicationError when those are more than 10,000.
    """
    previous = previous.select("customer_id", "customer_key") if previous is not None else None
    exceptions = _kept(previous, key_hash) if previous is not None else {}
    current = customers.select("customer_id", key_hash(F.col("customer_id"), 0).alias("customer_key"))
    contested = _contested(current, previous, exceptions)
    if contested:
        exceptions |= _rehashed(current, previous, exceptions, contested, key_hash)
        log.info("customer keys: %d ids hashed again", len(exceptions))
    usual = key_hash(F.col("customer_id"), 0)
    if not exceptions:
        return customers.withColumn("customer_key", usual)
    special = customers.sparkSession.createDataFrame(sorted(exceptions.items()), "customer_id string, _key bigint")
    joined = customers.join(F.broadcast(special), on="customer_id", how="left")
    return joined.withColumn("customer_key", F.coalesce("_key", usual)).drop("_key")


def _kept(previous: DataFrame, key_hash: KeyHash) -> dict[str, int]:
    """Published ids whose key is not their plain hash."""
    unusual = previous.where(F.col("customer_key") != key_hash(F.col("customer_id"), 0))
    return {str(row[0]): int(row[1]) for row in _few(unusual)}


def _few(rows: DataFrame) -> list[tuple[Any, ...]]:
    found = [tuple(row) for row in rows.limit(MOST + 1).collect()]
    if len(found) > MOST:
        raise PublicationError("More customer keys collide than a 64-bit hash can explain.", found=f"more than {MOST}")
    return found


def _contested(current: DataFrame, previous: DataFrame | None, exceptions: dict[str, int]) -> list[int]:
    """Keys that two different ids want; a second, unrelated hash tells ids apart, so that only numbers are shuffled."""
    wanted = current.where(~_is_in("customer_id", exceptions))
    if previous is not None:
        wanted = wanted.unionByName(previous)
    other = F.xxhash64(F.lit("another hash"), F.col("customer_id"))
    clashes = (
        wanted.select("customer_key", other.alias("other"))
        .groupBy("customer_key")
        .agg(F.min("other").alias("least"), F.max("other").alias("most"))
        .where(F.col("least") != F.col("most"))
    )
    return sorted(int(row[0]) for row in _few(clashes.select("customer_key")))


def _rehashed(
    current: DataFrame, previous: DataFrame | None, exceptions: dict[str, int], contested: list[int], key_hash: KeyHash
) -> dict[str, int]:
    """id -> key for the ids that lose a contested key."""
    plain = current.where(~_is_in("customer_id", exceptions))
    owners = {key: customer_id for customer_id, key in _holding(previous, contested)}
    wanting = sorted(_holding(plain, contested))
    losers = [customer_id for customer_id, key in wanting if owners.setdefault(key, customer_id) != customer_id]
    settled = plain.where(~_is_in("customer_id", losers))
    keys: dict[str, int] = {}
    for salt in range(1, MOST):
        wanted = _hashed(current.sparkSession, losers, salt, key_hash)
        held = [*_holding(settled, wanted.values()), *_holding(previous, wanted.values())]
        taken = {*exceptions.values(), *keys.values(), *(key for _, key in held)}
        for customer_id in losers:
            if wanted[customer_id] not in taken:
                keys[customer_id] = wanted[customer_id]
                taken.add(wanted[customer_id])
        losers = [customer_id for customer_id in losers if customer_id not in keys]
        if not losers:
            return keys
    raise PublicationError("No free key was found for some customers.", found=f"{len(losers)} ids after {MOST} hashes")


def _holding(keyed: DataFrame | None, keys: Iterable[int]) -> list[tuple[str, int]]:
    """(customer_id, customer_key) of those whose key is one of `keys`."""
    if keyed is None:
        return []
    rows = _few(keyed.where(_is_in("customer_key", keys)).select("customer_id", "customer_key"))
    return [(str(customer_id), int(key)) for customer_id, key in rows]


def _hashed(spark: SparkSession, ids: list[str], salt: int, key_hash: KeyHash) -> dict[str, int]:
    rows = spark.createDataFrame([(i,) for i in ids], "customer_id string")
    return {row[0]: row[1] for row in rows.select("customer_id", key_hash(F.col("customer_id"), salt)).collect()}


def _is_in(column: str, values: Iterable[object]) -> Column:
    wanted = sorted(set(values), key=str)
    return F.col(column).isin(wanted) if wanted else F.lit(False)
