"""The workbook of a publication: overview, segments, profile, history, moves, quality, bridge, lanes, definitions."""

from __future__ import annotations

from segengine.report.bundle import ModelFacts
from segengine.report.excel.account import bridge, history, lanes, moves, quality
from segengine.report.excel.book import Book, Column, Sheet, Value
from segengine.report.excel.segments import cards, details, figures, profile, sizes_chart, table
from segengine.report.html import words
from segengine.report.published import Facts

__all__ = ["FILE", "draw_workbook"]

FILE = "segments.xlsx"
"""Its name beside the page."""
TOLD = Column("What it is", "long")


def draw_workbook(facts: Facts, model: ModelFacts) -> bytes:
    """The bytes of an .xlsx file. It holds no formula, no link and no row of a single customer."""
    book = Book(f"{facts.name}: customer segments", facts.run.started_at, facts.minor_unit)
    told = f"{facts.name}. Data as of {words.day(facts.as_of, facts.timezone)} ({facts.timezone})."
    overview = book.sheet("Overview", f"{facts.name} customer segments", told, _note(facts))
    overview.table("key_figures", [Column("Figure"), Column("Value", "count"), TOLD], figures(facts))
    segments = table(book, facts, told)
    sizes_chart(book, overview, segments, facts)
    more = [draw(book, facts, told) for draw in (cards, profile, details, history, moves, quality, bridge, lanes)]
    there = [sheet for sheet in (segments, *more) if sheet is not None]
    there.append(_definitions(book, there, model, facts, told))
    contents: list[list[Value]] = [[sheet.name, sheet.rows, sheet.note] for sheet in there]
    overview.table("sheets", [Column("Sheet"), Column("Rows", "count"), TOLD], contents)
    return book.finished()


def _note(facts: Facts) -> str:
    """What must not be overlooked; else where the numbers come from."""
    warnings = list(dict.fromkeys(segment.warning for segment in facts.segments if segment.warning))
    if facts.model.status not in ("champion", "retired", "challenger"):
        warnings.insert(0, f"This model is {facts.model.status}: do not act on it without reading why.")
    if warnings:
        return "Warning: " + " ".join(warnings)
    return "Drawn from the published tables; the report beside this file and Power BI say the same."


def _definitions(book: Book, sheets: list[Sheet], model: ModelFacts, facts: Facts, told: str) -> Sheet:
    """What every column and every feature means."""
    note = "What the columns of the other sheets and the features mean."
    sheet = book.sheet("Definitions", "Definitions", told, note)
    rows: list[list[str]] = []
    for other in sheets:
        for _, columns in other.tables:
            rows += [[other.name, column.title, column.meaning] for column in columns if column.meaning]
    for feature in model.features:
        name, family = words.feature_label(str(feature["name"])), str(feature["family"]).replace("_", " ")
        unit = words.shown_unit(str(feature["unit"]), facts)
        text = f"{feature['text']} Unit: {unit}." if unit else str(feature["text"])
        rows.append([f"Feature ({family})", name, text])
    columns = (Column("Where"), Column("Column or feature"), Column("Meaning", "long"))
    sheet.table("definitions", columns, rows)
    sheet.freeze(0)
    return sheet
