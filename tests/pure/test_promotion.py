"""The champion moves forth and back: byte for byte, with a reason, and never to what was altered."""

from __future__ import annotations

import datetime as dt

import pytest

from segengine.errors import BundleError, ModelError
from segengine.io.files import LocalStore
from segengine.model import bundle, promotion
from tests.pure.test_bundle import written

NOW = dt.datetime(2024, 5, 1, 8, 0, tzinfo=dt.UTC)
CHAMPION = "models/champion.json"


def store_with(root, *versions: str, refused: tuple[str, ...] = ()) -> LocalStore:
    for version in versions:
        more = {"verdict": "refused", "refused_for": "stability_lowest: shaky"} if version in refused else {}
        store = written(root, version, **more)
    return store


def test_a_rollback_restores_the_record_byte_for_byte_however_often(tmp_path):
    store = store_with(tmp_path, "v0001", "v0002", "v0003")
    records = []
    for day, version in enumerate(("v0001", "v0002", "v0003")):
        promotion.promote(store, version, f"reason {day}", NOW + dt.timedelta(days=day), provisional=day == 1)
        records.append(store.read_bytes(CHAMPION))
    for earlier in (1, 0):
        change = promotion.rollback(store, "", NOW + dt.timedelta(days=9))
        assert store.read_bytes(CHAMPION) == records[earlier]
        assert change.after == f"v000{earlier + 1}"
    with pytest.raises(ModelError, match="no earlier champion"):
        promotion.rollback(store, "", NOW)
    actions = [(event["action"], event["version"]) for event in promotion.events(store)]
    assert actions[3:] == [("rolled_back", "v0002"), ("rolled_back", "v0001")]


def test_a_rollback_after_a_rollback_and_a_promotion_goes_where_the_record_says(tmp_path):
    store = store_with(tmp_path, "v0001", "v0002", "v0003")
    for version in ("v0001", "v0002"):
        promotion.promote(store, version, "why", NOW)
    promotion.rollback(store, "bad", NOW)
    before = store.read_bytes(CHAMPION)
    promotion.promote(store, "v0003", "why", NOW)
    assert promotion.rollback(store, "", NOW).after == "v0001"
    assert store.read_bytes(CHAMPION) == before


def test_who_is_promoted_again_has_the_same_one_before_it(tmp_path):
    store = store_with(tmp_path, "v0001", "v0002")
    for version in ("v0001", "v0001", "v0002", "v0002", "v0002"):
        promotion.promote(store, version, "why", NOW)
    assert promotion.rollback(store, "", NOW).after == "v0001"
    with pytest.raises(ModelError, match="no earlier champion"):
        promotion.rollback(store, "", NOW)


def test_nobody_goes_back_to_an_altered_version(tmp_path):
    store = store_with(tmp_path, "v0001", "v0002")
    for version in ("v0001", "v0002"):
        promotion.promote(store, version, "why", NOW)
    now = store.read_bytes(CHAMPION)
    store.write_atomic("models/v0001/model.json", b"{ }")
    with pytest.raises(BundleError):
        promotion.rollback(store, "", NOW)
    assert store.read_bytes(CHAMPION) == now


def test_nobody_goes_back_to_a_version_that_was_written_anew(tmp_path):
    store = store_with(tmp_path, "v0001", "v0002")
    for version in ("v0001", "v0002"):
        promotion.promote(store, version, "why", NOW)
    written(tmp_path, "v0001", why="another manifest")
    with pytest.raises(BundleError, match="not the one that was champion"):
        promotion.rollback(store, "", NOW)


def test_a_refused_version_needs_a_reason_and_keeps_its_warning(tmp_path):
    store = store_with(tmp_path, "v0001", "v0002", refused=("v0002",))
    promotion.promote(store, "v0001", "", NOW, by_hand=True)
    with pytest.raises(ModelError, match="--reason"):
        promotion.promote(store, "v0002", " ", NOW, by_hand=True)
    assert bundle.champion(store) == "v0001"
    promotion.promote(store, "v0002", "the board wants it", NOW, by_hand=True)
    assert bundle.champion(store) == "v0002"
    warning = promotion.warning_of(store, "v0002")
    assert "stability_lowest" in warning
    assert "the board wants it" in warning
    assert promotion.warning_of(store, "v0001") is None


def test_a_provisional_champion_says_so_until_another_is_promoted(tmp_path):
    store = store_with(tmp_path, "v0001", "v0002", refused=("v0001",))
    promotion.promote(store, "v0001", "first", NOW, provisional=True)
    assert promotion.is_provisional(store)
    assert promotion.warning_of(store, "v0001").startswith("PROVISIONAL")
    promotion.promote(store, "v0002", "better", NOW)
    assert not promotion.is_provisional(store)


def test_what_was_refused_or_rolled_back_counts_as_decided_and_what_a_crash_left_does_not(tmp_path):
    store = store_with(tmp_path, "v0001", "v0002", "v0003", refused=("v0002",))
    promotion.promote(store, "v0001", "first", NOW)
    assert promotion.decided_after(store, "v0001") == "v0002"  # v0003 was saved, then the run died
    promotion.promote(store, "v0003", "by hand", NOW)
    promotion.rollback(store, "bad", NOW)
    assert promotion.decided_after(store, "v0001") == "v0003"
