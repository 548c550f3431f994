"""Read an .xlsx file with the standard library: its sheets as rows of values, and its tables by name."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any
from xml.etree import ElementTree

__all__ = ["Read"]

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


class Read:
    """A workbook: `sheets` has the cells by reference, `tables` the rows by name of the table, as dictionaries."""

    def __init__(self, content: bytes) -> None:
        self.zip = zipfile.ZipFile(io.BytesIO(content))
        self.names = self.zip.namelist()
        strings = self._xml("xl/sharedStrings.xml")
        self.strings = ["".join(text.text or "" for text in item.iter(f"{MAIN}t")) for item in strings]
        book = self._xml("xl/workbook.xml")
        titles = [str(sheet.get("name")) for sheet in book.iter(f"{MAIN}sheet")]
        self.sheets: dict[str, dict[str, Any]] = {}
        self.tables: dict[str, list[dict[str, Any]]] = {}
        for place, title in enumerate(titles, 1):
            self.sheets[title] = self._cells(place)
            for path in self._tables_of(place):
                self._read_table(path, self.sheets[title])

    def every_part(self) -> str:
        """All XML of the file, one part after the other."""
        return "".join(self.zip.read(name).decode() for name in self.names if name.endswith((".xml", ".rels")))

    def _xml(self, path: str) -> ElementTree.Element:
        return ElementTree.fromstring(self.zip.read(path))

    def _cells(self, place: int) -> dict[str, Any]:
        cells: dict[str, Any] = {}
        for cell in self._xml(f"xl/worksheets/sheet{place}.xml").iter(f"{MAIN}c"):
            value = cell.find(f"{MAIN}v")
            if value is None:
                continue
            text = value.text or ""
            cells[str(cell.get("r"))] = self.strings[int(text)] if cell.get("t") == "s" else float(text)
        return cells

    def _tables_of(self, place: int) -> list[str]:
        path = f"xl/worksheets/_rels/sheet{place}.xml.rels"
        if path not in self.names:
            return []
        targets = [str(relation.get("Target")) for relation in self._xml(path)]
        return [f"xl/{target.removeprefix('../')}" for target in targets if "/tables/" in target]

    def _read_table(self, path: str, cells: dict[str, Any]) -> None:
        found = self._xml(path)
        match = re.fullmatch(r"([A-Z]+)(\d+):([A-Z]+)(\d+)", str(found.get("ref")))
        assert match is not None
        columns = [_letters(number) for number in range(_number(match[1]), _number(match[3]) + 1)]
        titles = [str(column.get("name")) for column in found.iter(f"{MAIN}tableColumn")]
        top, last = int(match[2]), int(match[4])
        assert [cells[f"{column}{top}"] for column in columns] == titles  # Excel repairs a file where they differ
        self.tables[str(found.get("name"))] = [
            {title: cells.get(f"{column}{row}") for title, column in zip(titles, columns, strict=True)}
            for row in range(top + 1, last + 1)
        ]


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _letters(number: int) -> str:
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text
