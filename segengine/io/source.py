"""What a table looks like once it has been brought in, and the names of the columns we add to it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segengine.config import CustomersTable, TransactionsTable
from segengine.errors import InputError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from segengine.io.inputs import InputFile, Inputs

SOURCE_FILE = "_source_file"
DEFECT = "_defect"
DEFECT_TEXT = "_defect_text"
OURS = (SOURCE_FILE, DEFECT, DEFECT_TEXT)
COUNTED = "_segengine_counted_us"
"""bigint: before which moment the rows of a file were counted by an earlier run; null in files that are new."""
RESERVED = (*OURS, COUNTED, "_metadata", "_segengine_line", "_segengine_overflow", "_segengine_row", "_segengine_bare")
"""Names that a source may not use: ours, and the one under which Spark says which file a row came from."""

SHORT_ROW = "short_row"
LONG_ROW = "long_row"
UNCLOSED_QUOTE = "unclosed_quote"
MALFORMED_ROW = "malformed_row"

AnyTable = TransactionsTable | CustomersTable


@dataclass(frozen=True)
class SourceFacts:
    """What was read: enough to say so in a run record and to tell whether it has changed since."""

    name: str
    format: str
    location: str
    files: int
    size_bytes: int
    rows_expected: int | None
    """Sum of the Parquet footers' row counts; null where no footer says."""
    delta_version: int | None
    fingerprint: str
    """SHA-256 over the sorted (name, size, time) of the files, or over Delta table and version; empty when unknown."""
    warnings: tuple[str, ...] = ()
    iceberg_snapshot: int | None = None


@dataclass(frozen=True)
class Source:
    """A table that was brought in.

    `rows` has their columns under their names, then ours: `_source_file` (string, null for catalog tables,
    databases and queries), `_defect`
    (string: null, short_row, long_row, unclosed_quote or malformed_row) and `_defect_text` (string: the raw line of a
    defective row, else null). Where `_defect` is set, their columns are null.
    """

    name: str
    rows: DataFrame
    columns: tuple[str, ...]
    text_casts: bool
    """Values arrive as the text that was in the file and are cast with `segengine.io.casts`."""
    facts: SourceFacts
    files: tuple[InputFile, ...] = ()
    inputs: Inputs | None = None
    encoding: str = "utf-8"


def quoted(name: str) -> str:
    """A column name in backticks, so that dots and spaces in it survive."""
    return "`" + name.replace("`", "``") + "`"


def sql_texts(table: AnyTable) -> dict[str, str]:
    """Every place of the configuration that names their columns: key below `tables.<name>` -> name or SQL."""
    texts = {f"columns.{ours}": theirs for ours, theirs in table.columns.items()}
    texts |= {f"rules.{rule}": text for rule, text in table.rules.items()}
    if isinstance(table, TransactionsTable):
        return texts | ({"returns": table.returns} if table.returns else {})
    texts |= {f"protected.{name}": text for name, text in table.protected.items()}
    texts |= {f"attributes.{name}": text for name, text in table.attributes.items()}
    return texts | ({"opted_out": table.opted_out} if table.opted_out else {})


def refuse_clashes(columns: Iterable[str], name: str, where: str) -> None:
    """Raise InputError when two columns differ only in case, or one has a name that is ours."""
    seen: dict[str, str] = {}
    for column in columns:
        key = column.casefold()
        if key in seen:
            same = seen[key] == column
            raise InputError(
                f"{name}: column '{column}' occurs twice."
                if same
                else f"{name}: columns '{seen[key]}' and '{column}' differ only in case.",
                where=where,
                todo="Give every column a name of its own; which of the two is meant cannot be known.",
            )
        if key in RESERVED:
            raise InputError(
                f"{name}: column '{column}' has a name that segengine keeps for itself.",
                where=where,
                todo="Rename the column, or read the table through a view that does.",
            )
        seen[key] = column


def nearest(wanted: str, columns: Iterable[str]) -> str:
    """A hint such as " Did you mean 'InvoiceNo'?", or an empty string."""
    by_key = {column.casefold(): column for column in columns}
    close = difflib.get_close_matches(wanted.strip().casefold(), by_key, n=1, cutoff=0.6)
    return f" Did you mean '{by_key[close[0]]}'?" if close else ""


def shown(names: Iterable[str], limit: int = 40) -> str:
    """Names separated by commas, the first `limit` of them."""
    listed = [name if len(name) <= 60 else name[:57] + "..." for name in names]
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more
