"""Sums that leave 64 bits raise in Spark; here they get a message that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from segengine.errors import InputError

__all__ = ["clear_overflow"]


@contextmanager
def clear_overflow() -> Iterator[None]:
    """Turn Spark's arithmetic overflow, whichever class carries it, into InputError; let everything else pass."""
    try:
        yield
    except Exception as error:
        if "ARITHMETIC_OVERFLOW" not in str(error):
            raise
        raise InputError(
            "transactions: amounts or quantities add up to more than can be counted exactly "
            "(9.2e14 currency units, 9.2e12 items).",
            where="tables.transactions.columns: amount, quantity",
            todo="Look for placeholder amounts such as 999999999999; reject them under tables.transactions.rules.",
        ) from error
