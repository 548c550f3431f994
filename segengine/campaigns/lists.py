"""Lists of customers as files that other programs open: CSV, Excel or Parquet; written batch by batch, in any size."""

from __future__ import annotations

import csv
import datetime as dt
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import IO, Literal
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from segengine.campaigns.safe import neutral, neutral_text
from segengine.errors import InputError

__all__ = ["EXCEL_ROWS", "FORMATS", "Format", "without_customer", "write_list"]

Format = Literal["csv", "xlsx", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "xlsx", "parquet")
EXCEL_ROWS = 1_048_576
"""Rows of a sheet, the header among them."""
EXCEL_CHARACTERS = 32_767
"""Characters of a cell as Excel counts them, in units of UTF-16: an emoji is two."""
BATCH_ROWS = 10_000
SHEET = "xl/worksheets/sheet1.xml"
ROW, CELL, TEXT = (f"{{http://schemas.openxmlformats.org/spreadsheetml/2006/main}}{tag}" for tag in ("row", "c", "t"))


def write_list(
    form: Format, path: str, names: Sequence[str], batches: Iterable[pa.RecordBatch], made: dt.datetime
) -> int:
    """Write batches of strings, whose columns are `names`, to a local file; how many rows there were.

    Nothing in it is a formula: in CSV by an apostrophe, in Excel as every cell is text. `made` is what Excel says.
    """
    return {"csv": _write_csv, "xlsx": _write_xlsx, "parquet": _write_parquet}[form](path, names, batches, made)


def _write_csv(path: str, names: Sequence[str], batches: Iterable[pa.RecordBatch], _: dt.datetime) -> int:
    schema, rows = pa.schema([(neutral_text(name), pa.string()) for name in names]), 0
    with pa_csv.CSVWriter(path, schema) as writer:
        for batch in batches:
            writer.write(pa.record_batch([neutral(column) for column in batch.columns], schema=schema))
            rows += batch.num_rows
    return rows


def _write_parquet(path: str, names: Sequence[str], batches: Iterable[pa.RecordBatch], _: dt.datetime) -> int:
    schema, rows = pa.schema([(name, pa.string()) for name in names]), 0
    with pq.ParquetWriter(path, schema, compression="snappy") as writer:
        for batch in batches:
            writer.write_batch(batch.rename_columns(list(names)))
            rows += batch.num_rows
    return rows


def _write_xlsx(path: str, names: Sequence[str], batches: Iterable[pa.RecordBatch], made: dt.datetime) -> int:
    """Row by row, as the sheet is written so; a million of them at most."""
    import xlsxwriter

    options = {"constant_memory": True, "tmpdir": os.path.dirname(path)}
    as_text = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(path, {**options, **as_text})
    try:
        book.set_properties({"created": made.astimezone(dt.UTC).replace(tzinfo=None)})
        sheet, bold = book.add_worksheet("customers"), book.add_format({"bold": True})
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(names) - 1, 24)
        for place, name in enumerate(names):
            sheet.write_string(0, place, name, bold)
        row = 0
        for batch in batches:
            _refuse_long(batch, names)
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                row += 1
                for place, value in enumerate(values):
                    if value is not None:
                        sheet.write_string(row, place, value)
    finally:
        book.close()
    return row


def _refuse_long(batch: pa.RecordBatch, names: Sequence[str]) -> None:
    for name, column in zip(names, batch.columns, strict=True):
        long = column.filter(pc.greater(pc.utf8_length(column), EXCEL_CHARACTERS // 2)).to_pylist()
        longest = max((len(text.encode("utf-16-le")) // 2 for text in long), default=0)
        if longest > EXCEL_CHARACTERS:
            raise InputError(
                f"A cell of Excel holds {EXCEL_CHARACTERS:,} characters.",
                where=f"column {name}",
                found=f"a value of {longest:,}",
                todo="Export csv or parquet, or leave the column out.",
            )


def without_customer(form: Format, source: str, target: str, customer_id: str, made: dt.datetime) -> int:
    """Copy a list that `write_list` wrote without the rows of a customer, the first column being the id; how many."""
    return {"csv": _copy_csv, "xlsx": _copy_xlsx, "parquet": _copy_parquet}[form](source, target, customer_id, made)


def _copy_csv(source: str, target: str, customer_id: str, _: dt.datetime) -> int:
    """What stays is copied as it is, quotes included."""
    wanted, removed = neutral_text(customer_id), 0
    with open(source, encoding="utf-8", newline="") as before, open(target, "w", encoding="utf-8", newline="") as after:
        for number, record in enumerate(_records(before)):
            if number and next(csv.reader([record]), [""])[0] == wanted:
                removed += 1
            else:
                after.write(record)
    return removed


def _records(lines: IO[str]) -> Iterator[str]:
    """The raw text of each record: a line, or several where a quoted field holds line breaks."""
    record = ""
    for line in lines:
        record += line
        if record.count('"') % 2 == 0 and record.endswith("\n"):
            yield record
            record = ""
    if record:
        yield record


def _copy_parquet(source: str, target: str, customer_id: str, made: dt.datetime) -> int:
    removed = 0
    with pq.ParquetFile(source) as file:

        def kept() -> Iterator[pa.RecordBatch]:
            nonlocal removed
            for batch in file.iter_batches(BATCH_ROWS):
                left = batch.filter(pc.not_equal(batch.column(0), customer_id))
                removed += batch.num_rows - left.num_rows
                yield left

        _write_parquet(target, file.schema_arrow.names, kept(), made)
    return removed


def _copy_xlsx(source: str, target: str, customer_id: str, made: dt.datetime) -> int:
    removed = 0
    with zipfile.ZipFile(source) as archive, archive.open(SHEET) as sheet:
        rows = _sheet_rows(sheet)
        names = [str(name) for name in next(rows)]

        def kept() -> Iterator[pa.RecordBatch]:
            nonlocal removed
            while batch := list(islice(rows, BATCH_ROWS)):
                left = [row + [None] * (len(names) - len(row)) for row in batch if row[0] != customer_id]
                removed += len(batch) - len(left)
                columns = [pa.array(values, pa.string()) for values in zip(*left, strict=True)]
                if columns:
                    yield pa.record_batch(columns, names=names)

        _write_xlsx(target, names, kept(), made)
    return removed


def _sheet_rows(sheet: IO[bytes]) -> Iterator[list[str | None]]:
    """The texts of each row of a sheet that holds its strings itself."""
    for _event, element in ElementTree.iterparse(sheet):
        if element.tag != ROW:
            continue
        row: list[str | None] = []
        for cell in element.iter(CELL):
            place = _place(str(cell.get("r")))
            row += [None] * (place - len(row))
            text = next(cell.iter(TEXT), None)
            row.append(None if text is None else _unescaped(text.text or ""))
        yield row
        element.clear()


def _place(reference: str) -> int:
    """The column of a cell such as AB12, counted from 0."""
    place = 0
    for letter in re.sub(r"\d", "", reference):
        place = place * 26 + ord(letter) - ord("A") + 1
    return place - 1


def _unescaped(text: str) -> str:
    """Characters that XML cannot hold are written as _x0007_, and what looks like that as _x005F_x0007_."""
    return re.sub(r"_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), text)
