"""What each page of the report shows: rows of visuals, without those whose fields the model lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segengine.report.powerbi.facts import Options
from segengine.report.powerbi.measures import HOME, own_kpis
from segengine.report.powerbi.measures_more import own_name
from segengine.report.powerbi.model import Model
from segengine.report.powerbi.star import PREVIOUS
from segengine.report.powerbi.visuals import Box, Ref, Visual

__all__ = ["Builder", "Drawn", "drivers", "moves", "overview", "profiles"]


@dataclass
class Builder:
    """Looks up what visuals need, and remembers those that cannot be drawn."""

    model: Model
    left_out: list[tuple[str, str]]

    def measure(self, name: str) -> Ref | None:
        return Ref(HOME, name, True) if self.model.has_measure(name) else None

    def column(self, source: str, column: str) -> Ref | None:
        table = self.model.table_of(source)
        found = table.field_of(column) if table is not None else None
        return Ref(table.name, found.name, False) if table is not None and found is not None else None

    def visual(
        self, id: str, kind: str, title: str, alt: str, *roles: tuple[str, tuple[Ref | None, ...]], least: int = 1
    ) -> Visual | None:
        """A visual, or None when one of its roles has fewer than `least` fields that are there."""
        kept = tuple((role, tuple(ref for ref in refs if ref is not None)) for role, refs in roles)
        lost = [role for role, refs in kept if len(refs) < least]
        if lost:
            self.left_out.append((f"visual {title}", f"nothing to show as {', '.join(lost)}"))
            return None
        return Visual(id, kind, title, alt, Box(0, 0, 0, 0), kept)

    def cards(self, id: str, title: str, alt: str, names: Sequence[str]) -> Visual | None:
        """Cards of those of the measures that are there."""
        return self.visual(id, "cardVisual", title, alt, ("Data", tuple(self.measure(name) for name in names)))

    def table(
        self, id: str, title: str, alt: str, source: str, columns: Sequence[str], measure: str | None = None
    ) -> Visual | None:
        """A table of columns of one published table, with a measure; None without the table."""
        values = [self.column(source, column) for column in columns]
        values += [self.measure(measure)] if measure is not None and any(values) else []
        return self.visual(id, "tableEx", title, alt, ("Values", tuple(values)))


Drawn = list[list[Visual | None]]
"""Rows of visuals from the top; what is None leaves its room to its neighbours."""


def overview(b: Builder, options: Options) -> Drawn:
    segment = b.column("segments", "name")
    customers, revenue = b.measure("Customers"), b.measure("Revenue")
    own = tuple(own_name(kpi) for kpi in own_kpis(b.model, options))
    day = b.column("segment_kpis", "as_of_date")
    return [
        [
            b.cards("numbers", "Now", "The main numbers of all customers in segments", NOW),
            b.cards("own", "Our key figures", "The team's own key figures", own) if own else None,
        ],
        [
            b.visual(
                "sizes",
                "clusteredBarChart",
                "Customers by segment",
                "Bars: customers in each segment",
                ("Category", (segment,)),
                ("Y", (customers,)),
            ),
            b.visual(
                "revenue",
                "clusteredBarChart",
                "Revenue by segment",
                "Bars: revenue of each segment",
                ("Category", (segment,)),
                ("Y", (revenue,)),
            ),
        ],
        [
            b.visual(
                "history",
                "lineChart",
                "Customers over time",
                "Lines: customers of each segment at every moment",
                ("Category", (day,)),
                ("Series", (segment,)),
                ("Y", (b.measure("Customers at the Time"),)),
            ),
            b.visual(
                "changes",
                "tableEx",
                "Change from the moment before",
                "Table: customers and revenue of each segment before, and their change",
                ("Values", (segment, *(b.measure(n) for n in CHANGES))),
                least=3,
            ),
        ],
    ]


NOW = (
    "Customers",
    "Revenue",
    "Average Order Value",
    "Orders per Customer",
    "At Risk",
    "At Risk Share",
    "Lifetime Value",
)
CHANGES = (
    "Customers Before",
    "Customers Change",
    "Customers Change %",
    "Revenue at the Time",
    "Revenue Before",
    "Revenue Change",
    "Revenue Change %",
)


def profiles(b: Builder, options: Options) -> Drawn:
    segment, feature = b.column("segments", "name"), b.column("segment_profiles", "feature")
    told = ("segment_id", "description", "action", "rule", "rule_precision", "rule_coverage")
    shares = (
        "Customers",
        "Customer Share",
        "Revenue Share",
        "Revenue per Customer",
        "Recency Days",
        "Active in 90 Days",
    )
    return [
        [
            b.visual(
                "cards",
                "tableEx",
                "Segments",
                "Table: what each segment is, its size and its share",
                ("Values", (segment, *(b.column("segments", c) for c in told), *(b.measure(n) for n in shares))),
                least=2,
            ),
        ],
        [
            b.visual(
                "features",
                "pivotTable",
                "Median of every feature",
                "Table: median of every feature by segment",
                ("Rows", (feature,)),
                ("Columns", (segment,)),
                ("Values", (b.measure("Feature Median"),)),
            ),
            b.visual(
                "value",
                "scatterChart",
                "Frequency and order value",
                "Points: orders per customer against the average order value, sized by customers",
                ("Category", (segment,)),
                ("X", (b.measure("Orders per Customer"),)),
                ("Y", (b.measure("Average Order Value"),)),
                ("Size", (b.measure("Customers"),)),
            ),
        ],
    ]


def moves(b: Builder, options: Options) -> Drawn:
    if b.model.table_of("moves") is None:
        return []
    segment, before = b.column("segments", "name"), Ref(PREVIOUS, "Previous Segment", False)
    day = b.column("moves", "as_of_date")
    return [
        [
            b.cards("numbers", "Moves", "Customers who came, went, stayed and came back", FLOWS),
        ],
        [
            b.visual(
                "matrix",
                "pivotTable",
                "From (rows) to (columns)",
                "Table: customers by the segment they were in and the one they are in",
                ("Rows", (before,)),
                ("Columns", (segment,)),
                ("Values", (b.measure("Moved Customers"),)),
            ),
            b.visual(
                "flow",
                "clusteredBarChart",
                "Net flow by segment",
                "Bars: customers who came less those who left",
                ("Category", (segment,)),
                ("Y", (b.measure("Net Flow"),)),
            ),
        ],
        [
            b.visual(
                "kept",
                "tableEx",
                "Kept customers",
                "Table: customers who were there, who stayed, and who are in any segment still",
                (
                    "Values",
                    (segment, *(b.measure(n) for n in KEPT)),
                ),
            ),
            b.visual(
                "causes",
                "clusteredColumnChart",
                "Moves by cause",
                "Columns: moves by cause at every moment",
                ("Category", (b.column("moves", "cause"),)),
                ("Series", (day,)),
                ("Y", (b.measure("Moves In"),)),
            ),
            b.table(
                "events",
                "What became of segments",
                "Table: segments kept, new, split, merged, retired",
                "segment_events",
                ("as_of_date", "segment_id", "event", "overlap"),
            ),
        ],
    ]


FLOWS = ("Moves In", "Moves Out", "Net Flow", "Retention", "Reactivated")
KEPT = ("Customers Before", "Stayed", "Stayed Share", "No Longer in a Segment", "Retention")


def drivers(b: Builder, options: Options) -> Drawn:
    segment, feature = b.column("segments", "name"), b.column("segment_profiles", "feature")
    family = b.column("segment_profiles", "family")
    customers = b.model.table_of("customers")
    known = {"customer_id", "first_ordered_at", "last_ordered_at", "is_known"}
    mine = tuple(
        Ref("Customers", f.name, False)
        for f in (customers.fields if customers else ())
        if not f.hidden and f.source not in known and f.kind == "string"
    )
    return [
        [
            b.visual(
                "differences",
                "pivotTable",
                "Difference from all customers, in standard deviations",
                "Table: how far each segment's mean of a feature is from that of all customers",
                ("Rows", (family, feature)),
                ("Columns", (segment,)),
                ("Values", (b.measure("Feature Difference"),)),
            ),
            b.visual(
                "index",
                "clusteredBarChart",
                "Index of features: 100 is everybody",
                "Bars: index of every feature of the segments chosen",
                ("Category", (feature,)),
                ("Series", (segment,)),
                ("Y", (b.measure("Feature Index"),)),
            ),
        ],
        [
            b.visual(
                "tree",
                "decompositionTreeVisual",
                "What revenue is made of",
                "Tree: revenue split by segment and by attributes of customers",
                ("Analyze", (b.measure("Revenue") or b.measure("Customers"),)),
                ("ExplainBy", (segment, *mine[:8])),
            ),
            b.visual(
                "strongest",
                "tableEx",
                "Strongest difference",
                "Table: the strongest difference of each segment",
                ("Values", (segment, b.measure("Strongest Difference"), b.measure("Feature Mean"))),
            ),
            b.visual(
                "protected",
                "pivotTable",
                "Protected attributes; small cells are left empty",
                "Table: share of protected values by segment",
                ("Rows", (b.column("protected_mix", "attribute"), b.column("protected_mix", "value"))),
                ("Columns", (segment,)),
                ("Values", (b.measure("Protected Share"),)),
            ),
        ],
    ]
