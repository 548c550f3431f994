"""Why a run trains, or does not."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from segengine.config import Config, Retrain
from segengine.errors import ModelError
from segengine.io.files import LocalStore
from segengine.model import bundle, promotion
from segengine.model.history import recipe_fingerprint
from segengine.model.policy import ALARM, Plan, answering, decide
from tests import yearly
from tests.pure.test_bundle import written

TRAINED = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
NOW = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)


def config(**retrain: Any) -> Config:
    return yearly.config().model_copy(update={"retrain": Retrain(**retrain)})


def with_champion(folder: Path) -> LocalStore:
    store = written(folder, as_of=TRAINED.isoformat(), recipe_sha256=recipe_fingerprint(config()))
    bundle.set_champion(store, "v0001", "first", TRAINED)
    return store


def alarm(store: LocalStore, **changed: Any) -> None:
    plain = {"call": True, "reasons": ["recency drifts"], "as_of": NOW.isoformat(), **changed}
    store.write_atomic(ALARM, json.dumps(plain).encode())


def test_the_first_run_and_one_that_is_asked_to_train(tmp_path: Path) -> None:
    assert decide(LocalStore(str(tmp_path)), config(), NOW, asked=False) == Plan(True, "there was no model yet")
    assert decide(with_champion(tmp_path), config(), NOW, asked=True) == Plan(True, "a retrain was asked for")


def test_age_is_a_reason_when_it_is_configured(tmp_path: Path) -> None:
    store = with_champion(tmp_path)
    due = decide(store, config(every="1 month"), NOW, asked=False)
    assert due.train and "retrain.every is 1 month" in due.why
    early = decide(store, config(every="2 months"), NOW, asked=False)
    assert not early.train and "due as of 2024-03-01" in early.why
    assert "its age is no reason" in decide(store, config(), NOW, asked=False).why


def test_an_alarm_is_answered_once_and_only_where_it_may_be(tmp_path: Path) -> None:
    store = with_champion(tmp_path)
    alarm(store)
    ignored = decide(store, config(), NOW, asked=False)
    assert not ignored.train and "retrain.on_alarm is false" in ignored.why
    plan = decide(store, config(on_alarm=True), NOW, asked=False)
    assert plan.train and plan.alarm and "recency drifts" in plan.why
    with answering(store, plan, "r1"):
        pass
    assert json.loads(store.read_bytes(ALARM))["answered_by"] == "r1"
    after = decide(store, config(on_alarm=True), NOW, asked=False)
    assert not after.train and "raised no alarm" in after.why


def test_a_refused_training_answers_an_alarm_and_a_crash_does_not(tmp_path: Path) -> None:
    store, plan = with_champion(tmp_path), Plan(True, "monitoring calls for it", alarm=True)
    alarm(store)
    with pytest.raises(RuntimeError), answering(store, plan, "r1"):
        raise RuntimeError
    assert json.loads(store.read_bytes(ALARM))["call"] is True
    with pytest.raises(ModelError), answering(store, plan, "r2"):
        raise ModelError("No number of segments gives an acceptable model.")
    assert json.loads(store.read_bytes(ALARM))["call"] is False


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"call": "yes"}'])
def test_a_damaged_alarm_is_none(tmp_path: Path, content: bytes) -> None:
    store = with_champion(tmp_path)
    store.write_atomic(ALARM, content)
    assert not decide(store, config(on_alarm=True), NOW, asked=False).train


def test_an_alarm_from_before_the_champion_is_over(tmp_path: Path) -> None:
    store = with_champion(tmp_path)
    alarm(store, as_of="2023-12-01T00:00:00")
    assert not decide(store, config(on_alarm=True), NOW, asked=False).train


def test_a_model_that_was_rolled_back_is_not_made_again_by_an_alarm_of_its_own_moment(tmp_path: Path) -> None:
    store = with_champion(tmp_path)
    written(tmp_path, "v0002", as_of=NOW.isoformat(), recipe_sha256=recipe_fingerprint(config()))
    promotion.promote(store, "v0002", "trained", NOW)
    promotion.rollback(store, "bad", NOW)
    alarm(store)
    assert not decide(store, config(on_alarm=True), NOW, asked=False).train
    alarm(store, as_of=(NOW + dt.timedelta(days=1)).isoformat())
    assert decide(store, config(on_alarm=True), NOW + dt.timedelta(days=1), asked=False).train


def test_moments_are_told_in_the_zone_of_the_configuration(tmp_path: Path) -> None:
    local = config().model_copy(update={"timezone": "Europe/Berlin"})
    store = written(tmp_path, as_of="2023-12-31T23:00:00+00:00", recipe_sha256=recipe_fingerprint(local))
    bundle.set_champion(store, "v0001", "first", TRAINED)
    assert "v0001 is as of 2024-01-01;" in decide(store, local, NOW, asked=False).why


def test_hysteresis_is_no_reason_to_train() -> None:
    held = yearly.config(hysteresis=0.1)
    assert recipe_fingerprint(held) == recipe_fingerprint(yearly.config())
    assert recipe_fingerprint(yearly.config(k=(3, 5))) != recipe_fingerprint(held)
