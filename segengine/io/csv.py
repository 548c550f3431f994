"""CSV files as text columns: read by name, every line counted, every defective line told from the others by its defect.

    short_row        fewer fields than the header
    long_row         more fields than the header
    unclosed_quote   a quoted field that does not end on its line (quoted line breaks are not read: one line, one row)
    malformed_row    anything else, such as text after a closing quote

Fields follow RFC 4180: a quote inside a quoted field is doubled. An empty field, quoted or not, is null; nothing else
is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from segengine.config import CsvOptions
from segengine.errors import ConfigError, InputError
from segengine.io import source
from segengine.io.inputs import FileSet, InputFile, Inputs, for_each
from segengine.io.lines import LINE, charset, head_text, raw_lines
from segengine.io.source import AnyTable, quoted, refuse_clashes, shown, sql_texts

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

_ROW = "_segengine_row"
_BAD = "_bad"
_BARE = "_segengine_bare"
_MAX_ORDERS = 100
"""Different column orders among the files of one table; each one is a read of its own in the plan."""

_LOOKS_LIKE_DATA = re.compile(r"\s*[+-]?[\d.,:/ -]*\d[\d.,:/ TZ-]*\s*")


@dataclass(frozen=True)
class Header:
    """The first line of a file."""

    file: InputFile
    columns: tuple[str, ...]
    has_rows: bool
    line: str


@dataclass(frozen=True)
class TextTable:
    """What the readers of text formats give back; `rows` ends with our columns."""

    rows: DataFrame
    columns: tuple[str, ...]
    warnings: tuple[str, ...]


def read_csv(spark: SparkSession, inputs: Inputs, found: FileSet, table: AnyTable, name: str) -> TextTable:
    """Read the files by the names in their headers. InputError as the module says of headers that cannot be trusted."""
    options = _checked(table.csv, name)
    headers = for_each(lambda file: read_header(inputs, file, options, name), found.files)
    if not any(header.has_rows for header in headers):
        files = "the file has" if len(headers) == 1 else f"all {len(headers)} files have"
        raise InputError(
            f"{name}: 0 rows: {files} a header and nothing else.",
            where=found.location,
            todo="Check the export that wrote it.",
        )
    for each in {header.columns: header for header in headers}.values():
        refuse_clashes((*each.columns, *found.partitions), name, each.file.uri)
    columns, warnings = _common_columns(headers, found, table, name)
    groups: dict[tuple[str, ...], list[InputFile]] = {}
    for header in headers:
        groups.setdefault(tuple(column.casefold() for column in header.columns), []).append(header.file)
    if len(groups) > _MAX_ORDERS:
        raise InputError(
            f"{name}: the files have {len(groups)} different headers.",
            where=found.location,
            todo="Give a path or a glob whose files have the same columns.",
        )
    parts = [_read_group(spark, found, files, keys, columns, options) for keys, files in groups.items()]
    return TextTable(reduce(lambda a, b: a.unionByName(b), parts), (*columns, *found.partitions), warnings)


def _checked(options: CsvOptions, name: str) -> CsvOptions:
    delimiter = "\t" if options.delimiter == "\\t" else options.delimiter
    where = f"tables.{name}.csv"
    if not delimiter or any(c in delimiter for c in "\r\n\0") or (options.quote and options.quote in delimiter):
        raise ConfigError(
            "The delimiter must be text other than the quote and line breaks.", where=f"{where}.delimiter"
        )
    if len(options.quote) > 1 or options.quote in ("\r", "\n", "\0"):
        raise ConfigError(
            "The quote must be one character, or empty.", where=f"{where}.quote", found=repr(options.quote)
        )
    return options.model_copy(update={"delimiter": delimiter, "encoding": charset(options.encoding, name)})


def read_header(inputs: Inputs, file: InputFile, options: CsvOptions, name: str) -> Header:
    """Read the header of one file; at most 4 MiB are looked at."""
    text, whole = head_text(inputs, file, options.encoding, name)
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip("".join(map(chr, range(33))))]
    if not lines:
        raise InputError(
            f"{name}: the file is empty (blank lines only).", where=file.uri, todo="Remove it, or write it again."
        )
    fields = split_line(lines[0], options.delimiter, options.quote)
    if fields is None:
        raise InputError(
            f"{name}: the header has a quote that is not closed on its line.",
            where=file.uri,
            todo=f"Repair the header, or set tables.{name}.csv.quote.",
        )
    columns = tuple(field.strip() or f"_c{position}" for position, field in enumerate(fields))
    return Header(file, columns, len(lines) > 1 or not whole, lines[0])


def split_line(line: str, delimiter: str, quote: str) -> list[str] | None:
    """The fields of one line (RFC 4180); None when a quoted field does not end, or goes on after its closing quote."""
    if not quote:
        return line.split(delimiter)
    q, d = re.escape(quote), re.escape(delimiter)
    field = re.compile(rf"(?:{q}([^{q}]*(?:{q}{q}[^{q}]*)*){q}|((?!{q}).*?))(?:({d})|$)", re.DOTALL)
    fields, at = [], 0
    while True:
        match = field.match(line, at)
        if match is None:
            return None
        fields.append(match[1].replace(quote * 2, quote) if match[1] is not None else match[2])
        if match[3] is None:
            return fields
        at = match.end()


def _common_columns(
    headers: Sequence[Header], found: FileSet, table: AnyTable, name: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns that every file has, in the order of the first, and warnings about those that only some have.

    A column that the configuration names must be in every file, or in none (then the caller says so).
    """
    everywhere = set.intersection(*({column.casefold() for column in header.columns} for header in headers))
    partial: dict[str, Header] = {}
    for header in headers:
        for column in header.columns:
            if column.casefold() not in everywhere:
                partial.setdefault(column, header)
    texts = sql_texts(table)
    for column, having in partial.items():
        lacking = next(h for h in headers if column.casefold() not in {c.casefold() for c in h.columns})
        used_by = next((key for key, text in texts.items() if mentions(text, column)), None)
        if used_by:
            raise InputError(
                f"{name}: column '{column}' is missing in {lacking.file.name}.",
                where=f"{lacking.file.uri}, needed by tables.{name}.{used_by}",
                found=f"'{column}' is in {having.file.name}; {lacking.file.name} has {_shown_header(lacking)}",
                todo="Write the files with the same header, or give a glob that leaves the other ones out.",
            )
    counts = {column: sum(column in header.columns for header in headers) for column in partial}
    warnings = tuple(
        f"{name}: column '{column}' is only in {count} of {len(headers)} files, such as {partial[column].file.name}; "
        "it is ignored."
        for column, count in counts.items()
    )
    return tuple(column for column in headers[0].columns if column.casefold() in everywhere), warnings


