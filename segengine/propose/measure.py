"""Counts that settle a doubt, measured with Spark on the rows that were looked at; nothing here collects an id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from segengine.contract.values import canonical_id
from segengine.io.source import quoted
from segengine.propose.profile import Looked

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["Group", "Overlap", "distinct", "negative_by", "one_customer_share", "overlap", "repeated_rows", "zero_rows"]

MOST_GROUPS = 40
PREFIX = r"^([A-Za-z]{1,3})[-_/ ]?[0-9]"
"""Letters that an order number starts with."""


@dataclass(frozen=True)
class Group:
    """Rows that share a prefix or a status; `negative`: those of them whose money or quantity is below zero."""

    value: str
    rows: int
    negative: int


@dataclass(frozen=True)
class Overlap:
    """Different ids in both tables, and in both at once."""

    transactions: int
    customers: int
    both: int

    @property
    def share(self) -> float:
        """Share of the ids in the transactions that the customers table has."""
        return self.both / self.transactions if self.transactions else 0.0


def distinct(looked: Looked, names: Sequence[str]) -> dict[str, int]:
    """How many different ids each of the columns holds, spelled as a run spells them."""
    if not names:
        return {}
    (row,) = looked.rows.agg(*(F.count_distinct(_id(looked, name)) for name in names)).collect()
    return dict(zip(names, (int(count) for count in row), strict=True))


def repeated_rows(looked: Looked) -> int:
    """Rows that equal another one in every column, but for the first of each kind."""
    columns = [F.col(quoted(name)).cast("string") for name in looked.rows.columns if not name.startswith("_")]
    (row,) = looked.rows.select(F.xxhash64(*columns).alias("h")).agg(F.count("h"), F.count_distinct("h")).collect()
    return int(row[0]) - int(row[1])


def one_customer_share(looked: Looked, order: str, customer: str) -> float:
    """Share of the orders whose lines all belong to one customer; orders without any customer do not count."""
    pairs = looked.rows.select(_id(looked, order).alias("o"), _id(looked, customer).alias("c")).where("c is not null")
    orders = pairs.groupBy("o").agg((F.min("c") == F.max("c")).alias("one"))
    (row,) = orders.agg(F.count_if(F.col("one")), F.count("one")).collect()
    return int(row[0]) / int(row[1]) if row[1] else 0.0


def negative_by(looked: Looked, name: str, signed: str, *, prefix: bool) -> tuple[Group, ...]:
    """The values of a column, or the letters that they start with ("" for none), with their rows, most rows first."""
    value = looked.column(name).cast("string")
    key = F.regexp_extract(value, PREFIX, 1) if prefix else value
    rows = looked.rows.select(key.alias("k"), looked.number(signed).alias("v")).where("k is not null")
    grouped = rows.groupBy("k").agg(F.count(F.lit(1)).alias("n"), F.count_if(F.col("v") < 0).alias("negative"))
    found = grouped.orderBy(F.desc("n"), "k").limit(MOST_GROUPS).collect()
    return tuple(Group(str(row["k"]), int(row["n"]), int(row["negative"])) for row in found)


def zero_rows(looked: Looked, money: str, customer: str) -> int:
    """Rows of known customers in which that money is zero."""
    known = looked.rows.where(_id(looked, customer).isNotNull() & (looked.number(money) == 0))
    return known.count()


def overlap(lines: Looked, customer: str, people: Looked, identity: str) -> Overlap:
    """How many ids of the lines the customers table has, spelled as a run spells them."""
    bought = lines.rows.select(_id(lines, customer).alias("id")).where("id is not null").distinct()
    known = people.rows.select(_id(people, identity).alias("id")).where("id is not null").distinct()
    marked = bought.select("id", F.lit(1).alias("b"), F.lit(0).alias("k")).unionByName(
        known.select("id", F.lit(0).alias("b"), F.lit(1).alias("k"))
    )
    per_id = marked.groupBy("id").agg(F.max("b").alias("b"), F.max("k").alias("k"))
    (row,) = per_id.agg(F.sum("b"), F.sum("k"), F.sum(F.col("b") * F.col("k"))).collect()
    return Overlap(*(int(value or 0) for value in row))


def _id(looked: Looked, name: str) -> Column:
    return canonical_id(looked.column(name), looked.types[name])
