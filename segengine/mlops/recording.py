"""What goes into the audit trail of an output: runs, changes of the configuration, promotions, rollbacks, erasures."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import segengine
from segengine.mlops.anchor import drop_anchor
from segengine.mlops.audit import append, code_sha256, config_changes, files_below

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segengine.config import Config
    from segengine.io.files import Store

__all__ = ["add", "record"]

log = logging.getLogger(__name__)


def record(
    store: Store,
    config: Config,
    kind: str,
    facts: Mapping[str, Any],
    *,
    now: dt.datetime,
    wrote: Iterable[str] = (),
    spark: SparkSession | None = None,
) -> int:
    """Add a record, and before it one of the configuration where that has changed; the number of the record.

    `facts` are JSON-able; values of `${env:NAME}` in them become that reference. `wrote`: files and folders below the
    output whose every file is recorded with its hash. `kind`: run, promotion, rollback or erasure. Raises
    PublicationError when it cannot be written.
    """
    told = {
        **facts,
        "name": config.name,
        "config_sha256": config.fingerprint(),
        "code_sha256": code_sha256(),
        "segengine_version": segengine.__version__,
        "outputs": files_below(store, wrote),
    }
    return add(store, config, kind, told, now=now, spark=spark)


def add(
    store: Store,
    config: Config,
    kind: str,
    facts: Mapping[str, Any],
    *,
    now: dt.datetime,
    spark: SparkSession | None = None,
) -> int:
    """Add a record whose facts are complete, such as one that was made on a copy of the output; else as `record`."""
    change = config_changes(store, config.model_dump(mode="json"), config.fingerprint())
    if change is not None:
        append(store, "config_change", _plain(config, change), now)
    head = append(store, kind, _plain(config, facts), now)
    if config.audit.anchor is not None:
        drop_anchor(config.audit.anchor, config.name, head, spark)
    return head.n


def _plain(config: Config, facts: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(config.redact(json.dumps(facts, ensure_ascii=False, default=str)))
    return plain
