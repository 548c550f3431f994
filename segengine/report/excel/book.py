"""A workbook of titled sheets with one or more real tables each; text is text, whatever it begins with."""

from __future__ import annotations

import datetime as dt
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

__all__ = ["Book", "Column", "Kind", "Sheet", "Styled", "Value", "clean"]

Kind: TypeAlias = Literal["text", "long", "count", "share", "money", "number", "day"]
Plain: TypeAlias = str | int | float | Decimal | dt.datetime | None

HEADER_ROW = 4
"""Rows above the first table: title, subtitle, note and an empty one; counted from 0, its header is here."""
LONGEST_TEXT = 16_000
"""Excel takes 32,767 UTF-16 units in a cell; so many characters never have more."""
LONGEST_HEADER = 200
WIDEST_CHARACTERS, LONG_CHARACTERS = 44, 60
"""In a line of a column: at most, and where its text is broken into lines."""
LINE_POINTS, HIGHEST_POINTS = 15, 409
"""Height of a line, and the greatest of a row."""
UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Control characters, halves of pairs and what XML does not have."""
RISKY = ("=", "+", "-", "@", "\t")
"""Text that Excel would take for a formula when somebody edits the cell; a prefix keeps it text."""
OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
    "nan_inf_to_errors": False,
}


@dataclass(frozen=True)
class Styled:
    """A value that is shown in another way than its column: its kind, or more properties of a cell's format."""

    value: Plain
    kind: Kind | None = None
    look: Mapping[str, Any] = field(default_factory=dict)


Value: TypeAlias = Plain | Styled


@dataclass(frozen=True)
class Column:
    """A column of a table; `meaning` is what the sheet of definitions says of it, `bar` draws bars of 0 to 1."""

    title: str
    kind: Kind = "text"
    meaning: str = ""
    bar: str = ""


