"""What a publication wrote: the facts and files that the audit trail keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segengine.io.files import Store
from segengine.publish import delta_log
from segengine.publish.record import GOLD, Publication

__all__ = ["publication_facts", "publication_files"]


def publication_facts(store: Store, publication: Publication) -> dict[str, Any]:
    """Which publication, by which model, and which ones can still be read."""
    facts: dict[str, Any] = {
        "publication_id": publication.publication_id,
        "model_version": publication.model_version,
        "as_of": publication.as_of.isoformat(),
    }
    if publication.format == "parquet":
        return {**facts, "kept_publications": list(publication.kept)}
    return {**facts, "table_versions": dict(_versions(store, publication))}


def publication_files(store: Store, publication: Publication) -> list[str]:
    """The folder of a Parquet publication; of a Delta one every data file of every table, and their commits."""
    if publication.format == "parquet":
        return [f"{GOLD}/{publication.folder}"]
    files = []
    for name, version in _versions(store, publication).items():
        folder = f"{GOLD}/{name}"
        files += [f"{folder}/_delta_log/{version:020d}.json", *(delta_log.files_written(store, folder, version) or [])]
    return files


def _versions(store: Store, publication: Publication) -> Mapping[str, int]:
    latest = delta_log.latest_version(store, f"{GOLD}/publications")
    own = {} if latest is None else {"publications": latest}
    return {**publication.table_versions, **own}
