"""Split rows into good ones and rejected ones with a reason, and account for every row and all money."""

from segengine.contract.customers import CheckedCustomers, check_customers
from segengine.contract.quality import LineTotals, QualityRow, complete, reconcile
from segengine.contract.transactions import CheckedLines, check_transactions, line_totals
from segengine.contract.values import canonical_id

__all__ = [
    "CheckedCustomers",
    "CheckedLines",
    "LineTotals",
    "QualityRow",
    "canonical_id",
    "check_customers",
    "check_transactions",
    "complete",
    "line_totals",
    "reconcile",
]
