"""What the kernel is told and what it says: the plan of a run, kinds of lines, names of measures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segengine.features.kernel.arrays import Integers

SALE, RETURN, IGNORED, DROPPED_RETURN, BEFORE_HISTORY, REJECTED, HOUSE = range(7)
"""What a line is: used purchase; used return; ignored; ignored because it is a return; before the history window;
rejected; the stand-in of an ignored customer."""

SUMS = (
    "lines_used",
    "lines_ignored",
    "lines_rejected",
    "lines_before_history",
    "before_history_e4",
    "duplicates",
    "duplicates_e4",
    "house_lines",
    "revenue_e4",
    "purchased_e4",
    "lines_purchased",
    "quantity_millionths",
    "quantities",
    "products",
    "last_e4",
    "previous_e4",
    "lines_returned",
    "returned_e4",
    "orders",
    "orders_returned",
    "orders_touched",
    "last_orders",
    "previous_orders",
    "orders_discounted",
    "discount_e4",
    "weekend_orders",
    "morning_orders",
    "evening_orders",
    "night_orders",
)
"""Measures that add up. Money is in 1/10,000 of the currency unit; `quantities` counts the lines whose
quantity is summed."""

RHYTHM = ("gaps", "gap_days", "gap_days_squared", "order_months", "first_day_e4")


@dataclass(frozen=True)
class Plan:
    """What to measure. Moments are microseconds since 1970; `offsets_us` of the zone hold from `changes_us` on."""

    last_us: int
    previous_us: int
    window_start_us: int | None
    drop_duplicates: bool
    quantity: bool
    products: bool
    rhythm: bool
    discount: bool
    mixes: tuple[tuple[str, str], ...]
    """Columns of lines and what the money spent on their values is called: (category, categories)."""
    changes_us: Integers
    offsets_us: Integers
    by_day: bool = False
    """Orders are cut at the midnights of the zone, for windows that are not known yet; else at `cuts_us`."""
    lines_in_memory: int = 2_000_000

    @property
    def cuts_us(self) -> Integers:
        """The moments at which windows begin, in order."""
        start = () if self.window_start_us is None else (self.window_start_us,)
        return np.unique(np.array([*start, self.previous_us, self.last_us], dtype=np.int64))
