"""Small files on a local disk: replaced whole, written once, listed without leftovers."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from segengine.errors import PublicationError
from segengine.io.files import LocalStore, store_for
from segengine.io.inputs import LocalInputs, find_files


def test_a_plain_path_and_a_file_uri_are_the_same_local_store(tmp_path):
    for location in (str(tmp_path), f"file://{tmp_path}", f"file:{tmp_path}"):
        store = store_for(location)
        assert isinstance(store, LocalStore)
        assert store.root == str(tmp_path)


def test_a_store_elsewhere_without_spark_says_so():
    with pytest.raises(PublicationError, match="no session"):
        store_for("hdfs://somewhere/out")


def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path):
    store = LocalStore(str(tmp_path))
    store.write_atomic("a/b/c.json", b"one")
    store.write_atomic("a/b/c.json", b"two")
    assert store.read_bytes("a/b/c.json") == b"two"
    assert os.listdir(tmp_path / "a" / "b") == ["c.json"]
    assert store.sha256("a/b/c.json") == "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"


def test_reading_what_is_missing_raises_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        LocalStore(str(tmp_path)).read_bytes("nothing.json")


def test_a_reader_sees_old_or_new_content_never_a_part(tmp_path):
    store = LocalStore(str(tmp_path))
    contents = {bytes([letter]) * 200_000 for letter in b"ab"}
    store.write_atomic("current", b"a" * 200_000)
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(store.read_bytes("current"))

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(50):
        store.write_atomic("current", b"ab"[turn % 2 : turn % 2 + 1] * 200_000)
    done.set()
    reader.join()
    assert seen <= contents


def test_of_many_that_create_a_file_exactly_one_wins(tmp_path):
    store = LocalStore(str(tmp_path))
    won: list[int] = []

    def create(number: int) -> None:
        if store.create_exclusive("lock", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.read_bytes("lock")] == [str(number).encode() for number in won]
    assert os.listdir(tmp_path) == ["lock"]


def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch):
    store = LocalStore(str(tmp_path))
    store.write_atomic("current", b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PublicationError, match="Writing a file failed") as caught:
        store.write_atomic("current", b"new")
    assert caught.value.found == "No space left on device"
    assert store.read_bytes("current") == b"old"
    assert os.listdir(tmp_path) == ["current"]


def test_temporary_files_of_dead_writers_are_not_listed_and_swept_after_a_day(tmp_path):
    store = LocalStore(str(tmp_path))
    old, fresh = tmp_path / ".current.aa.tmp", tmp_path / ".current.bb.tmp"
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert store.list() == []
    store.write_atomic("current", b"x")
    assert sorted(os.listdir(tmp_path)) == [".current.bb.tmp", "current"]
    assert [entry.name for entry in store.list()] == ["current"]


def test_hadoops_checksum_file_does_not_outlive_its_file(tmp_path):
    store = LocalStore(str(tmp_path))
    for name in ("replaced", "deleted", "moved"):
        (tmp_path / name).write_bytes(b"old")
        (tmp_path / f".{name}.crc").write_bytes(b"sum")
    store.write_atomic("replaced", b"new")
    store.delete("deleted")
    store.rename("moved", "elsewhere")
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "replaced"]


def test_list_names_files_and_folders_and_walk_files_below(tmp_path):
    store = LocalStore(str(tmp_path))
    store.write_atomic("b/x.txt", b"123")
    store.write_atomic("b/deep/y.txt", b"")
    store.write_atomic("a.txt", b"1")
    assert [(e.name, e.path, e.size_bytes, e.is_folder) for e in store.list()] == [
        ("a.txt", "a.txt", 1, False),
        ("b", "b", 0, True),
    ]
    assert [e.path for e in store.walk("")] == ["a.txt", "b/deep/y.txt", "b/x.txt"]
    assert [e.path for e in store.walk("b")] == ["b/deep/y.txt", "b/x.txt"]
    assert [e.path for e in store.list("b")] == ["b/deep", "b/x.txt"]
    assert store.list("missing") == store.walk("missing") == []
    assert abs(store.list()[0].modified_us / 1e6 - os.stat(tmp_path / "a.txt").st_mtime) < 1


def test_delete_takes_files_folders_and_what_is_missing(tmp_path):
    store = LocalStore(str(tmp_path))
    store.write_atomic("folder/deep/file", b"1")
    store.write_atomic("file", b"1")
    for name in ("folder", "file", "missing"):
        store.delete(name)
        assert not store.exists(name)


def test_rename_refuses_a_name_that_is_taken(tmp_path):
    store = LocalStore(str(tmp_path))
    store.write_atomic("new/file", b"new")
    store.write_atomic("old/file", b"old")
    with pytest.raises(PublicationError, match="Renaming"):
        store.rename("new", "old")
    assert store.read_bytes("old/file") == b"old"
    store.rename("new", "deep/other")
    assert store.read_bytes("deep/other/file") == b"new"


@pytest.mark.parametrize("rel", ["../x", "a/../../x", "/etc/passwd", "a\0b"])
def test_no_path_leads_out_of_the_store(tmp_path, rel):
    with pytest.raises(ValueError, match="below the store"):
        LocalStore(str(tmp_path)).write_atomic(rel, b"")


def test_touch_makes_a_file_and_moves_its_time_on(tmp_path):
    store = LocalStore(str(tmp_path))
    store.touch("locks/heartbeat")
    os.utime(tmp_path / "locks" / "heartbeat", (0, 0))
    store.touch("locks/heartbeat")
    assert store.list("locks")[0].modified_us > 1_600_000_000_000_000


def test_the_uri_is_for_spark_which_does_not_decode_it(tmp_path):
    assert LocalStore(f"{tmp_path}/a b").uri("c%20d") == f"file://{tmp_path}/a b/c%20d"


def found(location: Path | str) -> list[str]:
    return [file.name for file in find_files(LocalInputs(), str(location), "transactions").files]


def test_a_folder_is_read_to_its_depth_without_hidden_names(tmp_path):
    for name in ("b.csv", "a.csv", "_SUCCESS", ".x.crc", "deep/c.csv", "_hidden/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    assert found(tmp_path) == ["a.csv", "b.csv", "deep/c.csv"]


def test_a_glob_means_what_hadoop_means_by_it(tmp_path):
    for name in ("2023/a.csv", "2024/a.csv", "2024/b.csv", "2025/a.csv", "2024/_c.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert found(tmp_path / "202[34]" / "a.csv") == ["2023/a.csv", "2024/a.csv"]
    assert found(tmp_path / "{2023,2025}" / "?.csv") == ["2023/a.csv", "2025/a.csv"]
    assert found(f"file://{tmp_path}/*/*.csv") == ["2023/a.csv", "2024/a.csv", "2024/b.csv", "2025/a.csv"]
    assert found(tmp_path / "2024*") == ["2024/a.csv", "2024/b.csv"]


def test_a_path_that_exists_is_no_pattern(tmp_path):
    (tmp_path / "sales [x]").mkdir()
    (tmp_path / "sales [x]" / "a*.csv").write_text("x")
    assert found(tmp_path / "sales [x]") == ["a*.csv"]


def test_the_fingerprint_moves_with_name_size_and_time(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x")
    os.utime(path, (1, 1))
    first = find_files(LocalInputs(), str(tmp_path), "t").fingerprint()
    assert find_files(LocalInputs(), str(tmp_path), "t").fingerprint() == first
    os.utime(path, (2, 2))
    assert find_files(LocalInputs(), str(tmp_path), "t").fingerprint() != first
