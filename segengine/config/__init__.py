"""One YAML file becomes one frozen, fully checked `Config`; nothing here starts Spark."""

from __future__ import annotations

from segengine.config.cards import Names, RfmGrid
from segengine.config.loading import load, parse, with_as_of, with_places
from segengine.config.models import Config, Features, Lanes, Output, Prepare, Quality, Retrain, Segments, Tracking
from segengine.config.reference import json_schema
from segengine.config.rules import DEFAULT_FAMILIES, FAMILIES
from segengine.config.sources import (
    CUSTOMER_ROLES,
    LINE_ROLES,
    CsvOptions,
    CustomersTable,
    JdbcOptions,
    Tables,
    TableSource,
    TransactionsTable,
)
from segengine.config.times import History

__all__ = [
    "CUSTOMER_ROLES",
    "DEFAULT_FAMILIES",
    "FAMILIES",
    "LINE_ROLES",
    "Config",
    "CsvOptions",
    "CustomersTable",
    "Features",
    "History",
    "JdbcOptions",
    "Lanes",
    "Names",
    "Output",
    "Prepare",
    "Quality",
    "Retrain",
    "RfmGrid",
    "Segments",
    "TableSource",
    "Tables",
    "Tracking",
    "TransactionsTable",
    "json_schema",
    "load",
    "parse",
    "with_as_of",
    "with_places",
]
