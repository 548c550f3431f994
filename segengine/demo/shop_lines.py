"""Turns a slice of customers of a make-believe shop into order lines; runs on executors with numpy and pyarrow alone.

Every choice is a hash of (seed, customer, order, line, what is chosen): the lines of a customer do not depend on the
other customers, on how they are cut into slices, or on how many days are generated.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from segengine.demo import chance
from segengine.demo.shop_orders import Orders, kinds_by_day, months_of, orders_of, types_of
from segengine.demo.shop_types import CATEGORIES, FAMILY_NAMES, GIVEN_NAMES, OPENS_AT_HOUR, hour_weights

if TYPE_CHECKING:
    from segengine.demo.shop import Shop

__all__ = ["customers_table", "lines_table", "truth_table"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Lines = dict[str, Integers]
"""Lines: customer, order, line, time_us (since the start), product, quantity, cents, web (0 or 1)."""

PRODUCTS = 24
"""Products of a category, each at its own price."""
PRICES = np.round(np.geomspace(0.49, 149.0, PRODUCTS), 2)
"""Prices of a category's products; a customer with dear baskets picks dear ones."""
ORDER_SPREAD, LINE_SPREAD = 0.20, 0.45
"""Standard deviations of the log of values of a customer's orders, and of an order's lines."""
ORDERS_LIMIT = 500_000
"""Numbers of orders of one customer; returned orders are numbered from here on where ids are integers."""
DAY_US = 86_400_000_000
BEFORE_1900 = dt.datetime(1899, 12, 30)  # noqa: DTZ001 - wall clock; what spreadsheets make of an empty date
FAR_AHEAD = dt.datetime(2099, 12, 31)  # noqa: DTZ001 - wall clock; "never" in many systems


def lines_table(shop: Shop, numbers: Integers) -> pa.Table:
    """All lines of the customers with these numbers, in the columns of `shop.lines_schema`."""
    orders = orders_of(shop, numbers)
    lines = _lines(shop, orders)
    if shop.returns:
        lines = _with_returns(shop, lines)
    table = _table(shop, lines)
    return _with_dirt(shop, lines, table) if shop.dirt else table


def customers_table(shop: Shop, numbers: Integers) -> pa.Table:
    """One row a customer: what the shop knows of it."""

    def pick(purpose: str, values: tuple[str, ...]) -> pa.Array:
        places = (chance.uniform(shop.seed, purpose, numbers) * len(values)).astype(np.int64)
        return pa.array(values).take(pa.array(places))

    age = 18 + np.floor(70 * chance.uniform(shop.seed, "age", numbers) ** 1.4).astype(np.int64)
    names = pc.binary_join_element_wise(pick("given", GIVEN_NAMES), pick("family", FAMILY_NAMES), " ")
    return pa.table(
        {
            "customer_id": _customer_ids(shop, numbers),
            "name": names,
            "country": pick("country", ("DE", "DE", "DE", "AT", "CH", "FR")),
            "newsletter": pa.array(chance.uniform(shop.seed, "letter", numbers) < 0.4),
            "age": pa.array(age),
            "consent": pa.array(chance.uniform(shop.seed, "consent", numbers) >= shop.opted_out),
        }
    )


def truth_table(shop: Shop, numbers: Integers) -> pa.Table:
    """One row a customer: its id and the name of its true segment at the end of the days."""
    last = np.array([kinds[-1] for kinds in kinds_by_day(shop)])
    named = pa.array([kind.name for kind in shop.segments])
    kinds = types_of(shop, numbers)
    now = np.where(last[kinds] >= 0, last[kinds], kinds)  # who has stopped buying keeps its name
    return pa.table({"customer_id": _customer_ids(shop, numbers), "true_segment": named.take(pa.array(now))})


def _lines(shop: Shop, orders: Orders) -> Lines:
    seed = shop.seed
    size = np.zeros(len(orders.customer), dtype=np.int64)
    for place, kind in enumerate(shop.segments):
        mine = orders.kind == place
        more = max(kind.lines_per_order - 1.0, 0.0)
        size[mine] = 1 + chance.poisson(more, seed, "lines", orders.customer[mine], orders.order[mine])
    second = _second_of_day(seed, orders)
    at = np.repeat(np.arange(len(size)), size)
    line = np.arange(len(at)) - np.repeat(np.cumsum(size) - size, size)
    customer, order, kind_at, day = orders.customer[at], orders.order[at], orders.kind[at], orders.day[at]
    category = _category(shop, kind_at, chance.uniform(seed, "category", customer, order, line))
    quantity = 1 + (chance.uniform(seed, "quantity", customer, order, line) ** 4 * 4).astype(np.int64)
    month = months_of(shop)[day]
    wanted = _wanted_value(shop, customer, order, line, kind_at, month) / quantity
    product = np.clip(np.searchsorted(np.log(PRICES[:-1] * PRICES[1:]) / 2, np.log(wanted)), 0, PRODUCTS - 1)
    cents = np.rint(PRICES[product] * 100 * (1.0 + shop.inflation) ** month).astype(np.int64)
    web = np.array([kind.web_share for kind in shop.segments])[orders.kind]
    return {
        "customer": customer,
        "order": order,
        "line": line,
        "time_us": day * DAY_US + second[at] * 1_000_000,
        "product": category * PRODUCTS + product,
        "quantity": quantity,
        "cents": cents * quantity,
        "web": (chance.uniform(seed, "web", orders.customer, orders.order) < web)[at].astype(np.int64),
    }


