"""Move the champion: promote a version, or go back to the one before. Nothing is read, trained or published."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from segengine.config import Config, load
from segengine.io.files import Store, store_for
from segengine.io.inputs import is_local
from segengine.mlops import recording
from segengine.model import promotion
from segengine.model.promotion import Change
from segengine.publish.lock import publication_lock
from segengine.runs.tracked import mirrored
from segengine.session import open_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["promote", "rollback"]


def promote(
    config: Config | str | Path,
    version: str,
    *,
    reason: str = "",
    spark: SparkSession | None = None,
    now: dt.datetime | None = None,
) -> Change:
    """Make a complete, unaltered version the champion. Raises ModelError for a refused one without a reason."""

    def move(store: Store, moment: dt.datetime) -> Change:
        return promotion.promote(store, version, reason, moment, by_hand=True)

    return _moved("promote", config, move, spark, now)


def rollback(
    config: Config | str | Path,
    *,
    reason: str = "",
    spark: SparkSession | None = None,
    now: dt.datetime | None = None,
) -> Change:
    """Put back the champion before the present one, byte for byte. Raises ModelError when there was none."""

    def move(store: Store, moment: dt.datetime) -> Change:
        return promotion.rollback(store, reason, moment)

    return _moved("rollback", config, move, spark, now)


def _moved(
    command: str,
    config: Config | str | Path,
    move: Callable[[Store, dt.datetime], Change],
    spark: SparkSession | None,
    now: dt.datetime | None,
) -> Change:
    """Move it under the lock and keep a record of the run. A session is only started for stores that need one."""
    if not isinstance(config, Config):
        config = load(config)
    moment = now or dt.datetime.now(dt.UTC)
    run_id = f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    with contextlib.ExitStack() as opened:
        if spark is None and not is_local(config.output.path):
            spark = opened.enter_context(open_session(config))
        store = store_for(config.output.path, spark)
        with publication_lock(store, run_id=run_id):
            change = move(store, moment)
        note = mirrored(config, store)
        record: dict[str, str | None] = {"run_id": run_id, "command": command, "name": config.name, "state": "done"}
        record |= {"started_at": moment.isoformat(), "before": change.before, "champion": change.after}
        record |= {"reason": config.redact(change.reason), "config_sha256": config.fingerprint()}
        record |= {"note": note} if note else {}
        text = json.dumps(record, indent=2, ensure_ascii=False)
        store.write_atomic(f"runs/{run_id}.json", text.encode())
        kind = "promotion" if command == "promote" else "rollback"
        recording.record(store, config, kind, record, now=moment, spark=spark)
    return change
