"""Who buys in the make-believe shop, what, and when in the week and the year."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["CATEGORIES", "DEFAULT_TYPES", "FAMILY_NAMES", "GIVEN_NAMES", "CustomerType", "hour_weights", "season"]

CATEGORIES = (
    "Brot",
    "Käse & Milch",
    "Obst",
    "Gemüse",
    "茶 / Tee",
    "Кофе",
    "Vin rouge",
    "Haushalt",
    "Spielzeug",
    "Spécialités",
)
"""What the shop sells; names that are not ASCII, as real ones are not."""

GIVEN_NAMES = (
    "Ana",
    "Björn",
    "Chloé",
    "Дарья",
    "Εύα",
    "Fátima",
    "Giulia",
    "Hồng",
    "İpek",
    "José",
    "김민준",
    "Łukasz",
    "明",
    "Noël",
    "Søren",
    "Zoë",
)
FAMILY_NAMES = (
    "Åberg",
    "Čapek",
    "d'Angelo",
    "García",
    "Иванов",
    "Jørgensen",
    "李",
    "Müller",
    "Nguyễn",
    "O'Brien",
    "Öztürk",
    "Παππάς",
    "佐藤",
    "Şahin",
    "Smith",
    "Weiß",
)


@dataclass(frozen=True)
class CustomerType:
    """A true segment: how its customers behave. Every customer varies around it by `spread`."""

    name: str
    share: float
    """Of all customers; the shares of a shop's types are scaled to add up to 1."""
    days_between_orders: float
    basket_value: float
    """Mean of an order, in units of currency."""
    lines_per_order: float = 3.0
    """Mean; at least 1."""
    regularity: int = 2
    """Shape of the gamma distribution of the gaps: 1 is at random, 20 is like clockwork."""
    categories: Mapping[str, float] = field(default_factory=dict)
    """Weights of what is preferred; a category that is not named weighs 1."""
    web_share: float = 0.3
    """Of the orders, the rest is bought in the store."""
    joins: tuple[int, int] | None = None
    """Customers buy from a day between these two on, days since the start; from the start on when absent."""
    leaves: tuple[int, int] | None = None
    """Customers buy until a day between these two, days since the start; never stop when absent."""
    spread: float = 0.20
    """Standard deviation of the log of a customer's own rate and of its own basket value."""
    seasonality: float = 1.0
    """How far customers follow the seasons of week and year: 0 not at all, 1 as the shop does."""
    orders_growth: float = 0.0
    """Of the number of orders, a month: 0.02 is 2 % more every month, compounded."""
    value_growth: float = 0.0
    """Of the value of an order, a month."""


DEFAULT_TYPES = (
    CustomerType("devoted", 0.18, 6, 65.0, 8.0, 6, {"Brot": 4, "Obst": 4, "Gemüse": 4, "Käse & Milch": 4}, 0.15),
    CustomerType("topping up", 0.24, 12, 12.0, 2.0, 3, {"Brot": 6, "Кофе": 5}, 0.05),
    CustomerType("stocking up", 0.20, 40, 180.0, 14.0, 8, {"Haushalt": 6, "Vin rouge": 4}, 0.75),
    CustomerType("occasional", 0.20, 75, 15.0, 2.0, 5, {"Spielzeug": 6, "Spécialités": 4}, 0.40),
    CustomerType("lapsed", 0.18, 9, 55.0, 6.0, 4, {"茶 / Tee": 4, "Spécialités": 3}, 0.30, leaves=(80, 140)),
)
"""Five segments that differ in recency, frequency and value at the end of a year."""

_WEEK = np.array([0.80, 0.80, 0.85, 0.95, 1.30, 1.65, 0.65])
"""How much is bought from Monday to Sunday, around 1."""

_HOURS = np.array([2, 4, 5, 6, 8, 8, 6, 6, 7, 9, 12, 13, 9, 5], dtype=np.float64)
"""How much is bought in each hour from 7 to 20; closed at night, so no time is in the hour that summer time skips."""

OPENS_AT_HOUR = 7


def hour_weights() -> NDArray[np.float64]:
    """Share of the orders in each opening hour, the first being OPENS_AT_HOUR."""
    weights: NDArray[np.float64] = _HOURS / _HOURS.sum()
    return weights


def season(start: dt.date, days: int, strength: float = 1.0) -> NDArray[np.float64]:
    """How much more than on a mean day is bought on each day from `start` on, shape (days,); about 1 over a year.

    A wave through the year, a peak of nearly twice as much before Christmas, a quiet start of the year, closed on
    25 December. A day's number does not depend on how many are asked for.
    """
    dates = np.datetime64(start, "D") + np.arange(days)
    year = dates.astype("datetime64[Y]")
    day_of_year = (dates - year.astype("datetime64[D]")).astype(np.int64)
    month = dates.astype("datetime64[M]").astype(np.int64) % 12 + 1
    day = (dates - dates.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
    weekday = (dates.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    wave = 1.0 + 0.10 * np.cos(2.0 * np.pi * (day_of_year - 330) / 365.25)
    peak = np.where((month == 12) & (day <= 24), 1.0 + 0.9 * day / 24, 1.0)
    slump = np.where((month == 1) & (day <= 20), 0.75, 1.0)
    closed = np.where((month == 12) & (day == 25), 0.0, 1.0)
    shop = _WEEK[weekday] * wave * peak * slump * closed / 1.02  # its mean over a year
    factors: NDArray[np.float64] = 1.0 + strength * (shop - 1.0)
    return factors
