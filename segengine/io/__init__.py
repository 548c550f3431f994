"""Bring tables in and put small files out; decide nothing about what a row means."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from segengine.io.failures import explain_read_failure
from segengine.io.source import Source, SourceFacts

if TYPE_CHECKING:
    from segengine.io.read import check_encoding, check_rows_read, read_table

__all__ = ["Source", "SourceFacts", "check_encoding", "check_rows_read", "explain_read_failure", "read_table"]


def __getattr__(name: str) -> Any:
    """Readers are imported on first use: small files and errors do without pyspark."""
    if name in __all__:
        return getattr(import_module("segengine.io.read"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
