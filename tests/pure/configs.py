"""Small configurations, changed in one place at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from segengine.config import Config, parse
from segengine.errors import ConfigError

FOLDER = Path("/shop")

TABLES: dict[str, Any] = {
    "transactions": {"path": "lines", "columns": {"customer_id": "id", "ordered_at": "at", "amount": "price"}}
}
CUSTOMERS: dict[str, Any] = {"path": "people", "columns": {"customer_id": "id"}, "attributes": ["country", "plan"]}
MINIMAL: dict[str, Any] = {"name": "shop", "tables": TABLES, "output": {"path": "out"}}


def config(**changes: object) -> Config:
    return parse(yaml.safe_dump({**MINIMAL, **changes}), folder=FOLDER, environ={})


def lines(**changes: object) -> dict[str, Any]:
    return {"transactions": {**TABLES["transactions"], **changes}}


def people(**changes: object) -> dict[str, Any]:
    return {**TABLES, "customers": {**CUSTOMERS, **changes}}


def refused(text: str | None = None, *, environ: dict[str, str] | None = None, **changes: object) -> str:
    """The message that this configuration is refused with."""
    text = text if text is not None else yaml.safe_dump({**MINIMAL, **changes})
    with pytest.raises(ConfigError) as caught:
        parse(text, file="shop.yaml", folder=FOLDER, environ=environ or {})
    return str(caught.value)
