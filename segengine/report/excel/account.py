"""Sheets about time and the account of rows, customers and money: history, moves, quality, bridge, lanes."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from segengine.report.excel.book import Book, Column, Sheet, Styled, Value
from segengine.report.excel.segments import CUSTOMERS, REVENUE, meaning, named
from segengine.report.html.data import OUTCOMES
from segengine.report.html.section import LANES as LANE_NAMES
from segengine.report.html.time import CAUSES
from segengine.report.published import Facts
from segengine.tables import BRIDGE, LANE_KPIS, MOVES, QUALITY, SEGMENT_KPIS

__all__ = ["bridge", "history", "lanes", "moves", "quality"]


def history(book: Book, facts: Facts, told: str) -> Sheet | None:
    """A row a segment and moment."""
    if not facts.kpis:
        return None
    sheet = book.sheet("History", "History", told, "A row is a segment as of a moment; all publications are here.")
    currency, zone = facts.currency, ZoneInfo(facts.timezone)
    columns = [
        Column("As of", "day", meaning(SEGMENT_KPIS, "as_of")),
        Column("Segment"),
        Column("Customers", "count", meaning(SEGMENT_KPIS, "customers")),
        Column("Share of customers", "share", meaning(SEGMENT_KPIS, "share"), CUSTOMERS),
        Column("Model", meaning=meaning(SEGMENT_KPIS, "model_version")),
    ]
    money = [
        Column(f"Revenue ({currency})", "money", meaning(SEGMENT_KPIS, "revenue")),
        Column("Share of revenue", "share", meaning(SEGMENT_KPIS, "revenue_share"), REVENUE),
        Column(f"Average order value ({currency})", "money", meaning(SEGMENT_KPIS, "average_order_value")),
        Column("Active in the last 90 days", "count", meaning(SEGMENT_KPIS, "active_90_days")),
    ]
    names = {segment.segment_key: named(segment) for segment in facts.segments}
    rows: list[list[Value]] = []
    for kpi in facts.kpis:
        name = names.get(kpi.segment_key, f"Segment {kpi.segment_key} (retired)")
        local = kpi.as_of.astimezone(zone).replace(tzinfo=None)
        row: list[Value] = [local, name, kpi.customers, kpi.share, kpi.model_version]
        if facts.has_money:
            row += [kpi.revenue, kpi.revenue_share, kpi.average_order_value, kpi.active_90_days]
        rows.append(row)
    sheet.table("history", [*columns, *(money if facts.has_money else ())], rows)
    sheet.freeze(2)
    return sheet


def moves(book: Book, facts: Facts, told: str) -> Sheet | None:
    """A row is customers who went from one place to another, and why; those who stayed are there too."""
    if not facts.moves:
        return None
    note = "Customers by where they were in the publication before and are now, and why. Stayed: the same place."
    sheet = book.sheet("Moves", "Moves", told, note)
    columns = [
        Column("From", meaning="The segment or lane in the publication before."),
        Column("To", meaning="The segment or lane now."),
        Column("Stayed", meaning="Whether both are the same."),
        Column("Because", meaning="New customers, customers who changed or left, or a new model."),
        Column("Customers", "count", meaning(MOVES, "customers")),
    ]
    if facts.has_money:
        columns.append(Column(f"Revenue ({facts.currency})", "money", meaning(MOVES, "revenue")))
    ranked = sorted(facts.moves, key=lambda m: (-m.customers, str(m.from_segment_key), str(m.to_segment_key), m.cause))
    rows: list[list[Value]] = []
    for move in ranked:
        before = _place(facts, move.from_segment_key, move.from_lane)
        after = _place(facts, move.to_segment_key, move.to_lane)
        stayed = (move.from_segment_key, move.from_lane) == (move.to_segment_key, move.to_lane)
        why = "" if stayed else CAUSES.get(move.cause, move.cause)
        row: list[Value] = [before, after, "yes" if stayed else "no", why, move.customers]
        rows.append([*row, move.revenue] if facts.has_money else row)
    sheet.table("moves", columns, rows)
    sheet.freeze(2)
    return sheet


def _place(facts: Facts, key: int | None, lane: str | None) -> str:
    """Where a customer is or was, in words."""
    segment = facts.segment(key)
    if segment is not None:
        return named(segment)
    if key is not None:
        return f"Segment {key} (retired)"
    return "Not a customer" if lane is None else LANE_NAMES.get(lane, lane)


def quality(book: Book, facts: Facts, told: str) -> Sheet | None:
    """What became of the rows that were read."""
    if not facts.quality:
        return None
    note = "What became of the rows that were read: each is used, in quarantine, or ignored by a named rule."
    sheet = book.sheet("Data quality", "Data quality", told, note)
    read: dict[str, int] = {}
    for line in facts.quality:
        if line.outcome != "noted":
            read[line.table] = read.get(line.table, 0) + line.rows
    columns = [
        Column("Table", meaning=meaning(QUALITY, "table")),
        Column("Outcome", meaning=meaning(QUALITY, "outcome")),
        Column("Rule", meaning=meaning(QUALITY, "rule")),
        Column("Rows", "count", meaning(QUALITY, "rows")),
        Column("Share of rows", "share", "Of the rows of the table that were read.", CUSTOMERS),
        Column(f"Amount ({facts.currency})", "money", meaning(QUALITY, "amount")),
        Column("What it means", "long"),
    ]
    rows: list[list[Value]] = [
        [line.table, OUTCOMES.get(line.outcome, line.outcome), line.rule, line.rows,
         line.rows / read[line.table] if read.get(line.table) else None, line.amount, line.text]
        for line in facts.quality
    ]  # fmt: skip
    sheet.table("data_quality", columns, rows)
    sheet.freeze(0)
    return sheet


def bridge(book: Book, facts: Facts, told: str) -> Sheet | None:
    """From all money in the source to that of the segments."""
    if not facts.bridge:
        return None
    note = (
        "From all money in the source to the money of the segments: the first line plus all changes is the last line."
    )
    sheet = book.sheet("Revenue bridge", "Revenue bridge", told, note)
    columns = [
        Column("Step", meaning=meaning(BRIDGE, "name")),
        Column("Kind", meaning="A balance, or a change from one balance to the next."),
        Column("Rows", "count", meaning(BRIDGE, "rows")),
        Column("Customers", "count", meaning(BRIDGE, "customers")),
        Column(f"Amount ({facts.currency})", "money", meaning(BRIDGE, "amount")),
    ]
    rows: list[list[Value]] = []
    for step in facts.bridge:
        look = {"bold": True} if step.is_balance else {}
        name = step.name.replace("lane ", "lane: ").replace("_", " ")
        values: list[tuple[Value, str]] = [(name, "text"), ("balance" if step.is_balance else "change", "text")]
        values += [(step.rows, "count"), (step.customers, "count"), (step.amount, "money")]
        rows.append([Styled(value, kind, look) for value, kind in values])  # type: ignore[arg-type]  # plain, and a Kind
    sheet.table("revenue_bridge", columns, rows)
    sheet.freeze(1)
    return sheet


def lanes(book: Book, facts: Facts, told: str) -> Sheet | None:
    """Customers without a segment, and why."""
    if not facts.lanes:
        return None
    sheet = book.sheet("Lanes", "Lanes", told, "Customers without a segment: there is a reason not to segment them.")
    columns = [
        Column("Lane", meaning="Why customers have no segment."),
        Column("Customers", "count", meaning(LANE_KPIS, "customers")),
    ]
    rows: list[list[Value]] = [[LANE_NAMES.get(lane.lane, lane.lane), lane.customers] for lane in facts.lanes]
    if facts.has_money:
        columns.append(Column(f"Revenue ({facts.currency})", "money", meaning(LANE_KPIS, "revenue")))
        rows = [[*row, lane.revenue] for row, lane in zip(rows, facts.lanes, strict=True)]
    sheet.table("lanes", columns, rows)
    sheet.freeze(0)
    return sheet