def _second_of_day(seed: int, orders: Orders) -> Integers:
    place = chance.uniform(seed, "hour", orders.customer, orders.order)
    hour = np.searchsorted(np.cumsum(hour_weights())[:-1], place, side="right")
    within = (chance.uniform(seed, "second", orders.customer, orders.order) * 3600).astype(np.int64)
    return np.asarray((OPENS_AT_HOUR + hour) * 3600 + within, dtype=np.int64)


def _category(shop: Shop, kinds: Integers, chances: Floats) -> Integers:
    limits = np.cumsum([[kind.categories.get(name, 1.0) for name in CATEGORIES] for kind in shop.segments], axis=1)
    limits = (limits / limits[:, -1:])[:, :-1] + np.arange(len(limits))[:, None]  # each type's on a unit of its own
    return np.asarray(np.searchsorted(limits.ravel(), chances + kinds, side="right") - kinds * limits.shape[1])


def _wanted_value(
    shop: Shop, customer: Integers, order: Integers, line: Integers, kinds: Integers, months: Integers
) -> Floats:
    """Value that each line should have, in units of currency: the type's mean, varied by customer, order and line."""
    types = shop.segments
    mean = np.array([kind.basket_value / max(kind.lines_per_order, 1.0) for kind in types])[kinds]
    growth = (1.0 + np.array([kind.value_growth for kind in types])[kinds]) ** months
    own = np.array([kind.spread for kind in types])[kinds] * chance.normal(shop.seed, "value", customer)
    by_order = ORDER_SPREAD * chance.normal(shop.seed, "basket", customer, order)
    by_line = LINE_SPREAD * chance.normal(shop.seed, "price", customer, order, line)
    bias = (ORDER_SPREAD**2 + LINE_SPREAD**2) / 2  # of the mean of a log-normal number
    wanted: Floats = mean * growth * np.exp(own + by_order + by_line - bias)
    return wanted


def _with_returns(shop: Shop, lines: Lines) -> Lines:
    """Some lines come back within a fortnight, as lines of a return: quantity and amount are negative."""
    keys = (lines["customer"], lines["order"], lines["line"])
    days = 1 + (14 * chance.uniform(shop.seed, "back", *keys)).astype(np.int64)
    time_us = lines["time_us"] + days * DAY_US
    back = (chance.uniform(shop.seed, "return", *keys) < shop.returns) & (time_us < shop.days * DAY_US)
    again = {name: column[back] for name, column in lines.items()}
    again["order"] += ORDERS_LIMIT
    again["time_us"] = time_us[back]
    again["quantity"] *= -1
    again["cents"] *= -1
    return {name: np.concatenate([column, again[name]]) for name, column in lines.items()}


def _table(shop: Shop, lines: Lines) -> pa.Table:
    start_us = int(np.datetime64(shop.start, "us").astype(np.int64))
    category = lines["product"] // PRODUCTS
    names = pa.array(CATEGORIES).take(pa.array(category))
    number = pc.utf8_lpad(pc.cast(pa.array(lines["product"] % PRODUCTS), pa.string()), 2, "0")
    columns = [
        _customer_ids(shop, lines["customer"]),
        _order_ids(shop, lines["customer"], lines["order"]),
        pa.array(lines["line"], pa.int32()),
        pa.array(lines["time_us"] + start_us, pa.int64()).cast(pa.timestamp("us")),
        pc.binary_join_element_wise(names, number, " "),
        names,
        pa.array(lines["quantity"], pa.int64()),
        pa.array(lines["cents"] / 100.0, pa.float64()),
        pa.array(["store", "web"]).take(pa.array(lines["web"])),
    ]
    return pa.table(columns, schema=shop.lines_schema)


def _customer_ids(shop: Shop, numbers: Integers) -> pa.Array:
    if shop.ids == "integer":
        return pa.array(numbers, pa.int64())
    return pc.binary_join_element_wise("K", pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), 7, "0"), "")


def _order_ids(shop: Shop, numbers: Integers, orders: Integers) -> pa.Array:
    if shop.ids == "integer":
        return pa.array(numbers * (2 * ORDERS_LIMIT) + orders, pa.int64())
    letter = pa.array(["B", "R"]).take(pa.array(orders // ORDERS_LIMIT))
    customer = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), 7, "0")
    order = pc.utf8_lpad(pc.cast(pa.array(orders % ORDERS_LIMIT), pa.string()), 4, "0")
    return pc.binary_join_element_wise(pc.binary_join_element_wise(letter, customer, ""), order, "-")


def _with_dirt(shop: Shop, lines: Lines, table: pa.Table) -> pa.Table:
    """A share `dirt` of lines loses its id; as many lose the amount, get an impossible time, or are there twice.

    A line has at most one of the first three faults.
    """
    keys = (lines["customer"], lines["order"], lines["line"])
    where = chance.uniform(shop.seed, "dirt", *keys)
    dirt = shop.dirt

    def replaced(name: str, bad: NDArray[np.bool_], value: pa.Scalar) -> None:
        nonlocal table
        place = table.schema.get_field_index(name)
        column = pc.if_else(pa.array(bad), value, table[name])
        table = table.set_column(place, table.schema.field(place), column)

    replaced("customer_id", where < dirt, pa.scalar(None, table.schema.field("customer_id").type))
    replaced("amount", (where >= dirt) & (where < 2 * dirt), pa.scalar(None, pa.float64()))
    for turn, value in enumerate((None, BEFORE_1900, FAR_AHEAD)):
        low, high = (2 + turn / 3) * dirt, (2 + (turn + 1) / 3) * dirt
        replaced("ordered_at", (where >= low) & (where < high), pa.scalar(value, pa.timestamp("us")))
    twice = chance.uniform(shop.seed, "twice", *keys) < dirt
    return pa.concat_tables([table, table.filter(pa.array(twice))]).combine_chunks()
