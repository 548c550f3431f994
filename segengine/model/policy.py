"""Whether a run trains before it scores, and why or why not. No Spark here."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segengine.config.times import local_text
from segengine.errors import ModelError
from segengine.model import bundle, promotion
from segengine.model.history import recipe_fingerprint

if TYPE_CHECKING:
    from segengine.config import Config
    from segengine.io.files import Store

__all__ = ["ALARM", "Plan", "answering", "decide"]

log = logging.getLogger(__name__)

ALARM = "retrain.json"
"""What monitoring leaves in the output when it calls for a retrain: call, reasons, as_of."""


@dataclass(frozen=True)
class Plan:
    """Whether to train, why or why not in a sentence's words, and whether an alarm is part of the reason."""

    train: bool
    why: str
    alarm: bool = False


def decide(store: Store, config: Config, as_of: dt.datetime, *, asked: bool) -> Plan:
    """What `retrain` in the configuration, an alarm, and the champion there is make of a run as of a moment.

    Raises BundleError when the champion's record or manifest cannot be trusted.
    """
    version = bundle.champion(store)
    if version is None:
        return Plan(True, "there was no model yet")
    if asked:
        return Plan(True, "a retrain was asked for")
    decided = promotion.decided_after(store, version)
    version = decided or version
    manifest = bundle.manifest(store, version)
    if manifest.get("recipe_sha256") != recipe_fingerprint(config):
        return Plan(True, f"the configuration of features, preparation or segments changed since {version}")
    trained = dt.datetime.fromisoformat(str(manifest["as_of"]))
    age = f"{version} is as of {local_text(trained, config.timezone)}"
    due = config.retrain_due(trained) if config.retrain.every is not None else None
    if due is not None and due <= as_of:
        return Plan(True, f"{age}, and retrain.every is {config.retrain.every}")
    reasons = _alarm(store, trained, answered=decided is not None)
    if reasons is not None and config.retrain.on_alarm:
        return Plan(True, f"monitoring calls for it: {'; '.join(reasons) or 'without a reason'}", alarm=True)
    return Plan(False, _why_not(age, due, config, called=reasons is not None))


def _why_not(age: str, due: dt.datetime | None, config: Config, *, called: bool) -> str:
    next_one = f"the next one is due as of {local_text(due, config.timezone)}" if due else None
    parts = [age, next_one or "its age is no reason (retrain.every)"]
    if called:
        parts.append("monitoring calls for a retrain, but retrain.on_alarm is false")
    elif config.retrain.on_alarm:
        parts.append("monitoring raised no alarm")
    return "; ".join(parts)


@contextmanager
def answering(store: Store, plan: Plan, run_id: str) -> Iterator[None]:
    """An alarm that led to the training inside counts as answered once there is a model, or a refusal of one.

    A run that dies leaves it standing.
    """
    try:
        yield
    except ModelError:
        _answer(store, plan, run_id)
        raise
    _answer(store, plan, run_id)


def _answer(store: Store, plan: Plan, run_id: str) -> None:
    if plan.alarm:
        plain = {**(_read(store) or {}), "call": False, "answered_by": run_id}
        store.write_atomic(ALARM, (json.dumps(plain, indent=2) + "\n").encode())


def _alarm(store: Store, trained: dt.datetime, *, answered: bool) -> list[str] | None:
    """The reasons of an alarm that stands; None without one. An alarm from before the champion is over.

    `answered`: the model of `trained` was refused or rolled back, so that an alarm of its own moment would bring the
    same one again.
    """
    plain = _read(store)
    if plain is None or plain.get("call") is not True:
        return None
    raised = _moment(plain.get("as_of"))
    if raised is not None and (raised <= trained if answered else raised < trained):
        return None
    reasons = plain.get("reasons")
    return [str(reason) for reason in reasons] if isinstance(reasons, list) else []


def _moment(text: object) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def _read(store: Store) -> dict[str, Any] | None:
    if not store.exists(ALARM):
        return None
    try:
        plain = json.loads(store.read_bytes(ALARM))
    except ValueError:
        log.warning("%s cannot be read, and is no alarm", store.uri(ALARM))
        return None
    return plain if isinstance(plain, dict) else None
