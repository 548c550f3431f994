"""Build every published table from the scored customers and the facts of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from segengine.config.times import local_text, microseconds
from segengine.errors import PublicationError
from segengine.features.prepare_sample import SAMPLE_LIMIT
from segengine.kept import Kept, keep
from segengine.publish.facts import RunFacts
from segengine.publish.history import (
    Moment,
    Past,
    elsewhere,
    first_moves,
    first_stays,
    membership,
    moves,
    transitions,
)
from segengine.publish.keys import KeyHash, customer_key, with_customer_key
from segengine.publish.kpis import with_kpis
from segengine.publish.measure import Measures, measure
from segengine.publish.shape import conform, conform_rows, money, money_ratio, published_names, quoted
from segengine.publish.small_tables import small_rows
from segengine.scoring.keys import segment_key
from segengine.scoring.labelled import Labelled
from segengine.tables import ASSIGNMENTS, CUSTOMERS, by_name

__all__ = ["Built", "build_tables"]


@dataclass(frozen=True)
class Built:
    """Tables ready to publish: small ones as Arrow tables, those as long as the customers as DataFrames."""

    tables: dict[str, DataFrame | pa.Table]
    rows: dict[str, int]
    """How many rows each of the DataFrames has, counted on the way."""
    measures: Measures
    keeps_history: bool = False
    """Whether what is published as of this moment already has to stay."""
    warnings: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()

    def release(self) -> None:
        """Free what was persisted on the way, once the tables are written."""
        for one in self.kept:
            one.release()


def build_tables(
    scored: DataFrame,
    facts: RunFacts,
    *,
    previous_customers: DataFrame | None = None,
    past: Past | None = None,
    rebuild: bool = False,
    key_hash: KeyHash = customer_key,
    sample_limit: int = SAMPLE_LIMIT,
    sampled: Labelled | None = None,
) -> Built:
    """Every table of segengine/tables but `publications`, which publishing writes itself.

    `scored`: one row a customer (customer_id, lane, segment_index, distance, margin, runner_up_index, is_outlier,
    assigned_by, feature columns, revenue_e4, orders, first_ordered_at, last_ordered_at, is_known, attributes, and
    champion_key: the segment that the model of the moment before finds, where that is another one); it is read half a
    dozen times, so persist it. `previous_customers` is the table now published; its keys stay. `past`: what is
    published of other moments; one before the last that is there already stays, unless `rebuild`. `sampled`: as
    `labelled` gives them, where somebody asked already. Raises PublicationError.
    """
    _check_segments(facts)
    zone = facts.timezone
    measures = measure(
        scored, facts.features, as_of=facts.as_of, timezone=zone, sample_limit=sample_limit, sampled=sampled
    )
    unknown = set(measures.segments) - {s.index for s in facts.segments}
    if unknown:
        raise PublicationError(
            "Customers are in segments that the model does not have.", found=f"index {sorted(unknown)}"
        )
    keyed = with_customer_key(scored, previous_customers, key_hash=key_hash)
    told = _history(keyed, facts, past or Past(), measures, rebuild=rebuild)
    small = {
        name: conform_rows(rows, by_name(name), facts.minor_unit, facts.publication_id)
        for name, rows in {**small_rows(facts, measures), "moves": told.moves}.items()
    }
    large = {"assignments": _assignments(keyed, facts), "customers": _customers(keyed, facts)}
    counts = {**dict.fromkeys(large, measures.customers), "membership": told.rows}
    tables = {**small, **large, "membership": told.membership}
    return Built(tables, counts, measures, told.stays, told.warnings, (told.kept,) if told.kept else ())


@dataclass(frozen=True)
class _History:
    """The table `membership`, new rows of `moves`, what was persisted for them, whether history stays as it is."""

    membership: DataFrame
    rows: int
    """Of `membership`."""
    moves: list[dict[str, object]]
    kept: Kept | None = None
    stays: bool = False
    warnings: tuple[str, ...] = ()


def _history(keyed: DataFrame, facts: RunFacts, past: Past, measures: Measures, *, rebuild: bool) -> _History:
    next_as_of = past.after(facts.as_of)
    again = past.has(facts.as_of)
    columns = ["customer_key", "lane", "revenue_e4", *(["champion_key"] if "champion_key" in keyed.columns else [])]
    now = keyed.select(_segment_key(facts, "segment_index").alias("segment_key"), *columns)
    moment = Moment(facts.as_of, facts.model_version, facts.publication_id, past.before(facts.as_of), next_as_of)
    if past.membership is None:
        keys = {s.index: s.segment_key for s in facts.segments}
        places: list[tuple[int | None, str | None, int, int | None]] = [
            *((keys[index], None, own.customers, own.revenue_e4) for index, own in measures.segments.items()),
            *((None, lane, own.customers, own.revenue_e4) for lane, own in measures.lanes.items()),
        ]
        moved = _in_money(first_moves(places, moment), facts)
        return _History(first_stays(now, moment), measures.customers, moved)  # everybody begins one stay
    if again and next_as_of is not None and not rebuild:
        others = elsewhere(now, past.membership, facts.as_of)
        told = (
            f"{local_text(facts.as_of, facts.timezone)} is published already, and its history stays as it is: "
            f"{others:,} customers would be elsewhere in it now. --rebuild writes it anew."
        )
        return _History(past.membership, past.membership.count(), [], stays=True, warnings=(told,))
    joined = keep(transitions(now, past.membership, moment))
    rows = moves(joined.rows, moment)
    stays = membership(joined.rows, past.membership, moment)
    return _History(stays, stays.count(), _in_money(rows, facts), joined)


def _in_money(moved: list[dict[str, object]], facts: RunFacts) -> list[dict[str, object]]:
    for row in moved:
        row["revenue"] = money_ratio(cast("int | None", row.pop("revenue_e4")), 1, facts.minor_unit)
    return moved


def _check_segments(facts: RunFacts) -> None:
    indices = sorted(s.index for s in facts.segments)
    keys = {s.segment_key for s in facts.segments}
    if indices != list(range(len(facts.centres))) or len(keys) != len(indices):
        raise PublicationError(
            "Segments do not fit the model's centres.",
            where="segments",
            found=f"index {indices} for {len(facts.centres)} centres",
        )


def _assignments(keyed: DataFrame, facts: RunFacts) -> DataFrame:
    names = published_names((f.name for f in facts.features), ASSIGNMENTS, "_feature")
    types = {f.name: "double" if f.kind == "numeric" else "string" for f in facts.features}
    rows = keyed.select(
        "customer_key",
        _segment_key(facts, "segment_index").alias("segment_key"),
        "lane",
        "assigned_by",
        "distance",
        "margin",
        _segment_key(facts, "runner_up_index").alias("runner_up_key"),
        "is_outlier",
        money(F.col("revenue_e4"), facts.minor_unit).alias("revenue"),
        F.col("orders").cast("bigint").alias("orders"),
        *_rfm(keyed),
        F.lit(facts.model_version).alias("model_version"),
        _moment(facts).alias("as_of"),
        *(F.col(quoted(name)).cast(types[name]).alias(published) for name, published in names.items()),
    )
    more = [(published, types[name]) for name, published in names.items()]
    return with_kpis(conform(rows, ASSIGNMENTS, facts.minor_unit, facts.publication_id, more), facts.kpis)


def _rfm(keyed: DataFrame) -> list[Column]:
    """Scores and cell of the RFM grid; null where nobody made them."""
    return [
        (F.col(column.name) if column.name in keyed.columns else F.lit(None)).alias(column.name)
        for column in ASSIGNMENTS.columns
        if column.name.startswith("rfm_")
    ]


def _customers(keyed: DataFrame, facts: RunFacts) -> DataFrame:
    names = published_names((a.name for a in facts.attributes), CUSTOMERS, "_attribute")
    types = {a.name: "double" if a.kind == "numeric" else "string" for a in facts.attributes}
    columns = [F.col(quoted(a.column)).cast(types[a.name]).alias(names[a.name]) for a in facts.attributes]
    rows = keyed.select("customer_key", "customer_id", "first_ordered_at", "last_ordered_at", "is_known", *columns)
    more = [(published, types[name]) for name, published in names.items()]
    return conform(rows, CUSTOMERS, facts.minor_unit, facts.publication_id, more)


def _segment_key(facts: RunFacts, index: str) -> Column:
    """The lasting key of a segment by its index; null stays null."""
    return segment_key(F.col(index), [s.segment_key for s in sorted(facts.segments, key=lambda s: s.index)])


def _moment(facts: RunFacts) -> Column:
    """The as-of instant as a literal that no session time zone can shift."""
    return F.timestamp_micros(F.lit(microseconds(facts.as_of)).cast("bigint"))
