"""The catalog of features as a page of documentation: `python -m segengine.features.reference > docs/features.md`."""

from __future__ import annotations

from collections.abc import Iterable

from segengine.config import DEFAULT_FAMILIES, FAMILIES
from segengine.features.catalog import CATALOG, MEASURES, Feature

__all__ = ["markdown"]

_OPENING = """\
# Features

Generated from `segengine/features/catalog.py` by `python -m segengine.features.reference > docs/features.md`.

One row of features per customer, from the lines in `[as_of - history, as_of)`. Choose families or single features
under `features.include` and take some out again with `features.exclude`. What the tables cannot support is left out,
and the run says so. Days are counted in the configured `timezone`. Only used lines count, except for returns, which
count in the family `returns` whether `quality.returns` uses them (`net`) or drops them.

With `returns: net` a return line takes its money off `monetary_total`, `average_order_value` and the money trend, but
is no purchase: it makes no order, and touches no date, item, product or category. A customer can end below zero.
"""

_CLOSING = """\
### category_mix and channel_mix, shares

`share_<category>`: share of the category, of the spend in all categories (0 to 1), for each of the
`features.top_categories` categories with most spend over all customers when the model is trained; ties by name. A
saved model keeps its categories. `channel_share_<channel>` and `features.top_channels` likewise.

### clv

A transaction is a day with an order. BG/NBD and Gamma-Gamma are fitted by maximum likelihood when a model is trained,
on at most 50,000 customers (those with the smallest hash of their id), and a saved model keeps the parameters. Fewer
than 50 customers with a second day of orders stop the run.

`segment_kpis` has what they add up to for each segment: days with an order to be expected in the next 90 days, and
money to be expected in the next 365. A customer in a lane has a value of its own in `assignments`. To have these
figures without segmenting by them, give the family no weight: `prepare: {weights: {rfm: 1, others: 0.5, clv: 0}}`.

### attributes

`attributes` takes all of `tables.customers.attributes`, `attributes.<name>` one of them; numbers as they are,
everything else as a category. Attributes in `protected` are never features.

### custom

    features:
      custom: {night_share: "avg(cast(hour(ordered_at) >= 22 as int))"}

A SQL aggregate over the used lines of one customer, with a number as its value. Columns: `ordered_at`, `order_id`,
`amount` (decimal), `is_return`, and where they are mapped `quantity` (decimal), `product`, `category`, `channel`,
`discount` (decimal). Nothing that
differs from run to run (`rand`, `now`), nothing that depends on the order of rows (`last`; there is `max_by`), no
subqueries.

## Measures

What the expressions above are made of; every sum is an exact integer.

| measure | meaning |
|---|---|
"""


def markdown() -> str:
    """The page, with one table per family."""
    families = [family for family in FAMILIES if any(feature.family == family for feature in CATALOG)]
    parts = [_OPENING]
    for family in families:
        mark = " (in the default)" if family in DEFAULT_FAMILIES else ""
        parts.append(f"\n### {family}{mark}\n\n" + _table(f for f in CATALOG if f.family == family) + "\n")
    measures = "\n".join(f"| {_code(names)} | {_cell(text)} |" for names, text in MEASURES)
    return "".join(parts) + "\n" + _CLOSING + measures + "\n"


def _table(features: Iterable[Feature]) -> str:
    rows = ["| feature | unit | meaning | needs | computed as |", "|---|---|---|---|---|"]
    for f in features:
        needs = ", ".join(f"`{name}`" for name in sorted(f.needs)) or "-"
        rows.append(f"| `{f.name}` | {f.unit} | {_cell(f.text)} | {needs} | `{_cell(f.expression)}` |")
    return "\n".join(rows)


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", "))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(markdown(), end="")
