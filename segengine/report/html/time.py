"""Sections about what changed: moves, what became of segments, trends and drift."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from segengine.report.html import words
from segengine.report.html.charts import Line, left, lines, nice_top, right, table
from segengine.report.html.markup import Child, Markup, tag
from segengine.report.html.section import Section, colour, named, note, place_name
from segengine.report.published import Facts, Kpi, Move

__all__ = ["drift", "moves", "trends"]

CAUSES = {
    "new": "new customers",
    "customer_changed": "the customers changed",
    "model_changed": "the model changed",
    "left": "customers left",
}
Place: TypeAlias = tuple[int | None, str | None]
"""Where a customer is: the key of a segment, or a lane, or neither."""

LARGEST_MOVES = 12
MOST_LINES = 12


def moves(facts: Facts) -> Section | None:
    """From where to where customers moved since the publication before, and why."""
    changed = [m for m in facts.moves if _place(m, "from") != _place(m, "to")]
    if not facts.moves:
        return None
    before = next((m.previous_as_of for m in facts.moves if m.previous_as_of is not None), None)
    if before is None:
        text = "This is the first publication: every customer is new. Moves are told from the next one on."
        return Section("moves", "Moves", (note(text),))
    since = words.day(before, facts.timezone)
    causes: dict[str, int] = {}
    for move in changed:
        causes[move.cause] = causes.get(move.cause, 0) + move.customers
    told = "; ".join(f"{words.count(n)} because {CAUSES.get(cause, cause)}" for cause, n in sorted(causes.items()))
    total = sum(move.customers for move in changed)
    lead = note(f"Since {since} {words.count(total)} customers changed their place", f": {told}." if told else ".")
    parts: list[Markup] = [lead, _matrix(facts, since)] if len(facts.segments) <= MOST_LINES else [lead]
    if changed:
        parts.append(_largest(facts, changed))
    return Section("moves", "Moves", tuple(parts))


def _place(move: Move, side: str) -> Place:
    return (move.from_segment_key, move.from_lane) if side == "from" else (move.to_segment_key, move.to_lane)


def _matrix(facts: Facts, since: str) -> Markup:
    """Customers from each place (rows) to each place (columns)."""
    counts: dict[tuple[Place, Place], int] = {}
    for move in facts.moves:
        pair = _place(move, "from"), _place(move, "to")
        counts[pair] = counts.get(pair, 0) + move.customers
    order: list[Place] = [(segment.segment_key, None) for segment in facts.segments]
    others = {place for pair in counts for place in pair} - set(order)
    places = [*order, *sorted(others, key=str)]
    rows_used = [p for p in places if any(counts.get((p, q)) for q in places)]
    columns_used = [q for q in places if any(counts.get((p, q)) for p in places)]
    rows: list[list[Child]] = []
    for p in rows_used:
        total = sum(counts.get((p, q), 0) for q in columns_used) or 1
        row: list[Child] = [place_name(p[0], p[1], facts)]
        for q in columns_used:
            n = counts.get((p, q), 0)
            style = f"--t:{100 * n / total:.0f}%"
            row.append(tag("span", words.count(n) if n else "·", class_="cell stay" if p == q else "cell", style=style))
        rows.append(row)
    titles = [*left("From \\ to"), *right(*(_short(q, facts) for q in columns_used))]
    return table(f"Customers by where they were on {since} and are now", titles, rows)


def _short(place: Place, facts: Facts) -> str:
    segment = facts.segment(place[0])
    if segment is not None:
        return segment.name
    name = place_name(place[0], place[1], facts)
    return name if isinstance(name, str) else str(place[0])


def _largest(facts: Facts, changed: list[Move]) -> Markup:
    ranked = sorted(changed, key=lambda m: (-m.customers, str(_place(m, "from")), str(_place(m, "to")), m.cause))
    rows: list[list[Child]] = [
        [
            place_name(move.from_segment_key, move.from_lane, facts),
            place_name(move.to_segment_key, move.to_lane, facts),
            CAUSES.get(move.cause, move.cause),
            words.count(move.customers),
            words.money(move.revenue, facts),
        ]
        for move in ranked[:LARGEST_MOVES]
    ]
    caption = "The largest moves" if len(ranked) > LARGEST_MOVES else "All moves"
    return table(caption, [*left("From", "To", "Because"), *right("Customers", "Revenue")], rows)


def trends(facts: Facts) -> Section | None:
    """How the segments' figures went from publication to publication."""
    moments = sorted({kpi.as_of for kpi in facts.kpis})
    if not moments:
        return None
    if len(moments) == 1:
        text = f"There is one moment so far, {words.day(moments[0], facts.timezone)}. Lines begin with the next one."
        return Section("trends", "Trends", (note(text),))
    shown = facts.segments[:MOST_LINES]
    figures: list[tuple[str, Callable[[Kpi], float | None], Callable[[float], str]]] = [
        ("Customers", lambda kpi: float(kpi.customers), lambda v: words.number(v)),
        ("Share of revenue", lambda kpi: kpi.revenue_share, lambda v: words.percent(v, 0)),
        (f"Revenue per customer, {facts.currency}", lambda k: _double(k.revenue_per_customer), words.number),
        ("Active in the last 90 days", _active_share, lambda v: words.percent(v, 0)),
    ]
    charts = [chart for title, value, text in figures if (chart := _trend(facts, moments, title, value, text))]
    more = f" The first {len(shown)} segments are drawn." if len(shown) < len(facts.segments) else ""
    legend = tag("ul", [tag("li", named(segment)) for segment in shown], class_="legend")
    versions = sorted({kpi.model_version for kpi in facts.kpis})
    changed = f" Models in that time: {', '.join(versions)}." if len(versions) > 1 else ""
    lead = note(f"{len(moments)} moments, {words.day(moments[0], facts.timezone)} to "
                f"{words.day(moments[-1], facts.timezone)}.{changed}{more}")  # fmt: skip
    return Section("trends", "Trends", (lead, legend, tag("div", charts, class_="charts")))


