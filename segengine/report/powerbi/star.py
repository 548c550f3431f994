"""The star: which published tables and columns the model takes, what it calls them, and how they are related."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segengine.report.powerbi.facts import Options, Published
from segengine.report.powerbi.model import Field, Level, Model, ModelTable, Relationship, formats
from segengine.report.powerbi.names import friendly
from segengine.tables import Kind, by_name

__all__ = ["AS_OF_DATE", "AS_OF_KEY", "PREVIOUS", "STEP_LABEL", "star"]

AS_OF_KEY = "as_of_date_key"
AS_OF_DATE = "as_of_date"
STEP_LABEL = "step_label"
PREVIOUS = "Previous Segments"
"""The segments once more, for where customers came from."""


@dataclass(frozen=True)
class Take:
    """What is taken of a published table: columns to show, and those only measures and relationships need."""

    name: str
    shown: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    per_customer: bool = False
    on_dates: bool = False
    rename: tuple[tuple[str, str], ...] = ()


TAKES: dict[str, Take] = {
    "segments": Take(
        "Segments",
        ("name", "segment_id", "group_name", "description", "action", "rule", "rule_precision", "rule_coverage"),
        ("segment_key", "rank", "stability"),
        rename=(("name", "Segment"), ("group_name", "Group")),
    ),
    "customers": Take(
        "Customers",
        ("customer_id", "first_ordered_at", "last_ordered_at", "is_known"),
        ("customer_key",),
        rename=(("first_ordered_at", "First Order"), ("last_ordered_at", "Last Order")),
    ),
    "dates": Take("Dates", ("date", "year", "quarter", "month_name", "year_month"), ("date_key", "month")),
    "assignments": Take(
        "Assignments",
        ("lane", "assigned_by", "rfm_cell"),
        ("customer_key", "segment_key", "is_outlier", "margin", "revenue", "orders", "recency_days"),
        per_customer=True,
    ),
    "segment_profiles": Take(
        "Segment Profiles",
        ("feature", "family", "unit"),
        ("segment_key", "mean", "median", "p10", "p90", "z", "index", "overall_mean"),
    ),
    "segment_kpis": Take(
        "Segment History",
        ("model_version",),
        ("segment_key", "customers", "revenue", "orders", "active_90_days", "lifetime_value_365d"),
        on_dates=True,
    ),
    "moves": Take(
        "Moves",
        ("cause", "from_lane", "to_lane"),
        ("from_segment_key", "to_segment_key", "customers", "revenue"),
        on_dates=True,
    ),
    "segment_events": Take(
        "Segment Events", ("event", "segment_id", "overlap", "model_version"), ("segment_key",), on_dates=True
    ),
    "protected_mix": Take(
        "Protected Mix", ("attribute", "value"), ("segment_key", "customers", "share", "overall_share", "cramers_v")
    ),
    "bridge": Take(
        "Revenue Bridge",
        (STEP_LABEL,),
        ("amount", "is_balance", "step"),
        on_dates=True,
        rename=((STEP_LABEL, "Step"), ("step", "Step Number")),
    ),
    "lanes": Take("Lanes", ("lane",), ("customers", "revenue"), on_dates=True),
    "quality": Take(
        "Quality",
        ("table", "rule", "outcome", "text"),
        ("rows", "amount"),
        on_dates=True,
        rename=(("table", "Checked Table"), ("text", "Meaning")),
    ),
    "gates": Take(
        "Gates",
        ("model_version", "gate", "verdict", "text"),
        ("value", "warn_limit", "refuse_limit"),
        rename=(("text", "Meaning"),),
    ),
    "prediction": Take(
        "Prediction", ("model_version", "behaviour", "method"), ("eta_squared", "low", "high", "customers")
    ),
    "drift": Take(
        "Drift",
        ("subject", "measure", "compared_with", "verdict", "text", "model_version"),
        ("value",),
        on_dates=True,
        rename=(("measure", "What Was Measured"), ("text", "Meaning")),
    ),
    "models": Take(
        "Models",
        ("model_version", "status", "k", "decision"),
        ("macro_silhouette", "smallest_share", "largest_share"),
        on_dates=True,
    ),
    "runs": Take(
        "Runs",
        ("run_id", "command", "model_version", "segengine_version", "spark_version"),
        ("rows_read", "rows_used", "rows_rejected", "rows_ignored", "amount_read", "amount_assigned"),
        on_dates=True,
    ),
    "expected_kpis": Take("Expected KPIs", (), ("kpi", "segment_key", "value")),
}

DETAILED = ("assignments", "customers")
"""Tables as long as the customers."""
NO_SUM: dict[Kind, str | None] = {"date": "Short Date", "timestamp": "General Date", "int": "0", "long": "0"}


def star(published: Published, options: Options, *, detailed: bool, direct_query: bool) -> Model:
    """Tables and relationships; `detailed` when the customers themselves are in it."""
    tables, left_out = [], []
    for source, take in TAKES.items():
        if source in DETAILED and not detailed:
            left_out.append((f"table {take.name}", f"more than {options.max_customers:,} customers: totals only"))
        elif source not in published.tables:
            left_out.append((f"table {take.name}", f"the publication has no table {source}"))
        else:
            tables.append(_table(source, take, published, options, direct_query=direct_query and source in DETAILED))
    if any(t.source == "moves" for t in tables):
        segments = next(t for t in tables if t.source == "segments")
        tables.append(_previous(segments))
    model = Model(tuple(tables), left_out=tuple(left_out))
    return Model(model.tables, tuple(_relationships(model)), left_out=model.left_out)


def _table(source: str, take: Take, published: Published, options: Options, *, direct_query: bool) -> ModelTable:
    declared = {c.name: c.text for c in by_name(source).columns}
    columns = published.tables[source]
    wanted = dict.fromkeys(take.shown, False) | dict.fromkeys(take.hidden, True)
    if source == "assignments":
        wanted |= dict.fromkeys(options.kpis, True)
    if source == "customers":
        mine = [c for c in columns if c not in declared and c not in options.protected]
        wanted |= dict.fromkeys(mine, False)
    named = dict(take.rename)
    fields: list[Field] = []
    taken: set[str] = set()
    for column, hidden in wanted.items():
        if column == STEP_LABEL:
            fields.append(Field("Step", STEP_LABEL, "string", "Number and name of the step."))
            taken.add("step")
        if column not in columns:
            continue
        name = _free(named.get(column) or friendly(_label(source, column, options)), taken)
        fields.append(_field(source, column, columns[column], name, declared.get(column), hidden, options))
    fields += _dated(take, columns, taken, direct_query)
    if "publication_id" in columns and source != "expected_kpis":
        told = _text(declared["publication_id"])
        fields.append(Field(_free("Publication Id", taken), "publication_id", "string", told, hidden=True))
    grain = by_name(source).grain
    return ModelTable(
        take.name,
        source,
        grain[0].upper() + grain[1:] + ".",
        tuple(fields),
        hidden=source == "expected_kpis" or all(f.hidden for f in fields),
        is_dates=source == "dates",
        direct_query=direct_query,
        hierarchy=_calendar(fields) if source == "dates" else (),
        per_customer=take.per_customer,
    )


def _dated(take: Take, columns: Mapping[str, Kind], taken: set[str], direct_query: bool) -> Iterable[Field]:
    """The day of `as_of`, and its key where the table is related to the calendar: Power Query makes both."""
    if "as_of" not in columns:
        return
    if take.on_dates or (take.per_customer and not direct_query):
        told = _text("the day the features look back from")
        name, hidden = _free("As of Date", taken), take.per_customer
        yield Field(name, AS_OF_DATE, "date", told, hidden=hidden, format="Short Date")
    if take.on_dates:
        told = _text("the same day as yyyymmdd")
        yield Field(_free("As of Date Key", taken), AS_OF_KEY, "int", told, hidden=True, format="0")


def _field(source: str, column: str, kind: Kind, name: str, text: str | None, hidden: bool, options: Options) -> Field:
    key = (source, column) in (("segments", "segment_key"), ("customers", "customer_key"), ("dates", "date"))
    sort_by = {("segments", "name"): "Rank", ("dates", "month_name"): "Month"}.get((source, column))
    label = (source, column) in (("segments", "name"), ("customers", "customer_id"), ("dates", "date"))
    number = formats(options.minor_unit)["money"] if kind == "money" else "#,##0.00" if kind == "double" else None
    told = (
        text or f"{_label(source, column, options)}, an attribute of the customer"
        if source == "customers"
        else text or column
    )
    return Field(name, column, kind, _text(told), hidden, key, label, sort_by, number or NO_SUM.get(kind))


def _label(source: str, column: str, options: Options) -> str:
    """What a column of ours or of the team's is called where it comes from."""
    return (options.labels or {}).get(column, column) if source == "customers" else column