def mentions(text: str, column: str) -> bool:
    """Whether a name or SQL expression may use the column; says yes when in doubt."""
    if text.strip().casefold() == column.casefold():
        return True
    return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", text, re.IGNORECASE) is not None


def _shown_header(header: Header) -> str:
    """The header for an error message; values of customers stay out of it when the first line is a row."""
    data = sum(_LOOKS_LIKE_DATA.fullmatch(column) is not None for column in header.columns)
    if data:
        return f"{len(header.columns)} fields of which {data} are numbers or dates: the header line seems to be missing"
    return shown(header.columns)


def header_hint(inputs: Inputs, found: FileSet, options: CsvOptions, name: str) -> tuple[str, str]:
    """What the first file's first line looks like, and what to do about it, when a column was not found in it."""
    checked = _checked(options, name)
    header = read_header(inputs, found.files[0], checked, name)
    looks = _shown_header(header)
    if "seems to be missing" in looks:
        return looks, "Write the files with a header line; columns are read by name only."
    others = [d for d in (",", ";", "\t", "|") if d != checked.delimiter and header.line.count(d) > 0]
    if len(header.columns) == 1 and others:
        best = max(others, key=header.line.count)
        return looks, f"The fields seem to be separated by {best!r}: set tables.{name}.csv.delimiter."
    return looks, ""


