"""The paired SQL of all measures as one query, so that one pass tells what Power BI must show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from segengine.report.powerbi.measures import checked
from segengine.report.powerbi.model import SQL_TABLE, Measure, Sql

__all__ = ["query", "tables_of"]


def tables_of(measures: Iterable[Measure]) -> tuple[str, ...]:
    """The published tables that the paired SQL of the measures reads, by name."""
    found = {
        name for m in checked(measures) if m.sql for name in SQL_TABLE.findall(f"{m.sql.source} {m.sql.expression}")
    }
    return tuple(sorted(found))


def query(measures: Iterable[Measure], names: Mapping[str, str]) -> str | None:
    """One SELECT with the columns kpi, segment_key (0 for all) and value; None without measures to check.

    `names` maps published tables to what they are called where the query runs. Each source is read twice at most: for
    all segments together, and for each.
    """
    paired = [(m.name, m.sql) for m in checked(measures) if m.sql is not None]
    groups: dict[tuple[str, str | None], list[tuple[str, Sql]]] = {}
    for name, sql in paired:
        groups.setdefault((sql.source, None), []).append((name, sql))
        if sql.segment is not None:
            groups.setdefault((sql.source, sql.segment), []).append((name, sql))
    parts = [_part(source, segment, members) for (source, segment), members in groups.items()]
    text = " UNION ALL ".join(parts)
    return SQL_TABLE.sub(lambda match: names[match[1]], text) or None


def _part(source: str, segment: str | None, members: list[tuple[str, Sql]]) -> str:
    values = ", ".join(f"CAST({sql.expression} AS DOUBLE) AS v{n}" for n, (_, sql) in enumerate(members))
    key = segment or "0"
    narrowed = f" WHERE {segment} IS NOT NULL GROUP BY {segment}" if segment else ""
    rows = f"(SELECT {key} AS segment_key, {values} FROM {source}{narrowed}) AS wide"
    listed = ", ".join(f"'{name}', v{n}" for n, (name, _) in enumerate(members))
    return f"SELECT stack({len(members)}, {listed}) AS (kpi, value), segment_key FROM {rows}"
