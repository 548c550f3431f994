"""Sections about the data: bridge and lanes, quality of the rows, mix of protected attributes."""

from __future__ import annotations

from decimal import Decimal

from segengine.report.html import words
from segengine.report.html.charts import bar, left, right, span_bar, table
from segengine.report.html.markup import Child, Markup, tag
from segengine.report.html.section import LANES, Section, colour, named, note
from segengine.report.published import Facts, Mix

__all__ = ["bridge", "protected", "quality"]

OUTCOMES = {
    "used": "used",
    "rejected": "in quarantine",
    "ignored": "ignored by rule",
    "noted": "used, but noted",
}


def bridge(facts: Facts) -> Section | None:
    """From all money in the source to that of the segments, and the customers without a segment."""
    parts: list[Markup] = []
    if facts.bridge:
        lead = "From all money in the source to the money of the segments. It adds up to the last digit."
        parts += [note(lead), _waterfall(facts)]
    if any(lane.customers for lane in facts.lanes):
        rows: list[list[Child]] = [
            [LANES.get(lane.lane, lane.lane), words.count(lane.customers), words.money(lane.revenue, facts)]
            for lane in facts.lanes
            if lane.customers
        ]
        run = facts.run
        parts.append(
            note(
                f"{words.count(run.customers_assigned)} of {words.count(run.customers)} customers are in a segment. "
                f"{words.count(run.customers_in_lanes)} are in a lane instead: there is a reason not to segment them."
            )
        )
        parts.append(table("Lanes", [*left("Lane"), *right("Customers", "Revenue")], rows))
    return Section("bridge", "Revenue bridge and lanes", tuple(parts)) if parts else None


def _waterfall(facts: Facts) -> Markup:
    steps = facts.bridge
    ends, balance = [], Decimal(0)
    for step in steps:
        start, balance = (Decimal(0), step.amount) if step.is_balance else (balance, balance + step.amount)
        ends.append((start, balance))
    low = min(min(pair) for pair in ends)
    span = max(max(pair) for pair in ends) - low or Decimal(1)
    rows: list[list[Child]] = []
    for step, (start, end) in zip(steps, ends, strict=True):
        kind = "balance" if step.is_balance else "minus" if step.amount < 0 else "plus"
        rows.append(
            [
                step.name.replace("lane ", "lane: ").replace("_", " "),
                words.count(step.rows),
                words.count(step.customers),
                words.money(step.amount, facts),
                span_bar(float((start - low) / span), float((end - low) / span), kind),
            ]
        )
    return table("Revenue bridge", [*left("Step"), *right("Rows", "Customers", "Amount"), *left("")], rows)


def quality(facts: Facts) -> Section | None:
    """What became of the rows that were read."""
    if not facts.quality:
        return None
    read: dict[str, int] = {}
    for line in facts.quality:
        if line.outcome != "noted":
            read[line.table] = read.get(line.table, 0) + line.rows
    order = {name: place for place, name in enumerate(("used", "rejected", "ignored", "noted"))}
    ranked = sorted(
        facts.quality, key=lambda line: (line.table != "transactions", order.get(line.outcome, 9), line.rule)
    )
    rows: list[list[Child]] = []
    for line in ranked:
        share = line.rows / read[line.table] if read.get(line.table) else None
        rule = "" if line.rule == line.outcome else f": {line.rule.replace('_', ' ')}"
        rows.append(
            [
                f"{line.table.capitalize()}, {OUTCOMES.get(line.outcome, line.outcome)}{rule}",
                words.count(line.rows),
                tag("span", bar(share, f"q-{line.outcome}"), words.percent(share), class_="with-bar"),
                words.money(line.amount, facts),
                line.text,
            ]
        )
    run = facts.run
    lead = note(
        f"{words.count(run.rows_read)} rows of the main table: {words.count(run.rows_used)} used, "
        f"{words.count(run.rows_rejected)} in quarantine, {words.count(run.rows_ignored)} ignored by a named rule. "
        "Every row is in exactly one of them."
    )
    columns = [*left("Rows"), *right("Number"), *left("Share"), *right("Amount"), *left("What it means")]
    return Section("quality", "Data quality", (lead, table("What became of the rows", columns, rows)))


def protected(facts: Facts) -> Section | None:
    """The mix of protected attributes in each segment against everybody's."""
    if not facts.mixes:
        return None
    lead = note(
        "Protected attributes are never features. Here is how the segments differ in them all the same, because what "
        "customers buy may go with who they are. Shares of few customers are withheld. Cramér's V is 0 where an "
        "attribute says nothing about the segment, and 1 where it says everything."
    )
    tables = [_mix(facts, attribute) for attribute in dict.fromkeys(mix.attribute for mix in facts.mixes)]
    return Section("protected", "Mix of protected attributes", (lead, *tables))


def _mix(facts: Facts, attribute: str) -> Markup:
    own = [mix for mix in facts.mixes if mix.attribute == attribute]
    values = list(dict.fromkeys(mix.value for mix in sorted(own, key=lambda mix: (mix.value is None, mix.value or ""))))
    cells: dict[tuple[int, str | None], Mix] = {(mix.segment_key, mix.value): mix for mix in own}
    overall = {mix.value: mix.overall_share for mix in own}
    rows: list[list[Child]] = []
    for segment in facts.segments:
        row: list[Child] = [named(segment)]
        for value in values:
            found = cells.get((segment.segment_key, value))
            share = None if found is None else found.share
            shown = "withheld" if found is not None and share is None else words.percent(share)
            row.append(tag("span", bar(share, colour(segment)), shown, class_="with-bar"))
        rows.append(row)
    everybody: list[Child] = ["All customers"]
    everybody += [tag("span", bar(overall[v], "all"), words.percent(overall[v]), class_="with-bar") for v in values]
    v = next((mix.cramers_v for mix in own if mix.cramers_v is not None), None)
    told = f", Cramér's V {v:.2f}" if v is not None else ""
    label = words.feature_label(attribute)
    titles = left("Segment", *("no value" if value is None else value for value in values))
    return table(f"{label}{told}", titles, [*rows, everybody])
