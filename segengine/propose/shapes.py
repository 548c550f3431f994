"""What text values look like: numbers and their decimal separator, times and their pattern, booleans, addresses."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from segengine.propose.facts import Kind

__all__ = ["BOOLEAN_WORDS", "Shape", "decimal_separator", "looks_personal", "shape_of", "time_pattern"]

ENOUGH = 0.95
"""Share of the values that must look alike; the rest is for the quality rules to reject."""

BOOLEAN_WORDS: dict[str, bool] = {
    **dict.fromkeys("true t yes y ja j oui o si sì sí sim tak da да はい 是".split(), True),
    **dict.fromkeys("false f no n nein non não nao nie nej нет いいえ 否".split(), False),
}

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?"
)
_CLOCK = r"(?:(?P<gap>T| )(?P<h>\d{1,2}):(?P<m>\d{2})(?P<s>:\d{2})?(?P<f>\.\d{1,6})?(?P<ampm> ?[AaPp][Mm])?)?"
_TRIPLE = re.compile(r"(?P<a>\d{1,2})(?P<sep>[./-])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d{2})" + _CLOCK)
_YEAR_FIRST = re.compile(r"(?P<y>\d{4})(?P<sep>[./-])(?P<a>\d{1,2})(?P=sep)(?P<b>\d{1,2})" + _CLOCK)
_MONTH_NAME = re.compile(r"(?P<a>\d{1,2})(?P<sep>[ -])(?P<b>[A-Za-z]{3})(?P=sep)(?P<y>\d{4})" + _CLOCK)
_COMPACT = re.compile(r"(19|20)\d{6}(?P<clock>\d{6})?")
_PERSONAL = (re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"), re.compile(r"(?=.*[+ ()/])\+?[\d(][\d ()/-]{8,}\d"))
_SYMBOLS = "€$£¥₹ \u00a0\u202f'\u2019"
_LEADING_ZERO = re.compile(r"[+-]?0\d")


@dataclass(frozen=True)
class Shape:
    """What the values of a text column are."""

    kind: Kind
    time_format: str | None = None
    day_or_month: bool = False
    strip: str = ""
    code: bool = False


def decimal_separator(columns: Iterable[Sequence[str]]) -> str:
    """ "," when the numbers of a table are written with a decimal comma, else "."; `columns` hold filled values."""
    votes = {",": 0, ".": 0}
    for values in columns:
        if _share(values, lambda v: re.fullmatch(rf"[+-]?[{_SYMBOLS}]*[\d.,'\u2019\u00a0 ]+[{_SYMBOLS}]*", v)) < ENOUGH:
            continue
        for value in values:
            last = max(value.rfind(","), value.rfind("."))
            if last < 0 or _ISO.fullmatch(value) or _TRIPLE.fullmatch(value) or value.count(value[last]) > 1:
                continue
            after = value[last + 1 :]
            digits = len(after) - len(after.lstrip("0123456789"))
            both = "," in value and "." in value
            if both or digits != 3:  # 1,234 may be either
                votes[value[last]] += 1
    return "," if votes[","] > votes["."] else "."


def shape_of(values: Sequence[str], decimal: str = ".") -> Shape:
    """The shape of filled values, whatever the column is called."""
    if not values:
        return Shape("empty")
    trimmed = [value.strip() for value in values]
    if {value.casefold() for value in trimmed} <= BOOLEAN_WORDS.keys():
        return Shape("boolean")
    time = time_pattern(trimmed)
    if time is not None:
        return Shape(*time)
    number = _number(trimmed, decimal)
    if number is None:
        return Shape("text")
    kind, strip = number
    if kind == "whole" and any(_LEADING_ZERO.match(value) for value in trimmed):
        return Shape("whole", code=True)
    return Shape(kind, time_format=counted_time(trimmed) if kind == "whole" else None, strip=strip)


def time_pattern(values: Sequence[str]) -> tuple[Kind, str | None, bool] | None:
    """(date or time, Spark's pattern or None for ISO 8601, whether days and months cannot be told apart)."""
    if _share(values, _ISO.fullmatch) >= ENOUGH:
        return ("time" if any(len(value) > 10 for value in values) else "date"), None, False
    for shape, build in ((_TRIPLE, _triple), (_YEAR_FIRST, _year_first), (_MONTH_NAME, _month_name)):
        matches = [match for match in map(shape.fullmatch, values) if match]
        if len(matches) >= ENOUGH * len(values):
            found = build(matches)
            if found is not None:
                date, unclear = found
                clock = _clock(matches)
                return ("time" if clock else "date"), date + clock, unclear
    return None


def counted_time(values: Sequence[str]) -> str | None:
    """How whole numbers may be times: `yyyyMMdd`, `yyyyMMddHHmmss`, `seconds` or `milliseconds` since 1970; or not."""
    compact = [_COMPACT.fullmatch(value) for value in values]
    if all(compact) and all(_is_day(value[:8]) for value in values):
        return "yyyyMMddHHmmss" if all(match and match["clock"] for match in compact) else "yyyyMMdd"
    numbers = [int(value) for value in values if re.fullmatch(r"\d{9,13}", value)]
    if len(numbers) < len(values):
        return None
    if all(500_000_000 <= number < 4_000_000_000 for number in numbers):
        return "seconds"
    return "milliseconds" if all(500_000_000_000 <= number < 4_000_000_000_000 for number in numbers) else None


def looks_personal(values: Iterable[str]) -> bool:
    """Whether any value looks like an e-mail address or a telephone number."""
    return any(pattern.fullmatch(value.strip()) for value in values for pattern in _PERSONAL)


def _share(values: Sequence[str], test: object) -> float:
    assert callable(test)
    return sum(bool(test(value)) for value in values) / len(values) if values else 0.0


def _number(values: Sequence[str], decimal: str) -> tuple[Kind, str] | None:
    plain = re.compile(rf"[+-]?(?:\d+(?:{re.escape(decimal)}\d*)?|{re.escape(decimal)}\d+)(?:[eE][+-]?\d+)?")
    grouping = "." if decimal == "," else ","
    dressed = re.compile(
        rf"[+-]?[{_SYMBOLS}]*[+-]?\d{{1,3}}(?:[{re.escape(grouping)}{_SYMBOLS}]\d{{3}})*(?:{re.escape(decimal)}\d+)?[{_SYMBOLS}]*"
        rf"|[+-]?[{_SYMBOLS}]*[+-]?\d+(?:{re.escape(decimal)}\d+)?[{_SYMBOLS}]*"
    )
    if _share(values, plain.fullmatch) >= ENOUGH:
        good = [value for value in values if plain.fullmatch(value)]
        strip = ""
    elif _share(values, dressed.fullmatch) >= ENOUGH:
        good = [value for value in values if dressed.fullmatch(value)]
        strip = "".join(sorted({c for value in good for c in value if c in _SYMBOLS + grouping}))
    else:
        return None
    fraction = any(re.search(rf"{re.escape(decimal)}\d*[1-9]", value) for value in good)
    written = any(decimal in value for value in good)
    return ("fraction" if fraction or written else "whole"), strip


def _triple(matches: Sequence[re.Match[str]]) -> tuple[str, bool] | None:
    first, second = max(int(m["a"]) for m in matches), max(int(m["b"]) for m in matches)
    if min(first, second) > 12:
        return None
    separator = matches[0]["sep"]
    day_first = first > 12 or (second <= 12 and separator == ".")
    day, month = ("a", "b") if day_first else ("b", "a")
    if first <= 12 and second <= 12 and separator != ".":
        # Days run through 1 to 12 at least; a part that never changes within a file is more often the month.
        day_first = len({m["a"] for m in matches}) > len({m["b"] for m in matches})
        day, month = ("a", "b") if day_first else ("b", "a")
    parts = {day: _digits("d", day, matches), month: _digits("M", month, matches)}
    year = "yyyy" if len(matches[0]["y"]) == 4 else "yy"
    unclear = first <= 12 and second <= 12 and separator != "."
    return f"{parts['a']}{separator}{parts['b']}{separator}{year}", unclear


def _year_first(matches: Sequence[re.Match[str]]) -> tuple[str, bool] | None:
    if max(int(m["a"]) for m in matches) > 12:
        return None
    separator = matches[0]["sep"]
    month, day = _digits("M", "a", matches), _digits("d", "b", matches)
    return f"yyyy{separator}{month}{separator}{day}", False


def _month_name(matches: Sequence[re.Match[str]]) -> tuple[str, bool] | None:
    separator = matches[0]["sep"]
    return f"{_digits('d', 'a', matches)}{separator}MMM{separator}yyyy", False


def _clock(matches: Sequence[re.Match[str]]) -> str:
    with_clock = [m for m in matches if m["h"]]
    if len(with_clock) < ENOUGH * len(matches):
        return ""
    first = with_clock[0]
    half = bool(first["ampm"])
    hours = _digits("h" if half else "H", "h", with_clock)
    gap = "'T'" if first["gap"] == "T" else " "
    fraction = "." + "S" * (len(first["f"]) - 1) if first["f"] else ""
    mark = (" a" if first["ampm"].startswith(" ") else "a") if half else ""
    return f"{gap}{hours}:mm{':ss' if first['s'] else ''}{fraction}{mark}"


def _digits(letter: str, part: str, matches: Sequence[re.Match[str]]) -> str:
    """One letter when a number below ten is written with one digit, two when it has a zero before it.

    Where a part is never below ten, the other parts tell: 12/1/2010 is no `MM`.
    """
    written = [match[part] for match in matches]
    if any(len(value) == 1 for value in written):
        return letter
    padded = any(value.startswith("0") for value in written)
    loose = any(len(match[other]) == 1 for match in matches for other in ("a", "b") if match[other])
    return letter if loose and not padded else letter * 2


def _is_day(text: str) -> bool:
    try:
        dt.date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return False
    return True
