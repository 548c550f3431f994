"""Natural language: synonyms and instructions for Copilot, and questions with what answers them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from segengine.report.powerbi.facts import Card, Published
from segengine.report.powerbi.measures import HOME
from segengine.report.powerbi.model import Model
from segengine.report.powerbi.names import dax_column, hex_id, one_line

__all__ = ["Question", "linguistics", "questions"]

VERSION = "4.2.0"
LONGEST_INSTRUCTIONS = 10_000
MODIFIED = "2026-01-01T00:00:00Z"
"""Of a synonym of ours: a fixed time, so that drawing again changes nothing."""

TABLE_TERMS = {
    "segments": ("segment", "cluster", "customer group", "persona"),
    "customers": ("customer", "client", "shopper"),
    "moves": ("move", "migration", "transition"),
    "quality": ("data quality", "data check"),
    "models": ("model", "model version"),
}
FIELD_TERMS = {
    ("segments", "name"): ("segment name", "segment", "cluster"),
    ("segments", "segment_id"): ("segment number", "segment code"),
    ("customers", "customer_id"): ("customer number", "account", "client id"),
    ("customers", "last_ordered_at"): ("last purchase", "latest order"),
    ("customers", "first_ordered_at"): ("first purchase", "joined"),
    ("assignments", "lane"): ("why no segment", "exclusion"),
    ("dates", "year_month"): ("month", "period"),
}


@dataclass(frozen=True)
class Question:
    """A question, the measure and the segment that answer it, and the answer that SQL gives."""

    text: str
    measure: str
    segment: Card | None
    expected: float | None
    sql: str

    def dax(self, model: Model) -> str:
        """A query that answers it in Power BI."""
        shown = f'ROW ( "Answer", {dax_column(self.measure)} )'
        if self.segment is None:
            return f"EVALUATE {shown}"
        key = model.reference("segments.segment_key")
        return f"EVALUATE CALCULATETABLE ( {shown}, {key} = {self.segment.segment_key} )"


def linguistics(model: Model, cards: Iterable[Card]) -> str:
    """The linguistic schema as JSON: every entity is bound to a table, column or measure of the model."""
    entities: dict[str, Any] = {}
    for source, terms in TABLE_TERMS.items():
        table = model.table_of(source)
        if table is not None and not table.hidden:
            entities[f"table.{hex_id(table.name)}"] = _entity({"ConceptualEntity": table.name}, terms)
    for (source, column), terms in FIELD_TERMS.items():
        table = model.table_of(source)
        found = table.field_of(column) if table is not None else None
        if table is not None and found is not None and not found.hidden:
            binding = {"ConceptualEntity": table.name, "ConceptualProperty": found.name}
            entities[f"field.{hex_id(table.name, column)}"] = _entity(binding, terms)
    for measure in model.measures.values():
        if not measure.hidden:
            binding = {"ConceptualEntity": HOME, "ConceptualProperty": measure.name}
            entities[f"measure.{hex_id(measure.name)}"] = _entity(binding, (measure.name.lower(), *measure.synonyms))
    content = {
        "Version": VERSION,
        "Language": "en-US",
        "Entities": entities,
        "Relationships": {},
        "CustomInstructions": instructions(model, cards),
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _entity(binding: dict[str, str], terms: Iterable[str]) -> dict[str, Any]:
    names = list(dict.fromkeys(terms))
    listed = [{names[0]: {"State": "Generated"}}, *({t: {"LastModified": MODIFIED}} for t in names[1:])]
    return {"Definition": {"Binding": binding}, "State": "Generated", "Terms": listed}


def instructions(model: Model, cards: Iterable[Card]) -> str:
    """What Copilot is told: how to answer, and what each segment is."""
    lines = [
        "Answer from the measures of the table Key Figures; do not add up columns.",
        "Customers is the number of customers in a segment; customers without a segment are in a lane.",
        "Group by Segments[Segment] when somebody asks for groups, clusters, personas or segments.",
        "Say as of when the data is, with the measure Data as of.",
        "Segments:",
    ]
    if not model.has_measure("Retention"):
        lines.insert(4, "There is no measure of retention or moves: say so.")
    text = "\n".join(lines)
    for card in cards:
        told = ". ".join(part.rstrip(".") for part in (card.description, card.action) if part)
        line = f"- {card.segment_id} {one_line(card.name)}" + (f": {one_line(told)}" if told else "")
        if len(text) + len(line) + 1 > LONGEST_INSTRUCTIONS:
            break
        text += "\n" + line
    return text


ALL = (
    ("How many customers are in a segment?", "Customers"),
    ("How many customers do we have, with those in lanes?", "All Customers"),
    ("How many customers are in no segment?", "Customers in Lanes"),
    ("What is our revenue?", "Revenue"),
    ("How many orders were there?", "Orders"),
    ("What is the average order value?", "Average Order Value"),
    ("What does a customer spend?", "Revenue per Customer"),
    ("How often does a customer order?", "Orders per Customer"),
    ("How long ago did customers last order?", "Recency Days"),
    ("How many customers are at risk?", "At Risk"),
    ("Which share of customers is at risk?", "At Risk Share"),
    ("How many customers ordered in the last 90 days?", "Active in 90 Days"),
    ("How many customers moved into another segment?", "Moves In"),
    ("How many customers did we keep?", "Retention"),
    ("How many customers came back?", "Reactivated"),
    ("By how many did the customers change?", "Customers Change"),
    ("By how much did revenue change?", "Revenue Change %"),
    ("What can we expect of our customers in a year?", "Lifetime Value"),
    ("How many rows were read?", "Rows Read"),
    ("How many rows were rejected?", "Rows Rejected"),
    ("Which share of rows was rejected?", "Rejected Share"),
    ("How much money was read?", "Amount Read"),
    ("How much money is in segments?", "Amount in Segments"),
    ("How much money is in lanes?", "Revenue in Lanes"),
    ("How well are segments apart?", "Silhouette"),
    ("How stable is the least stable segment?", "Lowest Stability"),
    ("How many customers are outliers?", "Outliers"),
    ("How many customers are near a border?", "Near a Border"),
    ("What share of customers is near a border?", "Near a Border Share"),
)
EACH = (
    ("How many customers are in {0}?", "Customers"),
    ("Which share of the revenue comes from {0}?", "Revenue Share"),
    ("What is the average order value of {0}?", "Average Order Value"),
    ("How many customers of {0} are at risk?", "At Risk"),
    ("Which share of the customers is in {0}?", "Customer Share"),
    ("How often do customers of {0} order?", "Orders per Customer"),
    ("How many customers came into {0}?", "Moves In"),
    ("How many customers left {0}?", "Moves Out"),
    ("What does a customer of {0} spend?", "Revenue per Customer"),
    ("How many outliers does {0} have?", "Outliers"),
    ("How different is {0} from everybody?", "Strongest Difference"),
)
MOST_QUESTIONS = 30


def questions(model: Model, published: Published) -> tuple[Question, ...]:
    """Thirty questions, fewer where the publication supports fewer: half of all customers, half of single segments."""
    expected = {(e.kpi, e.segment_key): e.value for e in published.expected}

    def asked(text: str, name: str, card: Card | None) -> Question:
        key = card.segment_key if card else None
        sql = model.measures[name].sql
        assert sql is not None
        return Question(text, name, card, expected.get((name, key)), sql.query(key))

    can = {m.name: m.sql.segment for m in model.measures.values() if m.sql is not None}
    general = [asked(text, name, None) for text, name in ALL if name in can]
    single = []
    for text, name in EACH:
        for card in published.cards:
            if can.get(name) is not None:
                single.append(asked(text.format(one_line(card.name)[:80]), name, card))
    share = max(MOST_QUESTIONS // 2, MOST_QUESTIONS - len(general))
    step = max(1, len(single) // max(1, share))
    chosen = single[::step][:share]
    general = general[: MOST_QUESTIONS - len(chosen)]
    return (*general, *chosen)
