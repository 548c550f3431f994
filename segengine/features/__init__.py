"""One row of numbers per customer: which features there are, how they are computed, and how they are prepared.

Importing this package imports no pyspark: what needs it is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from segengine.features.catalog import CATALOG, Attributes, Chosen, Feature
from segengine.features.choose import choose
from segengine.features.names import attribute_columns

if TYPE_CHECKING:
    from segengine.features.aggregate import CustomerRows, customer_rows
    from segengine.features.customer_totals import FeatureTotals, LaneTotal, size_warnings, totals
    from segengine.features.people import customers_only_rows, moment

__all__ = [
    "CATALOG",
    "Attributes",
    "Chosen",
    "CustomerRows",
    "Feature",
    "FeatureTotals",
    "LaneTotal",
    "attribute_columns",
    "choose",
    "customer_rows",
    "customers_only_rows",
    "moment",
    "size_warnings",
    "totals",
]

_LATE = {
    "CustomerRows": "aggregate",
    "customer_rows": "aggregate",
    "customers_only_rows": "people",
    "moment": "people",
    "FeatureTotals": "customer_totals",
    "LaneTotal": "customer_totals",
    "size_warnings": "customer_totals",
    "totals": "customer_totals",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