def _trend(
    facts: Facts,
    moments: list[dt.datetime],
    title: str,
    value: Callable[[Kpi], float | None],
    text: Callable[[float], str],
) -> Markup | None:
    by_place = {(kpi.segment_key, kpi.as_of): value(kpi) for kpi in facts.kpis}
    drawn = [
        Line(s.name, colour(s), tuple(by_place.get((s.segment_key, moment)) for moment in moments))
        for s in facts.segments[:MOST_LINES]
    ]
    known = [v for line in drawn for v in line.values if v is not None]
    if not known:
        return None
    top = nice_top(max(known))
    days = [words.day(moment, facts.timezone)[:10] for moment in moments]
    last = "; ".join(f"{line.name} {text(line.values[-1])}" for line in drawn if line.values[-1] is not None)
    chart = lines(f"{title}, last: {last}", days, drawn, [text(0.0), text(top / 2), text(top)], top)
    return tag("figure", tag("figcaption", title), chart)


def _double(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _active_share(kpi: Kpi) -> float | None:
    return kpi.active_90_days / kpi.customers if kpi.active_90_days is not None and kpi.customers else None


def drift(facts: Facts) -> Section | None:
    """What moved away from what the model was trained on and from the same month a year ago: what is remarked on."""
    if not facts.drift:
        return None
    remarked = [row for row in facts.drift if row.get("verdict") != "ok"]
    counted = f"{len(facts.drift):,} comparisons of the customers of this run with earlier ones"
    if not remarked:
        return Section("drift", "Drift", (note(f"{counted}: none is beyond its limit."),))
    order = {"alarm": 0, "watch": 1}
    remarked.sort(
        key=lambda row: (order.get(str(row.get("verdict")), 2), str(row.get("measure")), str(row.get("subject")))
    )
    sides = [*left("", "what", "measure", "compared with"), *right("value", "alarm"), *left("text")]
    names = ("verdict", "subject", "measure", "compared_with", "value", "alarm_limit", "text")
    rows: list[list[Child]] = [[_shown(row.get(name)) for name in names] for row in remarked]
    lead = note(f"{counted}; these {len(remarked)} are beyond a limit that counts in what chance does.")
    return Section("drift", "Drift", (lead, table("Drift by measure", sides, rows)))


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1 else words.number(value)
    return words.ABSENT if value is None else str(value).replace("_", " ")
