"""Strict casts of text: a value that does not look exactly like what it should be is null; no guess, no error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column

_BLANK = r"^[\s\u00a0]+|[\s\u00a0]+$"

_PLAIN = r"[+-]?0*(?:[0-9]{{1,27}}(?:{point}[0-9]*)?|{point}[0-9]+)"
"""27 digits before the point fit decimal(38,10) whatever the rounding; more is no amount of money."""

_JAVA_DOUBLE = r"-?[0-9]\.[0-9]+E(?:-[0-9]{1,2}|1?[0-9]|2[0-6])"
"""How Java writes a double of ten million and more (1.23456789E7): Spark gives JSON numbers back like this."""

_ISO = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:[.,][0-9]{1,9})?)? ?(Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?)?$"
)
"""Groups: date, hours and minutes, seconds, offset."""


def amount_from_text(column: Column, decimal: str = ".") -> Column:
    """decimal(38,10) of text such as "-1234.50"; `decimal` is the decimal separator, "." or ",".

    An optional sign, digits, an optional decimal separator and digits; blanks around it are fine. Thousands
    separators, currency signs, NaN, Infinity, hexadecimal and exponents are null. Digits after the tenth decimal are
    rounded half up.
    """
    text = F.regexp_replace(column.cast("string"), _BLANK, "")
    plain = _PLAIN.format(point=re.escape(decimal))
    pattern = rf"^(?:{plain}|{_JAVA_DOUBLE})$" if decimal == "." else rf"^(?:{plain})$"
    # The guard is inside the cast, so that whatever order Spark evaluates in, ANSI mode has nothing to raise.
    return F.when(text.rlike(pattern), F.translate(text, ",", ".")).cast("decimal(38,10)")


def timestamp_from_text(column: Column, pattern: str | None, timezone: str) -> Column:
    """timestamp of text, in ISO 8601 or in Spark's `pattern`; text without an offset is wall clock in `timezone`.

    ISO: yyyy-MM-dd, optionally with a time of hours and minutes, seconds, and fractions of them (cut to microseconds),
    and then an offset (Z, UTC, +05:30, +0530, +05). 2024-02-30, 03/04/2024 and times without a date are null.
    Wall-clock times that a zone skips move forward by the gap; those that occur twice are the first. The session's time
    zone plays no part.
    """
    text = F.regexp_replace(column.cast("string"), _BLANK, "")
    zone = F.lit(timezone)
    if pattern is not None:
        if _has_zone(pattern):
            return F.try_to_timestamp(text, F.lit(pattern))
        return F.try_to_timestamp(F.concat(text, F.lit(" "), zone), F.lit(f"{pattern} VV"))
    date, minutes, seconds, offset = (F.regexp_extract(text, _ISO, group) for group in (1, 2, 3, 4))
    time = F.when(minutes == "", "00:00:00").otherwise(
        F.concat(minutes, F.when(seconds == "", ":00").otherwise(F.translate(seconds, ",", ".")))
    )
    spelled = (
        F.when(offset == "", zone)
        .when(offset.isin("Z", "z", "UTC", "GMT"), "UTC")
        .when(F.length(offset) == 3, F.concat(offset, F.lit(":00")))
        .otherwise(F.regexp_replace(offset, "^(...)([0-9]{2})$", "$1:$2"))
    )
    return F.try_to_timestamp(F.when(date != "", F.concat_ws(" ", date, time, spelled)))


def timestamp_from_nanoseconds(column: Column, timezone: str | None) -> Column:
    """timestamp of bigint nanoseconds since 1970, cut to microseconds.

    `timezone` null: they count from 1970 in UTC; else they count from 1970 on the wall clock of that zone.
    """
    # `div` cuts towards zero; before 1970 the floor is one lower. `/` would go through doubles and lose digits.
    thousand = F.lit(1000).cast("bigint")
    microseconds = F.call_function("div", column, thousand) - F.when(column % thousand < 0, 1).otherwise(0)
    instant = F.timestamp_micros(microseconds)
    return instant if timezone is None else F.to_utc_timestamp(instant, timezone)


def _has_zone(pattern: str) -> bool:
    return re.search("[VzOXxZ]", re.sub("'[^']*'", "", pattern)) is not None
