"""Customers as they are handed to the scorer, one or a table of them, as columns of numbers and texts; numpy only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segengine.errors import InputError

__all__ = ["as_columns", "as_numbers", "as_texts"]


def as_columns(customers: Any, names: Iterable[str]) -> tuple[dict[str, NDArray[Any]], bool]:
    """The columns `names` of `customers`, equally long, and whether it was a single customer.

    `customers`: a mapping of values (one customer) or of sequences, or a table of pyarrow, pandas or polars. Columns
    beyond `names` are not looked at. Raises InputError: a column is missing, lengths differ, or it is none of these.
    """
    found = _names(customers)
    wanted = list(names)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise _missing(missing, found)
    values = {name: customers[name] for name in wanted}
    single = isinstance(customers, Mapping) and not any(_is_sequence(value) for value in values.values())
    if single:
        return {name: _of_one(value) for name, value in values.items()}, True
    columns = {}
    for name, value in values.items():
        if not _is_sequence(value):
            raise InputError(
                "Values of one customer and columns of many are mixed.",
                where=f"feature '{name}'",
                found=_shown(value),
                todo="Hand over one customer as a dict of values, or many as a dict of equally long columns.",
            )
        columns[name] = _array(value)
        if columns[name].ndim != 1:
            raise InputError(
                "A column has more than one dimension.",
                where=f"feature '{name}'",
                found=str(columns[name].shape),
                todo="Give one value a customer.",
            )
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(
            "The columns are not equally long.",
            found=", ".join(f"{name}: {n:,}" for name, n in lengths.items()),
            todo="Give one value a customer in every column.",
        )
    return columns, False


def as_numbers(name: str, column: NDArray[Any]) -> NDArray[np.float64]:
    """A column as 64-bit floats; None, NaN and pandas' NA are missing (NaN). InputError for texts, times and such."""
    if column.dtype.kind in "fiub":
        return column.astype(np.float64, copy=False)
    if column.dtype.kind == "O":
        wrong = next((value for value in column if isinstance(value, (str, bytes))), None)
        if wrong is not None:
            raise _not(name, "a number", wrong)
        try:
            return column.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            return np.array([_number(name, value) for value in column], dtype=np.float64)
    raise _not(name, "a number", column[0] if len(column) else column.dtype)


def as_texts(name: str, column: NDArray[Any]) -> list[str | None]:
    """A column as texts, missing ones None. Whole numbers and booleans are written as Spark writes them."""
    plain: list[Any] = column.tolist()
    if all(type(value) is str or value is None for value in plain):
        return plain
    return [_text(name, value) for value in plain]


def _names(customers: Any) -> list[str]:
    if isinstance(customers, Mapping):
        return [str(name) for name in customers]
    for attribute in ("column_names", "columns"):  # pyarrow's table; pandas and polars
        names = getattr(customers, attribute, None)
        if names is not None and not callable(names) and all(isinstance(name, str) for name in names):
            return list(names)
    schema = getattr(customers, "schema", None)  # pyarrow's record batch
    if schema is not None and hasattr(schema, "names"):
        return list(schema.names)
    raise InputError(
        "Customers must be a dict or a table.",
        found=type(customers).__name__,
        todo="Hand over a dict of values, a dict of columns, or a table of pyarrow, pandas or polars.",
    )


def _is_sequence(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes, Mapping)) and getattr(value, "ndim", 1) > 0


def _of_one(value: Any) -> NDArray[Any]:
    column = np.empty(1, dtype=object)
    column[0] = value.item() if isinstance(value, np.generic | np.ndarray) else value
    return column


def _array(value: Any) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray):
        plain: NDArray[Any] = np.ma.getdata(value).astype(object)
        plain[np.ma.getmaskarray(value)] = None
        return plain
    if isinstance(value, (list, tuple)) and any(isinstance(one, str) for one in value):
        return np.array(value, dtype=object)  # numpy would make texts of the numbers among them
    try:
        return np.asarray(value)
    except ValueError:  # lists of unequal length in it
        return np.empty((0, 0))


def _is_na(value: Any) -> bool:
    """None, and what pandas has for it, which this room does not import."""
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _number(name: str, value: Any) -> float:
    if _is_na(value):
        return np.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _not(name, "a number", value) from error


def _text(name: str, value: Any) -> str | None:
    if _is_na(value) or value != value:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return str(value)
    raise _not(name, "a text", value)


def _not(name: str, what: str, value: object) -> InputError:
    return InputError(
        f"Feature '{name}' is not {what}.",
        where=f"feature '{name}'",
        found=_shown(value),
        todo="Hand over the value that the customer's row of features has, or None where there is none.",
    )


def _missing(missing: list[str], found: list[str]) -> InputError:
    near = get_close_matches(missing[0], found, n=1)
    hint = f" Is '{near[0]}' meant to be '{missing[0]}'?" if near else ""
    return InputError(
        f"{len(missing)} of the model's features {'is' if len(missing) == 1 else 'are'} missing.",
        where=", ".join(missing),
        found=f"columns: {', '.join(found[:30]) or 'none'}",
        todo=f"Hand over every feature of the model, None where the customer has no value.{hint}",
    )


def _shown(value: object) -> str:
    """A kind of value: what it holds may be a customer's."""
    return f"a value of type {type(value).__name__}"
