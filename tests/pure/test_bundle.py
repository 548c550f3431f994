"""Saved model versions: whole or refused, and one of them champion. Their content is tested with Spark."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path

import pytest

from segengine.errors import BundleError
from segengine.io.files import LocalStore
from segengine.model import bundle

NOW = dt.datetime(2024, 5, 1, 8, 0, tzinfo=dt.UTC)
FILES = {
    "model.json": b"{}",
    "k_decision.json": b"{}",
    "pipeline/metadata/part-00000": b"{}",
    "pipeline/data/part-0": b"123",
}


def written(root: Path, version: str = "v0001", **manifest: object) -> LocalStore:
    """A store with a version of a few small files."""
    store = LocalStore(str(root))
    files = {path: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in FILES.items()}
    for path, data in FILES.items():
        store.write_atomic(f"models/{version}/{path}", data)
    content = {"format": 1, "version": version, "features": ["a", "b"], "files": files, **manifest}
    store.write_atomic(f"models/{version}/manifest.json", json.dumps(content).encode())
    return store


def refused(store: LocalStore, version: str = "v0001", **options) -> str:
    with pytest.raises(BundleError) as caught:
        bundle.verify(store, version, **options)
    return str(caught.value)


def test_an_untouched_version_verifies(tmp_path):
    assert bundle.verify(written(tmp_path), "v0001", features=["a", "b"])["features"] == ["a", "b"]


@pytest.mark.parametrize("path", list(FILES))
def test_a_missing_file_is_named(tmp_path, path):
    store = written(tmp_path)
    store.delete(f"models/v0001/{path}")
    assert f"missing {path}" in refused(store)


@pytest.mark.parametrize("path", list(FILES))
def test_one_flipped_bit_is_found(tmp_path, path):
    store = written(tmp_path)
    data = FILES[path]
    store.write_atomic(f"models/v0001/{path}", bytes([data[0] ^ 1]) + data[1:])
    assert f"the content of {path} has changed" in refused(store)


def test_a_longer_file_is_found(tmp_path):
    store = written(tmp_path)
    store.write_atomic("models/v0001/model.json", b"{} ")
    assert "3 bytes instead of 2" in refused(store)


def test_a_file_that_is_not_in_the_manifest_is_refused(tmp_path):
    store = written(tmp_path)
    store.write_atomic("models/v0001/pipeline/stages/9/metadata/part-00000", b"{}")
    assert "not in the manifest: pipeline/stages/9" in refused(store)


def test_another_feature_list_is_refused_naming_the_difference(tmp_path):
    text = refused(written(tmp_path), features=["a", "c"])
    assert "lacks c" in text
    assert "only the model has b" in text


@pytest.mark.parametrize(
    "change", [{"format": 99}, {"version": "v0002"}, {"files": None}, {"files": {"x": 1}}, {"features": None}]
)
def test_a_foreign_manifest_is_refused(tmp_path, change):
    assert "v0001" in refused(written(tmp_path, **change))


def test_a_manifest_that_is_not_json_is_refused(tmp_path):
    store = written(tmp_path)
    store.write_atomic("models/v0001/manifest.json", b"{oops")
    assert "not JSON" in refused(store)


def test_a_version_that_was_never_finished_does_not_exist_but_keeps_its_number(tmp_path):
    store = written(tmp_path)
    store.write_atomic("models/v0002/model.json", b"{}")
    assert bundle.versions(store) == ["v0001"]
    assert bundle.next_version(store) == "v0003"
    assert "versions: v0001" in refused(store, "v0002")


@pytest.mark.parametrize("version", ["../v0001", "v1", "", "v0001/../v0002"])
def test_only_versions_are_versions(tmp_path, version):
    assert "not a model version" in refused(written(tmp_path), version)


def test_the_first_version_is_v0001_and_the_count_goes_past_four_digits(tmp_path):
    assert bundle.next_version(LocalStore(str(tmp_path / "none"))) == "v0001"
    assert bundle.next_version(written(tmp_path, "v9999")) == "v10000"


def test_the_champion_is_remembered_with_the_ones_before(tmp_path):
    written(tmp_path)
    store = written(tmp_path, "v0002")
    assert bundle.champion(store) is None
    bundle.set_champion(store, "v0001", "first", NOW)
    bundle.set_champion(store, "v0002", "better", NOW + dt.timedelta(days=1))
    record = bundle.champion_record(store)
    assert record is not None
    assert (record["version"], record["reason"], record["since"]) == ("v0002", "better", "2024-05-02T08:00:00+00:00")
    assert [before["version"] for before in record["history"]] == ["v0001"]


def test_a_version_that_is_not_complete_cannot_be_champion(tmp_path):
    store = written(tmp_path)
    with pytest.raises(BundleError, match="no complete model version v0007"):
        bundle.set_champion(store, "v0007", "typo", NOW)
    assert bundle.champion(store) is None


def test_a_champion_whose_manifest_was_rewritten_is_refused(tmp_path):
    store = written(tmp_path)
    bundle.set_champion(store, "v0001", "first", NOW)
    written(tmp_path, features=["a", "b"], note="rewritten, with hashes that fit")
    assert "not the one that was made champion" in refused(store)


def test_a_champion_record_that_names_no_version_is_refused(tmp_path):
    store = written(tmp_path)
    store.write_atomic("models/champion.json", b'{"version": "../../etc"}')
    with pytest.raises(BundleError, match="names no model version"):
        bundle.champion(store)


def test_a_further_file_is_read_when_it_was_saved_and_refused_when_it_has_changed(tmp_path):
    store = written(tmp_path)
    assert bundle.read_more(store, "v0001", "reference.json") is None
    assert bundle.read_more(store, "v0001", "model.json") == {}
    store.write_atomic("models/v0001/model.json", b'{"a": 1}')
    with pytest.raises(BundleError, match=r"model\.json is missing or has changed"):
        bundle.read_more(store, "v0001", "model.json")
