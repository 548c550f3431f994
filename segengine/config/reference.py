"""The configuration described for machines and people: a JSON schema, and docs/config.md."""

from __future__ import annotations

from typing import Any

from segengine.config.models import Config

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """The JSON schema of a configuration."""
    return Config.model_json_schema()
