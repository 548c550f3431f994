"""When each customer of a make-believe shop buys: a renewal process each, in a time that runs with the seasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segengine.demo import chance
from segengine.demo.shop_types import CustomerType, season

if TYPE_CHECKING:
    from segengine.demo.shop import Shop

__all__ = ["Orders", "kinds_by_day", "months_of", "orders_of", "types_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def types_of(shop: Shop, numbers: Integers) -> Integers:
    """The type of each customer, as its place in `shop.segments`.

    Multiples of the golden ratio spread the types evenly: their shares are met to one customer or so at any size.
    """
    first = chance.uniform(shop.seed, "types")[0]
    places = ((numbers + 1) * 0.6180339887498949 + first) % 1.0
    shares = np.array([kind.share for kind in shop.segments])
    return np.asarray(np.searchsorted(np.cumsum(shares / shares.sum())[:-1], places, side="right"), dtype=np.int64)


@dataclass(frozen=True)
class Orders:
    """Orders of a slice of customers, one entry of each array an order."""

    customer: Integers
    order: Integers
    """Number of the order among the customer's."""
    day: Integers
    """Days since the start."""
    kind: Integers
    """What the customer is on that day: a place in `shop.segments`."""


def months_of(shop: Shop) -> Integers:
    """Calendar months since the start's month, of each day, shape (days,)."""
    dates = np.datetime64(shop.start, "D") + np.arange(shop.days)
    months = dates.astype("datetime64[M]").astype(np.int64)
    return months - np.datetime64(shop.start, "M").astype(np.int64)


def kinds_by_day(shop: Shop) -> list[Integers]:
    """For each type, what its customers are on each day: a place in `shop.segments`, or -1 while they buy nothing."""
    months = months_of(shop)
    places = {kind.name: place for place, kind in enumerate(shop.segments)}
    answer = []
    for place, kind in enumerate(shop.segments):
        now = np.full(shop.days, place, dtype=np.int64)
        if kind.name in shop.appears:
            now[months < shop.appears[kind.name]] = -1
        if kind.name in shop.vanishes:
            into = places[shop.vanish_into] if shop.vanish_into is not None else -1
            now[months >= shop.vanishes[kind.name]] = into
        answer.append(now)
    return answer


def _pace(shop: Shop, kinds: Integers) -> Floats:
    """Orders expected before each day's beginning of one customer, shape (days + 1,)."""
    months = months_of(shop)
    pace = np.zeros(shop.days)
    for place, kind in enumerate(shop.segments):
        mine = kinds == place
        if mine.any():
            factors = (
                season(shop.start, shop.days, kind.seasonality * shop.seasons) * (1.0 + kind.orders_growth) ** months
            )
            pace[mine] = factors[mine] / kind.days_between_orders
    return np.concatenate([[0.0], np.cumsum(pace)])


def orders_of(shop: Shop, numbers: Integers) -> Orders:
    parts = []
    types = types_of(shop, numbers)
    for place, kinds in enumerate(kinds_by_day(shop)):
        mine = numbers[types == place]
        if len(mine):
            customer, order, day = _orders_of_type(shop, shop.segments[place], mine, _pace(shop, kinds))
            parts.append((customer, order, day, kinds[day]))
    customer, order, day, kind = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Orders(customer, order, day, kind)


def _orders_of_type(
    shop: Shop, kind: CustomerType, numbers: Integers, pace: Floats
) -> tuple[Integers, Integers, Integers]:
    """Customer, number of the order, and day of every order of customers of one type.

    Gaps are gamma distributed in a time that runs as fast as the season says, so both gaps and seasons come out right.
    """
    seed = shop.seed
    own = np.exp(kind.spread * chance.normal(seed, "rate", numbers))
    first = _days_between(kind.joins or (0, 0), chance.uniform(seed, "joins", numbers))
    last = (
        _days_between(kind.leaves, chance.uniform(seed, "leaves", numbers))
        if kind.leaves
        else np.full(len(numbers), shop.days)
    )
    before = pace[np.minimum(first, shop.days)]
    expected = float(((pace[-1] - before) * own).max())
    count = int(expected + 8.0 * np.sqrt(expected) + 12.0)
    while True:
        steps = np.zeros((len(numbers), count))
        for turn in range(kind.regularity):
            steps += chance.exponential(seed, f"gap{turn}", numbers[:, None], np.arange(count)[None, :])
        steps[:, 0] *= chance.uniform(seed, "phase", numbers)
        spent = np.cumsum(steps / kind.regularity, axis=1) / own[:, None] + before[:, None]
        if (spent[:, -1] >= pace[-1]).all():
            break
        count *= 2
    days = np.searchsorted(pace, spent.ravel(), side="right").reshape(spent.shape) - 1
    who, order = np.nonzero(days < np.minimum(last, shop.days)[:, None])
    return numbers[who], order.astype(np.int64), days[who, order].astype(np.int64)


def _days_between(limits: tuple[int, int], chances: Floats) -> Integers:
    low, high = limits
    return np.floor(low + (high - low + 1) * chances).astype(np.int64)
