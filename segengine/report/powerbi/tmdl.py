"""The semantic model as TMDL text, in the order in which Microsoft's own writer puts things."""

from __future__ import annotations

import json
from collections.abc import Iterable

from segengine.report.powerbi.facts import Options
from segengine.report.powerbi.model import Field, Measure, Model, ModelTable, Relationship, Role
from segengine.report.powerbi.names import guid, m_text, one_line, tmdl
from segengine.report.powerbi.power_query import (
    READ_TABLE,
    UTC_MOMENT,
    data_root_text,
    kinds_of,
    read_table,
    rows_of,
)
from segengine.tables import Kind

__all__ = ["CULTURE", "OWN_MEASURES", "model_files", "own_measures_text"]

CULTURE = "en-US"
OWN_MEASURES = "Own Measures"
"""The table whose file belongs to the analysts."""
DATA_TYPES: dict[Kind, str] = {
    "string": "string",
    "int": "int64",
    "long": "int64",
    "double": "double",
    "boolean": "boolean",
    "date": "dateTime",
    "timestamp": "dateTime",
    "money": "decimal",
}


def model_files(model: Model, options: Options, as_of_offset: int, linguistics: str) -> dict[str, str]:
    """Path below the semantic model's folder -> text."""
    files = {
        "definition/database.tmdl": "database\n\tcompatibilityLevel: 1601\n\n",
        "definition/model.tmdl": _model(model, options),
        "definition/expressions.tmdl": _expressions(options),
        "definition/relationships.tmdl": "".join(_relationship(r) for r in model.relationships),
        f"definition/cultures/{CULTURE}.tmdl": _culture(linguistics),
    }
    for table in model.tables:
        files[f"definition/tables/{file_name(table.name)}.tmdl"] = _table(table, as_of_offset)
    for role in model.roles:
        files[f"definition/roles/{file_name(role.name)}.tmdl"] = _role(role)
    return files


def file_name(name: str) -> str:
    """A name of at most 80 signs that every file system takes."""
    safe = "".join("_" if c in '<>:"/\\|?*' or not c.isprintable() else c for c in name).strip(" .") or "unnamed"
    return safe if safe == name and len(safe) <= 80 else f"{safe[:60].strip(' .')} {guid('file', name)[:8]}"


def _model(model: Model, options: Options) -> str:
    expressions = (["SourceKind"] if options.source == "any" else []) + ["DataRoot", "UtcMoment", READ_TABLE]
    order = [*expressions, *(t.name for t in model.tables), OWN_MEASURES]
    lines = [
        "model Model",
        f"\tculture: {CULTURE}",
        "\tdefaultPowerBIDataSourceVersion: powerBI_V3",
        "\tdiscourageImplicitMeasures",
        f"\tsourceQueryCulture: {CULTURE}",
        "\tdataAccessOptions",
        "\t\tlegacyRedirects",
        "\t\treturnErrorValuesAsNull",
        "",
        "annotation __PBI_TimeIntelligenceEnabled = 0",
        "",
        f"annotation PBI_QueryOrder = {json.dumps(order, ensure_ascii=False)}",
        "",
        'annotation PBI_ProTooling = ["DevMode"]',
        "",
        *(f"ref table {tmdl(t.name)}" for t in model.tables),
        f"ref table {tmdl(OWN_MEASURES)}",
        "",
    ]
    if model.roles:
        lines += [*(f"ref role {tmdl(role.name)}" for role in model.roles), ""]
    return "\n".join([*lines, f"ref cultureInfo {CULTURE}", "", ""])


def _expressions(options: Options) -> str:
    lines = []
    if options.source == "any":
        values = ", ".join(m_text(kind) for kind in kinds_of(options))
        meta = f'[IsParameterQuery=true, List={{{values}}}, DefaultValue={m_text(options.source_kind)}, Type="Text", '
        lines += [
            "/// What the published tables lie in",
            f"expression SourceKind = {m_text(options.source_kind)} meta {meta}IsParameterQueryRequired=true]",
            f"\tlineageTag: {guid('expression', 'SourceKind')}",
            "",
            "\tannotation PBI_ResultType = Text",
            "",
        ]
    meta = '[IsParameterQuery=true, Type="Text", IsParameterQueryRequired=true]'
    lines += [
        f"/// {data_root_text(options)}",
        f"expression DataRoot = {m_text(options.data_root)} meta {meta}",
        f"\tlineageTag: {guid('expression', 'DataRoot')}",
        "",
        "\tannotation PBI_ResultType = Text",
        "",
        *_function("UtcMoment", "A moment without its zone, in UTC", UTC_MOMENT),
        *_function(READ_TABLE, "One published table by its name", read_table(options)),
    ]
    return "\n".join([*lines, ""])


def _function(name: str, text: str, body: Iterable[str]) -> list[str]:
    return [
        f"/// {text}",
        f"expression {name} =",
        *(f"\t\t{line}" for line in body),
        f"\tlineageTag: {guid('expression', name)}",
        "",
        "\tannotation PBI_ResultType = Function",
        "",
    ]


