"""The moment a run looks back from, in microseconds since 1970 UTC, from the configuration or from the newest row."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from segengine.config import Config
from segengine.config.times import EPOCH, instant, microseconds

__all__ = ["BEFORE_1900_US", "Window", "configured_window", "latest_window"]

BEFORE_1900_US = -2_208_988_800_000_000
"""1900-01-01T00:00:00Z."""


@dataclass(frozen=True)
class Window:
    """[start, as_of), both in UTC; `start` is null when all history counts."""

    as_of: dt.datetime
    start: dt.datetime | None

    @property
    def as_of_us(self) -> int:
        return microseconds(self.as_of)

    @property
    def start_us(self) -> int | None:
        return None if self.start is None else microseconds(self.start)


def configured_window(config: Config) -> Window | None:
    """The window of a configured `as_of`; null when it is `latest`. A date means its midnight in the config's zone."""
    as_of = config.as_of
    if isinstance(as_of, str):
        return None
    return _window(instant(as_of, config.timezone), config)


def latest_window(newest_us: int, config: Config) -> Window:
    """The window that ends at the midnight, in the configured zone, after the newest row."""
    zone = ZoneInfo(config.timezone)
    day = (EPOCH + dt.timedelta(microseconds=newest_us)).astimezone(zone).date() + dt.timedelta(days=1)
    return _window(instant(day, config.timezone), config)


def _window(as_of: dt.datetime, config: Config) -> Window:
    return Window(as_of, config.history_window.start(as_of))
