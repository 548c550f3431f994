"""Sheets about the segments as they are: key figures, sizes and cards, profile in original units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from segengine.report.excel.book import Book, Column, Kind, Sheet, Styled, Value, clean
from segengine.report.html import words
from segengine.report.published import Facts, Profile, Segment
from segengine.tables import SEGMENT_KPIS, SEGMENT_PROFILES, SEGMENTS, Table

__all__ = ["cards", "details", "figures", "meaning", "named", "profile", "sizes_chart", "table"]

CUSTOMERS, REVENUE = "#A8C4E0", "#F0CFA0"
"""Colours of bars in cells, of customers and of money; black on each of them is read easily."""
CHART_COLOURS = {"Share of customers": "#4477AA", "Share of revenue": "#CC8B3C"}
CHART_SEGMENTS = 25
SHEET = "Segments"
LEVELS = {-3: "#EBA96B", -2: "#F5CDA6", -1: "#FBE9D9", 1: "#DCE6F7", 2: "#AFC6EE", 3: "#7FA3E0"}
"""Below and above the mean of all customers; black on each of them is read easily."""


def meaning(of: Table, column: str) -> str:
    """What the reference of the published tables says of a column, as a sentence."""
    text = next(declared.text for declared in of.columns if declared.name == column)
    return f"{text[:1].upper()}{text[1:]}."


def named(segment: Segment) -> str:
    """A segment's name, with its group where there are groups."""
    return segment.name if segment.group_name is None else f"{segment.group_name}: {segment.name}"


def figures(facts: Facts) -> list[list[Value]]:
    """The key figures of the publication, and where they come from; a figure that is not there is left out."""
    run, currency = facts.run, facts.currency
    now = [kpi for kpi in facts.kpis if kpi.as_of == facts.as_of]
    active = [kpi.active_90_days for kpi in now if kpi.active_90_days is not None]
    ahead = [kpi.lifetime_value_365d for kpi in now if kpi.lifetime_value_365d is not None]
    local = facts.as_of.astimezone(ZoneInfo(facts.timezone)).replace(tzinfo=None)
    rows: list[list[Value]] = [
        ["Data as of", Styled(local, "day"), f"The moment that everything looks back from, {facts.timezone}."],
        ["Customers", run.customers, "All customers that were found."],
        ["Customers in a segment", run.customers_assigned, "They are what segments and shares are counted from."],
        ["Customers in a lane", run.customers_in_lanes, "There is a reason not to segment them; see Lanes."],
        ["Segments", len(facts.segments), facts.model.decision],
        [f"Revenue of the segments ({currency})", Styled(run.amount_assigned, "money"), "See Revenue bridge."],
        [f"Revenue in the source ({currency})", Styled(run.amount_read, "money"), "See Revenue bridge."],
        ["Customers active in the last 90 days", sum(active) if active else None, "Of those in a segment."],
        [f"Lifetime value, 365 days ({currency})", Styled(sum(ahead, Decimal(0)) if ahead else None, "money"),
         "Money to be expected of customers in a segment, not discounted."],
        ["Rows read", run.rows_read, "Of the main table."],
        ["Rows used", run.rows_used, "See Data quality."],
        ["Rows in quarantine", run.rows_rejected, "See Data quality."],
        ["Rows ignored by rule", run.rows_ignored, "See Data quality."],
        ["Model", run.model_version, f"It is {facts.model.status}."],
        ["Publication", facts.publication_id, "The same in the published tables, the report and Power BI."],
        ["Run", run.run_id, f"segengine {run.segengine_version}."],
    ]  # fmt: skip
    return [row for row in rows if (row[1].value if isinstance(row[1], Styled) else row[1]) is not None]


class _Drawn:
    """Columns of a table of segments, and the values of each."""

    def __init__(self) -> None:
        self.columns: list[Column] = []
        self.values: list[list[Value]] = []

    def add(
        self, title: str, name: str, values: Sequence[Value], kind: Kind = "text", bar: str = "", of: Table = SEGMENTS
    ) -> None:
        """A column, where there is anything in it; its meaning is that of `name` in the reference."""
        if any(value is not None for value in values):
            self.columns.append(Column(title, kind, meaning(of, name), bar))
            self.values.append(list(values))

    @property
    def rows(self) -> list[list[Value]]:
        return [list(row) for row in zip(*self.values, strict=True)]


