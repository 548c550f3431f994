"""When the clocks of a zone change, as arrays that workers can use without a time zone database."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

__all__ = ["clock_changes"]

SECOND_US = 1_000_000
FIRST = dt.datetime(1899, 12, 30, tzinfo=dt.UTC)
"""Lines before 1900 are rejected."""


@lru_cache(maxsize=8)
def clock_changes(timezone: str, until: dt.datetime) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(moments, offsets), both in microseconds: from each moment on, local clocks are ahead of UTC by the offset.

    The first moment is before all others and before 1900; none is later than a day after `until`.
    """
    zone = ZoneInfo(timezone)
    moments, offsets = [_second(FIRST)], [_offset(FIRST, zone)]
    day = FIRST
    while day < until + dt.timedelta(days=1):
        following = day + dt.timedelta(days=1)
        if _offset(following, zone) != offsets[-1]:
            moments.append(_change(day, following, zone))
            offsets.append(_offset(following, zone))
        day = following
    return np.array(moments, dtype=np.int64) * SECOND_US, np.array(offsets, dtype=np.int64) * SECOND_US


def _offset(moment: dt.datetime, zone: ZoneInfo) -> int:
    return int((moment.astimezone(zone).utcoffset() or dt.timedelta()).total_seconds())


def _second(moment: dt.datetime) -> int:
    return int(moment.timestamp())


def _change(before: dt.datetime, after: dt.datetime, zone: ZoneInfo) -> int:
    """The first second whose offset is that of `after`; clocks change at most once a day."""
    low, high = _second(before), _second(after)
    target = _offset(after, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(dt.datetime.fromtimestamp(middle, dt.UTC), zone) == target:
            high = middle
        else:
            low = middle
    return high