def _text(words: str) -> str:
    words = words.strip() or "no description"
    return words[0].upper() + words[1:] + ("" if words.endswith(".") else ".")


def _free(name: str, taken: set[str]) -> str:
    """The name, or the name with a number behind it when the table has it already; case does not count."""
    new, number = name, 2
    while new.casefold() in taken:
        new, number = f"{name} {number}", number + 1
    taken.add(new.casefold())
    return new


def _calendar(fields: Iterable[Field]) -> tuple[Level, ...]:
    by_source = {f.source: f.name for f in fields}
    return tuple(Level(by_source[s], by_source[s]) for s in ("year", "quarter", "year_month", "date") if s in by_source)


def _previous(segments: ModelTable) -> ModelTable:
    names = {"segment_key": "Segment Key", "name": "Previous Segment", "rank": "Rank"}
    fields = [f for f in segments.fields if f.source in names]
    renamed = tuple(
        Field(names[f.source], f.source, f.kind, f.text, f.hidden, f.key, f.label, f.sort_by, f.format) for f in fields
    )
    return ModelTable(PREVIOUS, "segments", "The segments once more: where customers were before.", renamed)


def _relationships(model: Model) -> Iterable[Relationship]:
    segments, dates = model.table_of("segments"), model.table_of("dates")
    for table in model.tables:
        if table.source in ("segments", "dates", "expected_kpis") or table.name == PREVIOUS:
            continue
        columns = {f.source: f.name for f in table.fields}
        if segments is not None and "segment_key" in columns:
            yield Relationship(table.name, columns["segment_key"], segments.name, "Segment Key")
        if segments is not None and table.source == "moves":
            yield Relationship(table.name, columns["to_segment_key"], segments.name, "Segment Key")
            yield Relationship(table.name, columns["from_segment_key"], segments.name, "Segment Key", active=False)
            yield Relationship(table.name, columns["from_segment_key"], PREVIOUS, "Segment Key")
        if table.source == "assignments" and model.table_of("customers") is not None:
            yield Relationship(table.name, "Customer Key", "Customers", "Customer Key")
        if dates is not None and AS_OF_KEY in columns:
            yield Relationship(table.name, columns[AS_OF_KEY], dates.name, "Date Key")
