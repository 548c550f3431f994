"""What comes with the project for people: questions with answers, what was left out, queries for the first opening."""

from __future__ import annotations

import json
from collections.abc import Sequence

from segengine.report.powerbi.facts import Options
from segengine.report.powerbi.language import Question
from segengine.report.powerbi.measures import SELF_CHECK, checked
from segengine.report.powerbi.model import Model
from segengine.report.powerbi.names import dax_column, dax_text, one_line
from segengine.report.powerbi.pages import Page

__all__ = ["ACCEPTANCE", "LEFT_OUT", "QUESTIONS", "files"]

ACCEPTANCE = "acceptance.dax"
QUESTIONS = "questions.jsonl"
LEFT_OUT = "left-out.md"


def files(model: Model, pages: Sequence[Page], asked: Sequence[Question], options: Options) -> dict[str, str]:
    """Path -> text of the files beside the project."""
    texts = {QUESTIONS: _questions(model, asked), LEFT_OUT: _left_out(model, pages, options)}
    if model.has_measure(SELF_CHECK):
        texts[ACCEPTANCE] = _acceptance(model)
    return texts


def _questions(model: Model, asked: Sequence[Question]) -> str:
    rows = [
        {
            "question": q.text,
            "measure": q.measure,
            "filters": {} if q.segment is None else {"Segments[Segment]": one_line(q.segment.name)},
            "dax": q.dax(model),
            "sql": q.sql,
            "expected": q.expected,
        }
        for q in asked
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _left_out(model: Model, pages: Sequence[Page], options: Options) -> str:
    lines = [
        f"# What the project of {options.name} holds, and what it does not",
        "",
        (
            f"Pages: {', '.join(page.title for page in pages)}. Measures: {len(model.measures)}. "
            f"Money is in {options.currency}, times are UTC, days are days in {options.timezone}."
        ),
        "",
    ]
    if model.left_out:
        lines += ["Left out, because the publication or the configuration does not support it:", ""]
        lines += [f"- {what}: {why}" for what, why in model.left_out]
    else:
        lines.append("Nothing was left out.")
    return "\n".join([*lines, ""])


def _acceptance(model: Model) -> str:
    """Queries for Desktop's DAX query view: the number of failures, and every comparison as a row."""
    kpi, key, value = (model.reference(f"expected_kpis.{c}") for c in ("kpi", "segment_key", "value"))
    segment = model.reference("segments.segment_key")
    cases = ",\n\t\t\t".join(f"{dax_text(m.name)}, {dax_column(m.name)}" for m in checked(model.measures.values()))
    same = f"SegmentKey = 0 || {segment} = SegmentKey"
    lines = [
        "// Run in Power BI Desktop's DAX query view after the first Refresh.",
        "// The first query must give 0; the second shows every published result beside the measure's.",
        f'EVALUATE ROW ( "Failures", {dax_column(SELF_CHECK)} )',
        "",
        "EVALUATE",
        "ADDCOLUMNS (",
        (
            f'\tSELECTCOLUMNS ( {model.reference("expected_kpis")}, "KPI", {kpi}, "Segment Key", {key}, '
            f'"Expected", {value} ),'
        ),
        '\t"Actual",',
        "\t\tVAR Kpi = [KPI]",
        "\t\tVAR SegmentKey = [Segment Key]",
        "\t\tRETURN CALCULATE (",
        f"\t\t\tSWITCH ( Kpi,\n\t\t\t{cases} ),",
        f"\t\t\tREMOVEFILTERS (), FILTER ( ALL ( {segment} ), {same} )",
        "\t\t)",
        ")",
        "ORDER BY [KPI], [Segment Key]",
    ]
    return "\n".join([*lines, ""])
