"""Analysts' edits survive: what somebody changed is never overwritten, and their own measures are theirs."""

from __future__ import annotations

import subprocess

import pytest

from segengine.io.files import LocalStore
from segengine.report.powerbi import project
from segengine.report.powerbi.keep import MANIFEST, write_project
from segengine.report.powerbi.project import OWN_FILE
from tests.powerbi_facts import options, published

THEIRS = frozenset({"own"})


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path))


def write(store, **files):
    return write_project(store, "powerbi", {name: text.encode() for name, text in files.items()}, theirs=THEIRS)


def read(store, name):
    return store.read_bytes(f"powerbi/{name}").decode() if store.exists(f"powerbi/{name}") else None


def test_drawing_again_writes_nothing(store):
    assert write(store, a="1", own="x").written == ("a", "own")
    assert write(store, a="1", own="x").same == ("a", "own")


def test_what_nobody_changed_is_replaced(store):
    write(store, a="1")
    assert write(store, a="2").written == ("a",)
    assert read(store, "a") == "2"


def test_what_somebody_changed_stays_and_ours_lies_beside_it(store):
    write(store, a="1")
    store.write_atomic("powerbi/a", b"mine")
    assert write(store, a="2").kept == ("a",)
    assert (read(store, "a"), read(store, "a.new")) == ("mine", "2")


def test_an_edit_alone_is_no_reason_to_offer_anything(store):
    write(store, a="1")
    store.write_atomic("powerbi/a", b"mine")
    assert write(store, a="1").kept == ("a",)
    assert (read(store, "a"), read(store, "a.new")) == ("mine", None)


def test_what_was_offered_once_is_not_offered_again(store):
    write(store, a="1")
    store.write_atomic("powerbi/a", b"mine")
    write(store, a="2")
    store.delete("powerbi/a.new")
    write(store, a="2")
    assert (read(store, "a"), read(store, "a.new")) == ("mine", None)


def test_taking_what_was_offered_makes_the_file_ours_again(store):
    write(store, a="1")
    store.write_atomic("powerbi/a", b"mine")
    write(store, a="2")
    store.write_atomic("powerbi/a", b"2")
    write(store, a="2")
    assert read(store, "a.new") is None
    assert write(store, a="3").written == ("a",)


def test_what_somebody_deleted_stays_deleted(store):
    write(store, a="1", b="1")
    store.delete("powerbi/a")
    write(store, a="1", b="1")
    assert read(store, "a") is None


def test_what_is_no_longer_drawn_goes_unless_it_was_changed(store):
    write(store, a="1", b="1")
    store.write_atomic("powerbi/b", b"mine")
    done = write(store, c="1")
    assert (done.deleted, done.kept) == (("a",), ("b",))
    assert (read(store, "a"), read(store, "b")) == (None, "mine")


def test_their_own_file_is_never_touched(store):
    write(store, own="template")
    store.write_atomic("powerbi/own", b"measures")
    write(store, own="another template")
    write(store, a="1")
    assert (read(store, "own"), read(store, "own.new")) == ("measures", None)


def test_without_a_manifest_nothing_is_overwritten(store):
    write(store, a="1")
    store.delete(f"powerbi/{MANIFEST}")
    assert write(store, a="2").kept == ("a",)
    assert read(store, "a") == "1"


def test_sha256sum_reads_the_manifest(store, tmp_path):
    write(store, a="1", b="2")
    store.write_atomic("powerbi/b", b"mine")
    told = subprocess.run(["sha256sum", "--check", MANIFEST], cwd=tmp_path / "powerbi", capture_output=True, text=True)
    assert "a: OK" in told.stdout
    assert "b: FAILED" in told.stdout


def test_a_whole_project_comes_back_unchanged(store):
    files = project(published(), options()).files
    write_project(store, "powerbi", files, theirs=frozenset({OWN_FILE}))
    done = write_project(store, "powerbi", files, theirs=frozenset({OWN_FILE}))
    assert (len(done.same), done.written, done.kept) == (len(files), (), ())
