"""The calendar: one row a day, in plain Python."""

from __future__ import annotations

import datetime as dt

__all__ = ["calendar"]

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# Written out, because strftime speaks the machine's language.


def calendar(first_year: int, last_year: int) -> list[dict[str, object]]:
    """Every day from 1 January of `first_year` to 31 December of `last_year`, as rows of the table `dates`."""
    day, end = dt.date(first_year, 1, 1), dt.date(last_year, 12, 31)
    return [_day(day + dt.timedelta(days=n)) for n in range((end - day).days + 1)]


def _day(day: dt.date) -> dict[str, object]:
    iso = day.isocalendar()
    return {
        "date": day,
        "date_key": day.year * 10_000 + day.month * 100 + day.day,
        "year": day.year,
        "quarter": (day.month + 2) // 3,
        "month": day.month,
        "month_name": MONTHS[day.month - 1],
        "year_month": f"{day.year:04d}-{day.month:02d}",
        "iso_week": iso.week,
        "day_of_week": iso.weekday,
        "day_name": DAYS[iso.weekday - 1],
        "is_weekend": iso.weekday >= 6,
    }