def _relationship(relationship: Relationship) -> str:
    r = relationship
    lines = [f"relationship {guid('relationship', r.from_table, r.from_column, r.to_table, r.to_column)}"]
    if not r.active:
        lines.append("\tisActive: false")
    lines += [
        f"\tfromColumn: {tmdl(r.from_table)}.{tmdl(r.from_column)}",
        f"\ttoColumn: {tmdl(r.to_table)}.{tmdl(r.to_column)}",
        "",
        "",
    ]
    return "\n".join(lines)


def _table(table: ModelTable, as_of_offset: int) -> str:
    lines = [f"/// {one_line(table.text)}", f"table {tmdl(table.name)}"]
    if table.hidden:
        lines.append("\tisHidden")
    lines.append(f"\tlineageTag: {guid('table', table.name)}")
    lines += ["\tdataCategory: Time", ""] if table.is_dates else [""]
    for measure in table.measures:
        lines += _measure(table.name, measure)
    for field in table.fields:
        lines += _column(table, field)
    if table.hierarchy:
        lines += ["\t/// From years to days", "\thierarchy Calendar"]
        lines += [f"\t\tlineageTag: {guid('hierarchy', table.name)}", ""]
        for level in table.hierarchy:
            lines += [f"\t\tlevel {tmdl(level.name)}", f"\t\t\tlineageTag: {guid('level', table.name, level.name)}"]
            lines += [f"\t\t\tcolumn: {tmdl(level.column)}", ""]
    rows = table.rows.split("\n") if table.rows else rows_of(table, as_of_offset)
    mode = "directQuery" if table.direct_query else "import"
    lines += [f"\tpartition {tmdl(table.name)} = m", f"\t\tmode: {mode}", "\t\tsource ="]
    lines += [f"\t\t\t\t{line}" for line in rows]
    return "\n".join([*lines, "", "\tannotation PBI_ResultType = Table", "", ""])


def _measure(table: str, measure: Measure) -> list[str]:
    body = measure.dax.split("\n")
    lines = [f"\t/// {one_line(measure.text)}"]
    if len(body) == 1:
        lines.append(f"\tmeasure {tmdl(measure.name)} = {body[0]}")
    else:
        lines += [f"\tmeasure {tmdl(measure.name)} =", *(f"\t\t\t{line}" for line in body)]
    if measure.format:
        lines.append(f"\t\tformatString: {measure.format}")
    if measure.hidden:
        lines.append("\t\tisHidden")
    lines += [
        f"\t\tdisplayFolder: {measure.folder}",
        f"\t\tlineageTag: {guid('measure', table, measure.name)}",
        "",
    ]
    return lines


def _column(table: ModelTable, field: Field) -> list[str]:
    lines = [f"\t/// {one_line(field.text)}", f"\tcolumn {tmdl(field.name)}", f"\t\tdataType: {DATA_TYPES[field.kind]}"]
    if field.hidden:
        lines.append("\t\tisHidden")
    if field.key:
        lines.append("\t\tisKey")
    if field.format:
        lines.append(f"\t\tformatString: {field.format}")
    if field.hidden and not field.key:
        lines.append("\t\tisAvailableInMdx: false")
    lines.append(f"\t\tlineageTag: {guid('column', table.name, field.source)}")
    if field.label:
        lines.append("\t\tisDefaultLabel")
    lines += ["\t\tsummarizeBy: none", f"\t\tsourceColumn: {field.loaded}"]
    if field.sort_by:
        lines.append(f"\t\tsortByColumn: {tmdl(field.sort_by)}")
    return [*lines, "", "\t\tannotation SummarizationSetBy = User", ""]


def _role(role: Role) -> str:
    lines = [f"/// {one_line(role.text)}", f"role {tmdl(role.name)}", "\tmodelPermission: read", ""]
    for table, condition in role.filters.items():
        lines += [f"\ttablePermission {tmdl(table)} = {condition}", ""]
    return "\n".join([*lines, f"\tannotation PBI_Id = {guid('role', role.name).replace('-', '')}", "", ""])


def _culture(linguistics: str) -> str:
    lines = [f"cultureInfo {CULTURE}", "", "\tlinguisticMetadata ="]
    lines += [f"\t\t\t{line}" for line in linguistics.split("\n")]
    return "\n".join([*lines, "\t\tcontentType: json", "", ""])


def own_measures_text() -> str:
    """The analysts' own file: written once, then theirs."""
    return "\n".join(
        [
            "/// Measures of your own: this file is written once and never touched again.",
            f"table {tmdl(OWN_MEASURES)}",
            f"\tlineageTag: {guid('table', OWN_MEASURES)}",
            "",
            "\t/// Holds nothing.",
            "\tcolumn Nothing",
            "\t\tdataType: string",
            "\t\tisHidden",
            "\t\tisAvailableInMdx: false",
            f"\t\tlineageTag: {guid('column', OWN_MEASURES, 'Nothing')}",
            "\t\tsummarizeBy: none",
            "\t\tsourceColumn: Nothing",
            "",
            "\t\tannotation SummarizationSetBy = User",
            "",
            f"\tpartition {tmdl(OWN_MEASURES)} = m",
            "\t\tmode: import",
            "\t\tsource =",
            "\t\t\t\tlet",
            "\t\t\t\t\tSource = #table(type table [Nothing = text], {})",
            "\t\t\t\tin",
            "\t\t\t\t\tSource",
            "",
            "\tannotation PBI_ResultType = Table",
            "",
            "",
        ]
    )
