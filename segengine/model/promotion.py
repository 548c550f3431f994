"""Who is champion, and why: promote a version, go back to the one before, and the log of both. No Spark here.

models/champion.json      the version in use; `rollback` writes it as it was before, byte for byte
models/promotions.json    every promotion and rollback, oldest first; never rewritten by a rollback
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segengine.errors import BundleError, ModelError
from segengine.model import bundle

if TYPE_CHECKING:
    from segengine.io.files import Store

__all__ = ["LOG", "Change", "decided_after", "events", "is_provisional", "promote", "rollback", "warning_of"]

LOG = f"{bundle.FOLDER}/promotions.json"


@dataclass(frozen=True)
class Change:
    """The champion before and after."""

    before: str | None
    after: str
    reason: str


def events(store: Store) -> list[dict[str, Any]]:
    """Promotions and rollbacks, oldest first: at, action, version, before, reason, verdict."""
    return list(json.loads(store.read_bytes(LOG))["events"]) if store.exists(LOG) else []


def promote(
    store: Store, version: str, reason: str, now: dt.datetime, *, provisional: bool = False, by_hand: bool = False
) -> Change:
    """Make a complete, unaltered version the champion. `now` carries its zone.

    Raises BundleError for a version that is not as it was saved, and ModelError when one that its gates refused is
    promoted by hand without a reason.
    """
    manifest = bundle.verify(store, version)
    verdict = str(manifest.get("verdict", "passed"))
    if by_hand and verdict == "refused" and not reason.strip():
        raise ModelError(
            f"Model version {version} was refused by its gates.",
            where=store.uri(f"{bundle.FOLDER}/{version}/model_card.md"),
            found=str(manifest.get("refused_for", "")),
            todo="Say why it is to be used all the same: --reason TEXT. It is kept with the model, and shown.",
        )
    before = bundle.champion(store)
    reason = reason.strip() or "promoted by hand"
    bundle.set_champion(store, version, reason, now, provisional=provisional)
    _log(store, "promoted", Change(before, version, reason), now, verdict)
    return Change(before, version, reason)


def rollback(store: Store, reason: str, now: dt.datetime) -> Change:
    """Put back the champion before the present one: champion.json as it was, byte for byte.

    Raises ModelError when there was none before, and BundleError when that version is not as it was saved.
    """
    record = bundle.champion_record(store)
    history = list((record or {}).get("history", []))
    if record is None or not history:
        raise ModelError(
            "There is no earlier champion to go back to.",
            where=store.uri(bundle.CHAMPION),
            found="no champion" if record is None else f"{record['version']} is the first one",
            todo="Promote a version that exists: segengine promote CONFIG VERSION --reason TEXT.",
        )
    earlier = str(history[0]["version"])
    manifest = bundle.verify(store, earlier)
    path = f"{bundle.FOLDER}/{earlier}/manifest.json"
    if hashlib.sha256(store.read_bytes(path)).hexdigest() != history[0]["manifest_sha256"]:
        raise BundleError(
            f"Model version {earlier} is not the one that was champion.",
            where=store.uri(path),
            todo="Restore the folder from a copy, or promote another version.",
        )
    before = bundle.canonical_json({**history[0], "history": history[1:]})
    store.write_atomic(bundle.CHAMPION, before)
    change = Change(str(record["version"]), earlier, reason.strip() or "rolled back by hand")
    _log(store, "rolled_back", change, now, str(manifest.get("verdict", "passed")))
    return change


def is_provisional(store: Store) -> bool:
    """Whether the champion is in use although no model passed, until one does."""
    return bool((bundle.champion_record(store) or {}).get("provisional", False))


def warning_of(store: Store, version: str) -> str | None:
    """What has to be said wherever customers are shown in segments of this version; None when it passed its gates."""
    manifest = bundle.manifest(store, version)
    if manifest.get("verdict") != "refused":
        return None
    record = bundle.champion_record(store)
    refused_for = manifest.get("refused_for", "")
    if record is None or record["version"] != version:
        return f"{version} was refused by its gates and is not the champion ({refused_for})."
    if record.get("provisional"):
        return f"PROVISIONAL: {version} did not pass its gates ({refused_for})."
    since = str(record["since"])[:10]
    return f"{version} was refused by its gates ({refused_for}) and promoted on {since}: {record['reason']}"


def decided_after(store: Store, champion: str) -> str | None:
    """The newest version after the champion that was refused, or was champion and rolled back; None without any.

    Whether a new model is due counts from it: what was refused is not tried again every night.
    """
    promoted = {event["version"] for event in events(store)}
    newer = [version for version in bundle.versions(store) if int(version[1:]) > int(champion[1:])]
    for version in reversed(newer):
        if version in promoted or bundle.manifest(store, version).get("verdict") == "refused":
            return version
    return None


def _log(store: Store, action: str, change: Change, now: dt.datetime, verdict: str) -> None:
    event = {
        "at": now.astimezone(dt.UTC).isoformat(timespec="seconds"),
        "action": action,
        "version": change.after,
        "before": change.before,
        "reason": change.reason,
        "verdict": verdict,
    }
    store.write_atomic(LOG, bundle.canonical_json({"events": [*events(store), event]}))
