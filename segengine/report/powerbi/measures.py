"""Measures put together: those the publication supports are resolved to the model's names, the others are listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from segengine.report.powerbi import measures_more as more
from segengine.report.powerbi import measures_now as now
from segengine.report.powerbi.facts import Options
from segengine.report.powerbi.measures_moves import MOVES
from segengine.report.powerbi.measures_quality import QUALITY
from segengine.report.powerbi.model import Field, Measure, Model, ModelTable, formats
from segengine.report.powerbi.names import dax_column, dax_text

__all__ = ["HOME", "MIXED", "SELF_CHECK", "checked", "measure_names_in", "own_kpis", "with_measures"]

HOME = "Key Figures"
"""The table that holds every measure of ours."""
SELF_CHECK = "Self-check failures"
MIXED = "Mixed publications: refresh again"
ALWAYS_NEW = ("segments", "assignments", "customers", "dates", "segment_profiles", "runs", "quality")
"""Tables with rows of every publication: the newest id in each has to be the same. Tables of history are not among
them: a moment that is published again leaves them as they are."""
TOLERANCE = "0.0001"
"""Money divided by a count has four decimals in DAX; a wrong measure is farther off than that."""

PLACEHOLDER = re.compile(r"\{([A-Za-z_][\w ]*(?:\.[^{}]+)?)\}")
MEASURE = re.compile(r"(?<![\w'}\])])\[((?:[^\]]|\]\])+)\]")
TEXT = re.compile(r'"(?:[^"]|"")*"')


def measure_names_in(dax: str) -> list[str]:
    """The measures that a piece of DAX names: brackets without a table before them."""
    return [name.replace("]]", "]") for name in MEASURE.findall(TEXT.sub('""', dax)) if name != "Value"]


def with_measures(model: Model, options: Options, *, detailed: bool) -> Model:
    """The model with every measure that its tables support, and what was left out with the reason."""
    f = formats(options.minor_unit)
    wanted = [*(now.FROM_ROWS if detailed else now.FROM_TOTALS), *now.ratios(rows=detailed)]
    wanted += [*more.history(), *MOVES, *more.PROFILES, *QUALITY, *more.own(own_kpis(model, options))]
    wanted += _state(model, options)
    wanted = [replace(measure, format=f.get(measure.format or "")) for measure in wanted]
    found, left_out = _resolve(wanted, model)
    check = _self_check(found, model)
    if check is not None:
        found.append(check)
    home = ModelTable(
        HOME,
        None,
        "All measures of the project; it holds no rows.",
        (Field("Nothing", "Nothing", "string", "Holds nothing.", hidden=True),),
        tuple(found),
        NO_ROWS,
    )
    return replace(model.with_tables(home), measures={m.name: m for m in found}, left_out=(*model.left_out, *left_out))


NO_ROWS = "let\n\tSource = #table(type table [Nothing = text], {})\nin\n\tSource"


def own_kpis(model: Model, options: Options) -> tuple[str, ...]:
    """The team's key figures that the published rows have."""
    table = model.table_of("assignments")
    return tuple(kpi for kpi in options.kpis if table is not None and table.field_of(kpi) is not None)


def _resolve(wanted: Sequence[Measure], model: Model) -> tuple[list[Measure], list[tuple[str, str]]]:
    found: dict[str, Measure] = {}
    left_out = []
    for measure in wanted:
        missing = [name for name in PLACEHOLDER.findall(measure.dax) if model.reference(name) is None]
        lost = [name for name in measure_names_in(PLACEHOLDER.sub("x", measure.dax)) if name not in found]
        if missing:
            left_out.append((f"measure {measure.name}", f"the publication has no {missing[0]}"))
        elif lost:
            left_out.append((f"measure {measure.name}", f"it needs {lost[0]}, which is left out"))
        else:
            dax = PLACEHOLDER.sub(lambda match: model.reference(match[1]) or "", measure.dax)
            found[measure.name] = replace(measure, dax=_lines(dax))
    return list(found.values()), left_out


def _lines(dax: str) -> str:
    """One line, or one for each variable and one for what is returned."""
    return re.sub(r" (?=VAR |RETURN )", "\n", dax)


def _state(model: Model, options: Options) -> list[Measure]:
    """What every page says of itself: as of when, and whether all tables are of one publication."""
    dated = "assignments" if model.reference("assignments.as_of_date") else "segment_kpis"
    ids = [s for s in ALWAYS_NEW if model.reference(f"{s}.publication_id")]
    each = ", ".join(f"CALCULATE ( MAX ( {{{s}.publication_id}} ), REMOVEFILTERS () )" for s in ids)
    return [
        Measure(
            "Data as of",
            f"VAR AsOfDay = CALCULATE ( MAX ( {{{dated}.as_of_date}} ), REMOVEFILTERS () ) "
            "VAR AgeDays = DATEDIFF ( AsOfDay, UTCTODAY (), DAY ) "
            f'RETURN "Data as of " & FORMAT ( AsOfDay, "d mmm yyyy" ) & IF ( AgeDays > {options.stale_days}, '
            '" - stale: " & AgeDays & " days old" )',
            f"The day the data looks back from; says stale when it is more than {options.stale_days} days ago.",
            "State",
            synonyms=("freshness", "last update"),
        ),
        Measure(
            "Publication",
            f"VAR Ids = FILTER ( DISTINCT ( {{ {each} }} ), NOT ( ISBLANK ( [Value] ) ) ) "
            f'RETURN IF ( COUNTROWS ( Ids ) > 1, {dax_text(MIXED)}, "All tables are of one publication" )',
            "Whether all tables were read from the same publication.",
            "State",
        ),
    ]


def _self_check(found: Sequence[Measure], model: Model) -> Measure | None:
    """How many published results the measures do not give."""
    if model.table_of("expected_kpis") is None or model.reference("segments.segment_key") is None:
        return None
    kpi, key, value = (model.reference(f"expected_kpis.{c}") for c in ("kpi", "segment_key", "value"))
    if kpi is None or value is None:
        return None
    cases = ", ".join(f"{dax_text(m.name)}, {dax_column(m.name)}" for m in checked(found))
    segment = model.reference("segments.segment_key")
    dax = [
        "SUMX (",
        f"\t{model.reference('expected_kpis')},",
        f"\tVAR Kpi = {kpi}",
        f"\tVAR SegmentKey = {key}",
        f"\tVAR Expected = {value}",
        (
            f"\tVAR Actual = CALCULATE ( SWITCH ( Kpi, {cases} ), REMOVEFILTERS (), "
            f"FILTER ( ALL ( {segment} ), SegmentKey = 0 || {segment} = SegmentKey ) )"
        ),
        f"\tRETURN IF ( ABS ( Actual - Expected ) > MAX ( {TOLERANCE}, 0.000001 * ABS ( Expected ) ), 1, 0 )",
        ")",
    ]
    text = "Published results that the measures do not give: 0, or a measure was changed or reads other data."
    return Measure(SELF_CHECK, "\n".join(dax), text, "State", "#,##0", hidden=True)


def checked(measures: Iterable[Measure]) -> list[Measure]:
    """The measures with a paired SQL."""
    return [m for m in measures if m.sql is not None]
