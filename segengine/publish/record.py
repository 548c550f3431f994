"""What a publication is: its id, where its tables are, and its form as JSON."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from segengine.tables import PUBLICATIONS

__all__ = ["GOLD", "Checkpoint", "Publication", "publications_row"]

GOLD = "gold"

Checkpoint = Callable[[str], None]
"""Told the name of each step that has just been taken; tests break publishing there."""


@dataclass(frozen=True)
class Publication:
    """A publication. Times are aware UTC; `folder` (Parquet) is relative to `gold`, `table_versions` are Delta's."""

    publication_id: str
    run_id: str
    format: str
    published_at: dt.datetime
    as_of: dt.datetime
    model_version: str
    folder: str | None = None
    table_versions: Mapping[str, int] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    """Parquet: publications that can still be read, newest first."""

    def as_json(self) -> dict[str, Any]:
        return {
            "publication_id": self.publication_id,
            "folder": self.folder,
            "published_at": self.published_at.isoformat(),
            "run_id": self.run_id,
            "format": self.format,
            "as_of": self.as_of.isoformat(),
            "model_version": self.model_version,
            "table_versions": dict(self.table_versions),
            "kept": list(self.kept),
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> Publication:
        """ValueError, KeyError or TypeError when the text is not what `as_json` made."""
        data = json.loads(text)
        times = {name: dt.datetime.fromisoformat(data[name]) for name in ("published_at", "as_of")}
        return cls(**{**data, **times, "kept": tuple(data["kept"])})


def publications_row(publication: Publication) -> pa.Table:
    """The row of the table `publications` that tells of this one."""
    from segengine.publish.shape import conform_rows

    versions = publication.folder if publication.format == "parquet" else json.dumps(dict(publication.table_versions))
    row = {
        "run_id": publication.run_id,
        "published_at": publication.published_at,
        "as_of": publication.as_of,
        "model_version": publication.model_version,
        "format": publication.format,
        "table_versions": versions,
    }
    return conform_rows([row], PUBLICATIONS, 0, publication.publication_id)
