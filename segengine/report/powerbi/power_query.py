"""Power Query: parameters, the one function that reads a published table, and what each table does with it."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from segengine.report.powerbi.facts import KINDS, Options
from segengine.report.powerbi.model import ModelTable
from segengine.report.powerbi.names import m_text
from segengine.report.powerbi.star import AS_OF_DATE, AS_OF_KEY, STEP_LABEL

__all__ = [
    "READ_TABLE",
    "TYPES",
    "UTC_MOMENT",
    "data_root_text",
    "kinds_of",
    "read_table",
    "rows_of",
    "utc_offset_minutes",
]

READ_TABLE = "ReadTable"
TYPES: dict[str, str] = {
    "string": "type text",
    "int": "Int64.Type",
    "double": "type number",
    "boolean": "type logical",
    "date": "type date",
    "money": "Currency.Type",
}
"""What a kind of column is made in Power Query. Long keys stay as read, so that no digit of 19 is lost on the way;
moments are made UTC by a function of their own."""


def kinds_of(options: Options) -> tuple[str, ...]:
    """The values that SourceKind may have."""
    return tuple(KINDS.values()) if options.source == "any" else (KINDS[options.source],)


ROOTS = {
    "Local": "Local: the folder gold",
    "Adls": "ADLS Gen2: the container's address, a semicolon, the path to gold in it",
    "Databricks": "Databricks: host;http path;catalog;schema",
    "FabricSql": "Fabric SQL: server;database;schema",
}


def data_root_text(options: Options) -> str:
    """What the parameter DataRoot is, for each kind of source."""
    kinds = kinds_of(options)
    told = [text for start, text in ROOTS.items() if any(kind.startswith(start) for kind in kinds)]
    return f"Where the published tables are. {'. '.join(told)}."


def read_table(options: Options) -> list[str]:
    """The lines of the function that reads one published table, for all kinds of source or for the one chosen."""
    kinds = kinds_of(options)
    lines = ["let"]
    files = [kind for kind in kinds if kind.startswith(("Local", "Adls"))]
    if files:
        lines += [f"\tRoot = {_root(files)},", *GO]
    if any(kind.endswith("Parquet") for kind in kinds):
        lines += PARQUET
    if any(kind.endswith("Delta") for kind in kinds):
        lines += ["\tReadDelta = (name as text) as table => DeltaLake.Table(Go(Root, name)),"]
    sql = [kind for kind in kinds if kind in ("Databricks", "FabricSql")]
    if sql:
        lines.append('\tPart = (n as number) as text => List.Transform(Text.Split(DataRoot, ";"), Text.Trim){n},')
    if "Databricks" in sql:
        lines += DATABRICKS
    if "FabricSql" in sql:
        lines += FABRIC
    lines += [f"\tRead = (name as text) as table => {_choice(kinds)}", "in", "\tRead"]
    return lines


def _root(kinds: list[str]) -> str:
    adls_source = 'AzureStorage.DataLake(Text.BeforeDelimiter(DataRoot & ";", ";"), [HierarchicalNavigation = true])'
    adls = f'Go({adls_source}, Text.AfterDelimiter(DataRoot, ";"))'
    local = "Folder.Contents(DataRoot)"
    if all(kind.startswith("Local") for kind in kinds):
        return local
    if all(kind.startswith("Adls") for kind in kinds):
        return adls
    return f'if Text.StartsWith(SourceKind, "Adls") then {adls} else {local}'


GO = [
    "\tGo = (folder as table, path as text) as table =>",
    '\t\tList.Accumulate(List.Select(Text.Split(path, "/"), each _ <> ""), folder,',
    "\t\t\t(inside, name) => Table.SelectRows(inside, each [Name] = name){0}[Content]),",
]
PARQUET = [
    "\tReadParquet = (name as text) as table =>",
    "\t\tlet",
    '\t\t\tPointer = Json.Document(Table.SelectRows(Root, each [Name] = "current.json"){0}[Content]),',
    '\t\t\tFolder = Go(Root, Pointer[folder] & "/" & name),',
    (
        '\t\t\tFiles = Table.SelectRows(Folder, each [Extension] = ".parquet" and not Text.StartsWith([Name], ".") '
        'and not Text.StartsWith([Name], "_")),'
    ),
    "\t\t\tParts = List.Transform(Files[Content], each Parquet.Document(_))",
    "\t\tin",
    "\t\t\tTable.Combine(Parts),",
]
DATABRICKS = [
    "\tReadDatabricks = (name as text) as table =>",
    "\t\tlet",
    '\t\t\tSource = Databricks.Catalogs(Part(0), Part(1), [Implementation = "2.0"]),',
    '\t\t\tDatabase = Source{[Name = Part(2), Kind = "Database"]}[Data],',
    '\t\t\tSchema = Database{[Name = Part(3), Kind = "Schema"]}[Data]',
    "\t\tin",
    '\t\t\tSchema{[Name = name, Kind = "Table"]}[Data],',
]
FABRIC = [
    "\tReadFabricSql = (name as text) as table =>",
    "\t\tSql.Database(Part(0), Part(1)){[Schema = Part(2), Item = name]}[Data],",
]


def _choice(kinds: tuple[str, ...]) -> str:
    readers = {kind: "ReadParquet(name)" for kind in kinds if kind.endswith("Parquet")}
    readers |= {kind: "ReadDelta(name)" for kind in kinds if kind.endswith("Delta")}
    readers |= {kind: f"Read{kind}(name)" for kind in kinds if kind in ("Databricks", "FabricSql")}
    if len(kinds) == 1:
        return readers[kinds[0]]
    text = 'error "SourceKind is not one of the values it may have."'
    for kind in reversed(kinds):
        text = f'if SourceKind = "{kind}" then {readers[kind]} else {text}'
    return text


def utc_offset_minutes(timezone: str, as_of: dt.datetime) -> int:
    """The largest offset of the zone in the year of `as_of`.

    Added to a moment that is a midnight there it gives that day, in winter an hour into it: Power Query knows no zones.
    """
    zone = ZoneInfo(timezone)
    year = as_of.astimezone(zone).year
    offsets = [dt.datetime(year, month, 15, 12, tzinfo=zone).utcoffset() or dt.timedelta() for month in range(1, 13)]
    return int(max(offsets).total_seconds() // 60)


def rows_of(table: ModelTable, offset_minutes: int) -> list[str]:
    """The lines of a table's query: read, keep the columns of the model, give each its type."""
    assert table.source is not None
    made = (AS_OF_DATE, AS_OF_KEY, STEP_LABEL)
    real = [field for field in table.fields if field.source not in made]
    names = {field.source for field in table.fields}
    needed = [field.source for field in real] + (["as_of"] if AS_OF_DATE in names else [])
    needed += ["name"] if STEP_LABEL in names else []
    needed += ["segment_id"] if table.source == "segments" and "segment_id" not in names else []
    steps = [f"Source = {READ_TABLE}({m_text(table.source)})"]
    steps.append(f"Selected = Table.SelectColumns(Source, {{{', '.join(m_text(n) for n in dict.fromkeys(needed))}}})")
    last = "Selected"
    renamed = [(field.source, field.loaded) for field in real if field.source != field.loaded]
    if renamed:
        pairs = ", ".join(f"{{{m_text(name)}, {m_text(loaded)}}}" for name, loaded in renamed)
        steps.append(f"Renamed = Table.RenameColumns({last}, {{{pairs}}})")
        last = "Renamed"
    if table.direct_query:
        return _let(steps, last)
    for step, expression in _made_columns(table, names, offset_minutes):
        steps.append(f"{step} = {expression.format(last=last)}")
        last = step
    typed = [(f.loaded, TYPES[f.kind]) for f in real if f.kind in TYPES]
    if typed:
        pairs = ", ".join(f"{{{m_text(name)}, {kind}}}" for name, kind in typed)
        steps.append(f"Typed = Table.TransformColumnTypes({last}, {{{pairs}}})")
        last = "Typed"
    moments = [f for f in real if f.kind == "timestamp"]
    if moments:
        pairs = ", ".join(f"{{{m_text(f.loaded)}, UtcMoment, type datetime}}" for f in moments)
        steps.append(f"Moments = Table.TransformColumns({last}, {{{pairs}}})")
        last = "Moments"
    return _let(steps, last)


