"""Sums of customers, of one part or several, to one row a customer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segengine.features.kernel.arrays import (
    MISSING,
    NEVER,
    Integers,
    added,
    by_pair_in_order,
    changes,
    counted,
    exact_sums,
    together,
)
from segengine.features.kernel.fold import spend_by_category
from segengine.features.kernel.measure import Measured
from segengine.features.kernel.plan import RHYTHM, SUMS, Plan


def merged(parts: Sequence[Measured]) -> Measured:
    """Measures of parts that have no order in common, as those of one."""
    if len(parts) == 1:
        return parts[0]
    ids = pa.concat_arrays([part.ids for part in parts]).dictionary_encode()
    codes = np.split(ids.indices.to_numpy().astype(np.int64), np.cumsum([len(part.ids) for part in parts])[:-1])
    customers = len(ids.dictionary)
    days = together([(code[part.days[0]], *part.days[1:]) for part, code in zip(parts, codes, strict=True)])
    found = Measured(
        ids=ids.dictionary,
        sums={name: np.zeros(customers, dtype=np.int64) for name in parts[0].sums},
        first_us=np.full(customers, NEVER),
        last_us=np.full(customers, MISSING),
        days=(days[0], days[1], days[2]),
        spend={},
    )
    for part, code in zip(parts, codes, strict=True):
        for name, values in part.sums.items():
            found.sums[name][code] = added(found.sums[name][code], values)
        found.first_us[code] = np.minimum(found.first_us[code], part.first_us)
        found.last_us[code] = np.maximum(found.last_us[code], part.last_us)
    for mix in parts[0].spend:
        spends = [part.spend[mix] for part in parts]
        values = pa.concat_arrays([values for _, values, _ in spends]).dictionary_encode()
        pairs = [(code[position], money) for code, (position, _, money) in zip(codes, spends, strict=True)]
        position, money = together(pairs)
        value = values.indices.to_numpy().astype(np.int64)
        found.spend[mix] = spend_by_category(position, value, money, values.dictionary)
    return found


def finished(found: Measured, plan: Plan) -> pa.Table:
    """One row a customer: customer_id, SUMS, first_us and last_us (null without a purchase), RHYTHM, and the mixes."""
    columns: dict[str, pa.Array] = {"customer_id": found.ids}
    columns |= {name: pa.array(found.sums[name]) for name in SUMS}
    columns["first_us"] = pa.array(found.first_us, mask=found.first_us == NEVER)
    columns["last_us"] = pa.array(found.last_us, mask=found.last_us == MISSING)
    if plan.rhythm:
        columns |= {name: pa.array(values) for name, values in _rhythm(*found.days, len(found.ids)).items()}
    columns |= {mix: _lists(*spend, len(found.ids)) for mix, spend in found.spend.items()}
    return pa.table(columns)


def _rhythm(position: Integers, day: Integers, money: Integers, customers: int) -> dict[str, Integers]:
    """Gaps between different days with an order, different months with one, and what was bought on the first day."""
    by = by_pair_in_order(position, day)
    position, day = position[by], day[by]
    different = np.flatnonzero(changes(position) | changes(day))
    position, day, money = position[different], day[different], exact_sums(money[by], different)
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    new_customer = changes(position)
    gap = np.where(new_customer, 0, np.diff(day, prepend=day[:1]))
    starts = np.flatnonzero(new_customer)
    values = {
        "gaps": counted(~new_customer),
        "gap_days": gap,
        "gap_days_squared": gap * gap,
        "order_months": counted(new_customer | changes(month)),
        "first_day_e4": np.where(new_customer, money, 0),
    }
    found = {name: np.zeros(customers, dtype=np.int64) for name in RHYTHM}
    for name, of_days in values.items():
        found[name][position[starts]] = exact_sums(of_days, starts)
    return found


def _lists(position: Integers, names: pa.Array, money: Integers, customers: int) -> pa.Array:
    """list<struct<value, amount_e4>> of each customer, sorted by the bytes of the value; null without one."""
    rank = np.argsort(np.argsort(np.array([str(name).encode() for name in names.unique().to_pylist()], dtype=object)))
    code = rank[names.dictionary_encode().indices.to_numpy()] if len(names) else np.zeros(0, dtype=np.int64)
    by = np.lexsort((code, position))
    entries = pa.StructArray.from_arrays(
        [names.take(pa.array(by)), pa.array(np.maximum(money[by], 0))], ["value", "amount_e4"]
    )
    ends = np.searchsorted(position[by], np.arange(customers + 1)).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(ends), entries)
    empty = pa.array(np.diff(ends) == 0)
    return pc.if_else(empty, pa.scalar(None, lists.type), lists)