def table(book: Book, facts: Facts, told: str) -> Sheet:
    """A row a segment: how many customers, what they are worth."""
    note = "A row is a segment: how many customers, and what they are worth."
    sheet = book.sheet(SHEET, "Segments", told, note)
    kpis = {kpi.segment_key: kpi for kpi in facts.kpis if kpi.as_of == facts.as_of}
    own, currency, drawn = facts.segments, facts.currency, _Drawn()
    at = [kpis.get(segment.segment_key) for segment in own]
    _names(drawn, own)
    drawn.add("Customers", "customers", [s.customers for s in own], "count")
    drawn.add("Share of customers", "share", [s.share for s in own], "share", CUSTOMERS)
    drawn.add(f"Revenue ({currency})", "revenue", [s.revenue for s in own], "money")
    drawn.add("Share of revenue", "revenue_share", [s.revenue_share for s in own], "share", REVENUE)
    of_kpis: list[tuple[str, str, Kind]] = [
        (f"Revenue per customer ({currency})", "revenue_per_customer", "money"),
        (f"Average order value ({currency})", "average_order_value", "money"),
        ("Active in the last 90 days", "active_90_days", "count"),
        (f"Lifetime value, 365 days ({currency})", "lifetime_value_365d", "money"),
    ]
    for title, name, kind in of_kpis:
        drawn.add(title, name, [getattr(kpi, name, None) for kpi in at], kind, of=SEGMENT_KPIS)
    drawn.add("Stability", "stability", [s.stability for s in own], "number")
    drawn.add("Outliers", "outliers", [s.outliers for s in own], "count")
    sheet.table("segments", drawn.columns, drawn.rows)
    sheet.freeze(1)
    return sheet


def cards(book: Book, facts: Facts, told: str) -> Sheet | None:
    """A row a segment: who they are, and what to do; None where the publication is of before there were cards."""
    own, drawn = facts.segments, _Drawn()
    if all(segment.action is None and segment.description is None and segment.rule is None for segment in own):
        return None
    sheet = book.sheet("What to do", "What to do", told, "A row is a segment: who they are, what to do, and a rule.")
    _names(drawn, own)
    drawn.add("What to do", "action", [s.action for s in own], "long")
    drawn.add("Who they are", "description", [s.description for s in own], "long")
    drawn.add("Rule", "rule", [s.rule for s in own], "long")
    drawn.add("Rule is right for", "rule_precision", [s.rule_precision for s in own], "share")
    drawn.add("Rule finds", "rule_coverage", [s.rule_coverage for s in own], "share")
    drawn.add("Warning", "warning", [s.warning for s in own], "long")
    sheet.table("what_to_do", drawn.columns, drawn.rows)
    sheet.freeze(1)
    return sheet


def _names(drawn: _Drawn, own: Sequence[Segment]) -> None:
    drawn.add("Segment", "name", [Styled(s.name, look=_edge(s)) for s in own])
    drawn.add("Id", "segment_id", [s.segment_id for s in own])
    drawn.add("Group", "group_name", [s.group_name for s in own])


def _edge(segment: Segment) -> dict[str, object]:
    """A thick edge in the segment's colour, where that is a colour."""
    known = re.fullmatch("#[0-9a-fA-F]{6}", segment.colour)
    return {"bold": True, "left": 5, "left_color": segment.colour if known else "#777777"}


def sizes_chart(book: Book, sheet: Sheet, segments: Sheet, facts: Facts) -> None:
    """Bars of customers and money by segment, beside the key figures."""
    ((_, columns),) = segments.tables
    titles = [column.title for column in columns]
    first, last = 5, 4 + min(len(facts.segments), CHART_SEGMENTS)
    chart = book.workbook.add_chart({"type": "bar"})
    for title, colour in CHART_COLOURS.items():
        if title in titles:
            place = titles.index(title)
            chart.add_series(
                {
                    "name": title,
                    "categories": [SHEET, first, 0, last, 0],
                    "values": [SHEET, first, place, last, place],
                    "fill": {"color": colour},
                    "gap": 60,
                }
            )
    what = "Share of customers and of revenue by segment" if facts.has_money else "Share of customers by segment"
    some = f", the first {CHART_SEGMENTS}" if len(facts.segments) > CHART_SEGMENTS else ""
    chart.set_title({"name": what + some, "name_font": {"size": 12}})
    chart.set_y_axis({"reverse": True})
    chart.set_x_axis({"num_format": "0%", "major_gridlines": {"visible": True, "line": {"color": "#DDDDDD"}}})
    chart.set_legend({"position": "bottom"})
    chart.set_size({"width": 620, "height": max(340, 120 + 34 * (last - first + 1))})
    shares = ", ".join(f"{clean(named(s), 60)} {words.percent(s.share)}" for s in facts.segments[:CHART_SEGMENTS])
    sheet.page.insert_chart(4, 4, chart, {"description": f"{what}. Customers: {shares}."})