def clean(text: str, longest: int = LONGEST_TEXT) -> str:
    """Text that a cell can hold: what cannot be read is replaced by U+FFFD, and what is too long is cut."""
    readable = UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))
    return readable if len(readable) <= longest else readable[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"


class Book:
    """The workbook while it is written; `finished` gives its bytes, the same ones for the same content."""

    def __init__(self, title: str, made: dt.datetime, minor_unit: int) -> None:
        from xlsxwriter import Workbook

        self._bytes = io.BytesIO()
        self.workbook = Workbook(self._bytes, OPTIONS)
        created = made.astimezone(dt.UTC).replace(tzinfo=None)
        self.workbook.set_properties({"title": clean(title, LONGEST_HEADER), "author": "segengine", "created": created})
        decimals = "." + "0" * minor_unit if minor_unit else ""
        self.formats: dict[Kind, dict[str, Any]] = {
            "text": {"align": "left", "indent": 1},
            "long": {"align": "left", "indent": 1, "text_wrap": True},
            "count": {"num_format": "#,##0"},
            "share": {"num_format": "0.0%"},
            "money": {"num_format": f"#,##0{decimals}"},
            "number": {"num_format": "#,##0.00"},
            "day": {"num_format": "yyyy-mm-dd", "align": "left", "indent": 1},
        }
        self.sheets: list[Sheet] = []
        self._made: dict[str, Any] = {}

    def style(self, **look: Any) -> Any:
        """A cell's format; equal ones are made once."""
        key = repr(sorted(look.items()))
        if key not in self._made:
            self._made[key] = self.workbook.add_format({"valign": "top", **look})
        return self._made[key]

    def sheet(self, name: str, title: str, subtitle: str, note: str) -> Sheet:
        """A new sheet with three lines above what it holds; the name is ours and holds at most 31 characters."""
        made = Sheet(self, name, title, subtitle, note)
        self.sheets.append(made)
        return made

    def finished(self) -> bytes:
        """The bytes of the file; nothing can be added after."""
        self.workbook.close()
        return self._bytes.getvalue()


class Sheet:
    """A sheet and the tables on it, one below the other."""

    def __init__(self, book: Book, name: str, title: str, subtitle: str, note: str) -> None:
        self.book, self.name, self.note = book, name, note
        self.tables: list[tuple[str, tuple[Column, ...]]] = []
        self.next_row = HEADER_ROW
        self.rows = 0
        """Of all its tables."""
        self._widths: dict[int, float] = {}
        self.page = book.workbook.add_worksheet(name)
        self.page.hide_gridlines(2)
        self.text(0, 0, title, bold=True, font_size=16)
        self.page.set_row(0, 24)
        self.text(1, 0, subtitle, font_color="#555555")
        self.text(2, 0, note)
        self.page.set_landscape()
        self.page.set_paper(9)
        self.page.fit_to_pages(1, 0)
        self.page.set_footer("&L&A&RPage &P of &N")

    def text(self, row: int, column: int, text: str, **look: Any) -> None:
        """Text in a cell, which is never anything else."""
        shown = clean(text)
        if shown.startswith(RISKY):
            look["quote_prefix"] = True
        self.page.write_string(row, column, shown, self.book.style(**look))

    def table(self, name: str, columns: Sequence[Column], rows: Sequence[Sequence[Value]]) -> None:
        """A table with a header below what is there already; Excel has no table without a row."""
        top = self.next_row
        first, last = top + 1, top + len(rows)
        titles = _titles(columns)
        headers = [
            {"header": title, "header_format": self._header(c)} for title, c in zip(titles, columns, strict=True)
        ]
        corners = (top, 0, last, len(columns) - 1)
        self.page.add_table(*corners, {"name": name, "style": None, "columns": headers})
        for row, values in enumerate(rows, first):
            for place, (column, value) in enumerate(zip(columns, values, strict=True)):
                self._write(row, place, value, column)
        for place, (title, column) in enumerate(zip(titles, columns, strict=True)):
            self._fit(place, title, column, [values[place] for values in rows])
            if column.bar:
                self.page.conditional_format(first, place, last, place, _bar(column.bar))
        self._heighten(top, titles)
        for row, values in enumerate(rows, first):
            self._heighten(row, [v for v, c in zip(values, columns, strict=True) if c.kind == "long"], LONG_CHARACTERS)
        if not self.tables:
            self.page.repeat_rows(top)
        self.tables.append((name, tuple(columns)))
        self.next_row = last + 3
        self.rows += len(rows)

    def freeze(self, columns: int) -> None:
        """Keep the header of the first table, and so many columns, in sight."""
        self.page.freeze_panes(HEADER_ROW + 1, columns)

    def _write(self, row: int, place: int, value: Value, column: Column) -> None:
        styled = value if isinstance(value, Styled) else Styled(value)
        kind = styled.kind or column.kind
        look = {**self.book.formats[kind], **styled.look}
        plain = styled.value
        if plain is None or (isinstance(plain, float) and not math.isfinite(plain)):
            self.page.write_blank(row, place, None, self.book.style(**look))
        elif isinstance(plain, str):
            self.text(row, place, plain, **look)
        elif isinstance(plain, dt.datetime):
            if (plain.hour, plain.minute, plain.second) != (0, 0, 0):
                look["num_format"] = "yyyy-mm-dd hh:mm"
            self.page.write_datetime(row, place, plain.replace(tzinfo=None), self.book.style(**look))
        else:
            self.page.write_number(row, place, float(plain), self.book.style(**look))

    def _header(self, column: Column) -> Any:
        side = {"align": "left", "indent": 1} if column.kind in ("text", "long", "day") else {"align": "right"}
        return self.book.style(bold=True, text_wrap=True, bg_color="#E8E8EF", bottom=1, **side)

    def _heighten(self, row: int, values: Sequence[Value], width: int = 0) -> None:
        """As high as the lines of its texts; programs that open the file do not all see to that."""
        lines = 1
        for place, value in enumerate(values):
            plain = value.value if isinstance(value, Styled) else value
            if isinstance(plain, str):
                wide = (width or self._widths[place]) - 2
                lines = max(lines, sum(max(1, math.ceil(len(part) / wide)) for part in plain.splitlines()))
        if lines > 1:
            self.page.set_row(row, min(HIGHEST_POINTS, LINE_POINTS * lines))

    def _fit(self, place: int, title: str, column: Column, values: Sequence[Value]) -> None:
        """Wide enough for what the column shows, as far as that is reasonable; a header may break between words."""
        if column.kind == "long":
            needed = float(LONG_CHARACTERS)
        else:
            plain = [value.value if isinstance(value, Styled) else value for value in values]
            lengths = [_shown_length(value) for value in plain]
            words = [len(word) for word in title.split()]
            needed = min(WIDEST_CHARACTERS, max([*lengths, *words, min(len(title), 16)]) + 4)
        self._widths[place] = max(self._widths.get(place, 8.0), needed)
        self.page.set_column(place, place, self._widths[place])


def _titles(columns: Sequence[Column]) -> list[str]:
    """Headers on one line each, and no two alike, as a table of Excel's wants them."""
    titles: list[str] = []
    taken: set[str] = set()
    for column in columns:
        base = clean(" ".join(column.title.split()), LONGEST_HEADER) or "Column"
        title, number = base, 1
        while title.casefold() in taken:
            number += 1
            title = f"{base} ({number})"
        taken.add(title.casefold())
        titles.append(title)
    return titles


def _shown_length(value: Plain) -> int:
    if isinstance(value, str):
        return max((len(line) for line in value.splitlines()), default=0)
    if isinstance(value, int | float | Decimal):
        return len(f"{value:,.2f}")
    return 10 if value is None else 16


def _bar(colour: str) -> dict[str, Any]:
    return {
        "type": "data_bar",
        "bar_solid": True,
        "bar_color": colour,
        "min_type": "num",
        "min_value": 0,
        "max_type": "num",
        "max_value": 1,
        "data_bar_2010": True,
    }
