"""Spans such as `24 months` and moments such as `2018-01-01`, counted on the calendar of a time zone."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

__all__ = ["EPOCH", "History", "Moment", "instant", "local_text", "microseconds", "parse_moment", "parse_span"]

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Moment = dt.datetime | dt.date | Literal["latest"]
"""A datetime (naive ones are wall clock in the config's time zone), a date (its midnight), or `latest`."""

SPAN = re.compile(r"\s*([0-9]{1,6})\s*(day|week|month|year)s?\s*", re.IGNORECASE)
LONGEST_YEARS = 200


def microseconds(moment: dt.datetime) -> int:
    """Microseconds since 1970 UTC of a datetime that knows its zone."""
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class History:
    """A span of the calendar: so many months, or so many days, or (both None) without end."""

    months: int | None = None
    days: int | None = None
    timezone: str = "UTC"

    def start(self, as_of: dt.datetime) -> dt.datetime | None:
        """The moment this span before `as_of` (aware), in UTC; None when it has no end.

        Counted on the calendar of the time zone: 24 months before midnight is a midnight, whatever daylight saving did
        between; 1 month before 31 March is the last day of February.
        """
        return self._moved(as_of, -1)

    def end(self, start: dt.datetime) -> dt.datetime | None:
        """The moment this span after `start` (aware), in UTC; None when it has no end."""
        return self._moved(start, 1)

    def _moved(self, moment: dt.datetime, sign: int) -> dt.datetime | None:
        if moment.tzinfo is None:
            raise ValueError("a moment must have a time zone")
        if self.months is None and self.days is None:
            return None
        local = moment.astimezone(ZoneInfo(self.timezone)).replace(tzinfo=None)
        if self.days is not None:
            local += dt.timedelta(days=sign * self.days)
        if self.months is not None:
            local = _add_months(local, sign * self.months)
        return instant(local, self.timezone)


def _add_months(moment: dt.datetime, months: int) -> dt.datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, calendar.monthrange(year, month + 1)[1]))


def instant(moment: dt.datetime | dt.date, timezone: str) -> dt.datetime:
    """The moment as an aware datetime in UTC: a date is its midnight, and what has no zone is wall clock in `timezone`.

    A wall clock that daylight saving skips means the time after the gap; one that it repeats means the first.
    """
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001  the zone comes next
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(timezone))
    return moment.astimezone(dt.UTC)


def parse_span(text: str) -> tuple[str, int | None, int | None]:
    """`24 months` -> its usual spelling, months, days (one of them None). ValueError when it is no span."""
    match = SPAN.fullmatch(text)
    if match is None:
        raise ValueError("must be a span such as '24 months', '90 days', '8 weeks' or '2 years'")
    number, unit = int(match[1]), match[2].lower()
    size = number * {"day": 1 / 365, "week": 7 / 365, "month": 1 / 12, "year": 1}[unit]
    if not 0 < size <= LONGEST_YEARS:
        raise ValueError(f"must be a span of at least one day and at most {LONGEST_YEARS} years")
    name = f"{number} {unit}{'' if number == 1 else 's'}"
    if unit in ("month", "year"):
        return name, number * (12 if unit == "year" else 1), None
    return name, None, number * (7 if unit == "week" else 1)


def parse_moment(value: object) -> Moment:
    """A moment from text (ISO 8601), a date or a datetime. ValueError when it is none."""
    if isinstance(value, (dt.datetime, dt.date)):
        moment: dt.datetime | dt.date = value
    elif not isinstance(value, str):
        raise ValueError("must be a date, a date with a time, or latest")
    elif value.strip().lower() == "latest":
        return "latest"
    else:
        moment = _from_text(value.strip())
    if not 1900 <= moment.year <= 9000:
        raise ValueError("must lie between the years 1900 and 9000")
    return moment


def _from_text(text: str) -> dt.datetime | dt.date:
    try:
        if re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}", text):
            year, month, day = map(int, text.split("-"))
            return dt.date(year, month, day)
        if re.match(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}", text):
            return dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("is not a day of the calendar, or not a time of a day") from error
    raise ValueError("must be a date (2018-01-01), a date with a time (2018-01-01T06:00:00+02:00), or latest")


def local_text(moment: dt.datetime, timezone: str) -> str:
    """An aware moment as text in a zone: the day alone when it is its midnight."""
    local = moment.astimezone(ZoneInfo(timezone))
    if (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0):
        return local.date().isoformat()
    return local.isoformat(sep=" ", timespec="seconds")