def _read_group(
    spark: SparkSession,
    found: FileSet,
    files: Sequence[InputFile],
    keys: tuple[str, ...],
    columns: tuple[str, ...],
    options: CsvOptions,
) -> DataFrame:
    """Read files that have the same header; `keys` are its names in lower case, in the order of the fields."""
    lines = raw_lines(spark, found, files, header=True, encoding=options.encoding)
    line = F.col(LINE)
    ours = [F.col(quoted(p)) for p in (*found.partitions, source.SOURCE_FILE)]
    bare = lines.select(line, *ours, without_quoted(line, options).alias(_BARE))
    told = bare.select(line, *ours, line_defect(line, F.col(_BARE), len(keys), options).alias(source.DEFECT))
    sound = F.when(F.col(source.DEFECT).isNull(), line)
    parsed = told.select(
        line, *ours, source.DEFECT, F.from_csv(sound, _schema(len(keys)), _parser(len(keys), options)).alias(_ROW)
    )
    defect = F.coalesce(F.col(source.DEFECT), F.when(F.col(f"{_ROW}.{_BAD}").isNotNull(), F.lit(source.MALFORMED_ROW)))
    position = {key: index for index, key in enumerate(keys)}
    return parsed.select(
        *(F.col(f"{_ROW}.c{position[column.casefold()]}").alias(column) for column in columns),
        *ours,
        defect.alias(source.DEFECT),
        F.when(defect.isNotNull(), line).alias(source.DEFECT_TEXT),
    )


def _schema(fields: int) -> str:
    return ", ".join(f"c{index} string" for index in range(fields)) + f", {_BAD} string"


def _parser(fields: int, options: CsvOptions) -> dict[str, str]:
    quote = options.quote or "\uffff"
    return {
        "sep": options.delimiter,
        "quote": quote,
        "escape": quote,
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": _BAD,
        "ignoreLeadingWhiteSpace": "false",
        "ignoreTrailingWhiteSpace": "false",
        "maxColumns": str(fields + 1),
        "maxCharsPerColumn": "-1",
    }


def without_quoted(line: Column, options: CsvOptions) -> Column:
    """The line without its well-formed quoted fields; the delimiters that are left separate fields."""
    if not options.quote:
        return line
    q, d = re.escape(options.quote), _java_quoted(options.delimiter)
    well_formed = f"(^|{d}){q}[^{q}]*+(?:{q}{q}[^{q}]*+)*+{q}(?={d}|$)"
    return F.when(F.instr(line, options.quote) > 0, F.regexp_replace(line, well_formed, "$1")).otherwise(line)


def line_defect(line: Column, bare: Column, fields: int, options: CsvOptions) -> Column:
    """What is wrong with a line that should have so many fields; null when it is sound.

    `bare` is `without_quoted(line)`, a column of its own so that Spark computes it once. A field of it that still
    starts with a quote has no end.
    """
    quote = options.quote
    count = _occurrences(bare, options.delimiter) + 1
    miscounted = F.when(count < fields, F.lit(source.SHORT_ROW)).when(count > fields, F.lit(source.LONG_ROW))
    if not quote:
        return miscounted
    broken = (F.instr(bare, quote) > 0) & bare.rlike(f"(?:^|{_java_quoted(options.delimiter)}){re.escape(quote)}")
    odd = _occurrences(line, quote) % 2 == 1
    by_quotes = F.when(odd, F.lit(source.UNCLOSED_QUOTE)).otherwise(F.lit(source.MALFORMED_ROW))
    return F.when(broken, by_quotes).when(count != fields, miscounted)


def _occurrences(text: Column, part: str) -> Column:
    removed = F.octet_length(text) - F.octet_length(F.replace(text, F.lit(part), F.lit("")))
    size = len(part.encode())
    return removed if size == 1 else (removed / F.lit(size)).cast("int")


def _java_quoted(text: str) -> str:
    return "".join(f"\\x{{{ord(character):x}}}" for character in text)
