"""How CSV files are written: encoding, delimiter and quote, told from the first bytes of a file."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

from segengine.io.csv import split_line

__all__ = ["Dialect", "delimiter_of", "encoding_of", "is_data"]

DELIMITERS = (",", ";", "\t", "|")
LINES = 200
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written; `regular`: the share of its lines that have as many fields as the first."""

    delimiter: str
    quote: str
    fields: int
    regular: float


def encoding_of(head: bytes) -> tuple[str, str]:
    """(encoding, why) of a text file that starts with these bytes; the last character may be cut."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name, "byte order mark"
    if len(head) >= 4 and head[:4096].count(0) * 3 > len(head[:4096]):
        return ("utf-16-be" if head[0] == 0 else "utf-16-le"), "every other byte is 0"
    try:
        codecs.getincrementaldecoder("utf-8")("strict").decode(head)
    except UnicodeDecodeError:
        # Windows' characters where ISO 8859-1 has invisible control characters.
        try:
            head.decode("cp1252")
        except UnicodeDecodeError:
            return "iso-8859-1", "bytes that are neither UTF-8 nor cp1252"
        return "cp1252", "bytes that are not UTF-8"
    return "utf-8", "every byte fits"


def delimiter_of(lines: Sequence[str]) -> Dialect:
    """The delimiter and quote that cut most lines into as many fields as the first line; more fields win."""
    best = Dialect(",", '"', 1, 1.0)
    best_rank = (0.0, 0)
    head = [line for line in lines[:LINES] if line.strip()]
    for quote in ('"', "'"):
        for delimiter in DELIMITERS:
            counts = [len(split_line(line, delimiter, quote) or ()) for line in head]
            if not counts or counts[0] < 2:
                continue
            regular = sum(count == counts[0] for count in counts) / len(counts)
            rank = (round(regular, 1), counts[0])
            if rank > best_rank:
                best, best_rank = Dialect(delimiter, quote, counts[0], regular), rank
    return best


def is_data(fields: Sequence[str]) -> bool:
    """Whether what should be a header is a row: some field of it is empty-handed of letters and holds digits."""
    return any(any(c.isdigit() for c in field) and not any(c.isalpha() for c in field) for field in fields)