def _made_columns(table: ModelTable, names: set[str], offset_minutes: int) -> list[tuple[str, str]]:
    """Columns that the published table does not have; `{last}` stands for the step before."""
    made = []
    if AS_OF_DATE in names:
        day = f"DateTime.Date(UtcMoment([as_of]) + #duration(0, 0, {offset_minutes}, 0))"
        key = "Date.Year([as_of_date]) * 10000 + Date.Month([as_of_date]) * 100 + Date.Day([as_of_date])"
        made.append(("WithDay", f'Table.AddColumn({{last}}, "{AS_OF_DATE}", each {day}, type date)'))
        if AS_OF_KEY in names:
            made.append(("WithDayKey", f'Table.AddColumn({{last}}, "{AS_OF_KEY}", each {key}, Int64.Type)'))
        made.append(("WithoutMoment", 'Table.RemoveColumns({last}, {{"as_of"}})'))
    if STEP_LABEL in names:
        label = 'Text.PadStart(Text.From([step]), 2, "0") & " " & [name]'
        made.append(("WithLabel", f'Table.AddColumn({{last}}, "{STEP_LABEL}", each {label}, type text)'))
        made.append(("WithoutName", 'Table.RemoveColumns({last}, {{"name"}})'))
    if table.source == "segments" and "name" in names:
        made.append(
            (
                "Unique",
                (
                    "if List.IsDistinct({last}[name], Comparer.OrdinalIgnoreCase) then {last} else "
                    'Table.ReplaceValue({last}, each [name], each [name] & " (" & [segment_id] & ")", '
                    'Replacer.ReplaceValue, {{"name"}})'
                ),
            )
        )
        if "segment_id" not in names:
            made.append(("WithoutId", 'Table.RemoveColumns({last}, {{"segment_id"}})'))
    return made


UTC_MOMENT = [
    "(moment as any) as nullable datetime =>",
    "\tif moment = null then null",
    "\telse if moment is datetimezone then DateTimeZone.RemoveZone(DateTimeZone.SwitchZone(moment, 0))",
    "\telse DateTime.From(moment)",
]
"""A moment in UTC, whichever of its two types for times the Parquet connector gives it."""


def _let(steps: list[str], last: str) -> list[str]:
    return ["let", *(f"\t{step}," for step in steps[:-1]), f"\t{steps[-1]}", "in", f"\t{last}"]