def profile(book: Book, facts: Facts, told: str) -> Sheet | None:
    """The median of every feature in every segment, in the feature's own unit; colour and sign beside it."""
    cells = {(p.segment_key, p.feature): p for p in facts.profiles}
    features = list(dict.fromkeys((p.feature, p.family, p.unit) for p in facts.profiles if p.median is not None))
    if not features:
        return None
    note = (
        "Medians. The sign says how far the segment's mean is from the mean of all customers: one from a quarter of a "
        "standard deviation on, two from three quarters, three from one and a half; ▲ above, ▼ below."
    )
    sheet = book.sheet("Profile", "Profile", told, note)
    columns = [
        Column("Feature", meaning="See the features below."),
        Column("Unit", meaning="Of the medians in the row."),
        *(Column(f"{clean(named(s), 180)} ({s.segment_id})", "number") for s in facts.segments),
    ]
    rows: list[list[Value]] = []
    for feature, _, unit in features:
        found = [cells.get((segment.segment_key, feature)) for segment in facts.segments]
        known = [abs(p.median) for p in found if p is not None and p.median is not None]
        digits = "0%" if unit.startswith("share") else _digits(known)
        shown = "share" if unit.startswith("share") else words.shown_unit(unit, facts)
        rows.append([words.feature_label(feature), shown, *(_cell(p, digits) for p in found)])
    sheet.table("profile", columns, rows)
    sheet.freeze(2)
    return sheet


def _digits(known: Sequence[float]) -> str:
    """Three figures or so, the same number of decimals in the whole row."""
    largest = max(known, default=0.0)
    if largest >= 100 or all(value == int(value) for value in known):
        return "#,##0"
    return "#,##0.0" if largest >= 10 else "#,##0.00"


def _cell(found: Profile | None, digits: str) -> Value:
    if found is None or found.median is None:
        return None
    level = words.level(found.z)
    look: dict[str, object] = {"num_format": f'{digits}" {words.sign(found.z)}"'}
    if level:
        look["bg_color"] = LEVELS[level]
    return Styled(found.median, look=look)


def details(book: Book, facts: Facts, told: str) -> Sheet | None:
    """A row a segment and feature, with what the profile leaves out; for pivots and filters."""
    known = [p for p in facts.profiles if p.mean is not None or p.median is not None]
    if not known:
        return None
    note = "A row is a segment and a feature: spread, mean, and how that compares with all customers."
    sheet = book.sheet("Profile details", "Profile details", told, note)
    columns = [
        Column("Segment"), Column("Feature"), Column("Unit"),
        *(Column(title, "number", meaning(SEGMENT_PROFILES, name)) for title, name in (
            ("Median", "median"), ("Mean", "mean"), ("10 % are below", "p10"), ("10 % are above", "p90"),
            ("Mean of all customers", "overall_mean"), ("Standard deviations from it", "z"))),
        Column("In words", meaning="How the mean compares with that of all customers."),
        Column("Missing", "share", meaning(SEGMENT_PROFILES, "missing_share")),
    ]  # fmt: skip
    names = {segment.segment_key: named(segment) for segment in facts.segments}
    rows: list[list[Value]] = [
        [names.get(p.segment_key, str(p.segment_key)), words.feature_label(p.feature),
         words.shown_unit(p.unit, facts), p.median, p.mean, p.p10, p.p90, p.overall_mean, p.z, words.reading(p.z),
         p.missing_share]
        for p in known
    ]  # fmt: skip
    sheet.table("profile_details", columns, rows)
    sheet.freeze(2)
    return sheet
