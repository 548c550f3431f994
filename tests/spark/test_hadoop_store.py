"""Small files through Hadoop, against its own local file system: the same promises as on a local disk."""

from __future__ import annotations

import hashlib
import os

import pytest

from segengine.errors import PublicationError
from segengine.io.hadoop_store import HadoopStore
from segengine.io.inputs import HadoopInputs, LocalInputs, find_files
from segengine.session import hadoop_filesystem


@pytest.fixture
def store(spark, tmp_path):
    return HadoopStore(f"file://{tmp_path}/a b", spark)


def test_what_is_written_is_read_and_replaced_whole(store, tmp_path):
    store.write_atomic("deep/c.json", b"one")
    store.write_atomic("deep/c.json", b"\x00two\xff")
    assert store.read_bytes("deep/c.json") == b"\x00two\xff"
    assert store.sha256("deep/c.json") == hashlib.sha256(b"\x00two\xff").hexdigest()
    assert sorted(os.listdir(tmp_path / "a b" / "deep")) == [".c.json.crc", "c.json"]


def test_a_file_of_this_machine_is_put_whole_fetched_back_and_its_owners_only(store, tmp_path):
    local = tmp_path / "local"
    for data in (b"x" * 100_000, b"\x00two\xff"):
        local.write_bytes(data)
        store.put_file("deep/list.csv", str(local))
        store.fetch_file("deep/list.csv", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == data
    assert os.stat(tmp_path / "a b" / "deep" / "list.csv").st_mode & 0o077 == 0
    assert [entry.path for entry in store.walk("deep")] == ["deep/list.csv"]


def test_spark_reads_a_file_after_either_store_has_replaced_it(spark, store, tmp_path):
    from segengine.io.files import LocalStore

    store.write_atomic("x.txt", b"hadoop")
    LocalStore(str(tmp_path / "a b")).write_atomic("x.txt", b"local")
    assert spark.read.text(store.uri("x.txt")).collect()[0][0] == "local"
    store.write_atomic("x.txt", b"hadoop again")
    assert spark.read.text(store.uri("x.txt")).collect()[0][0] == "hadoop again"


def test_reading_what_is_missing_raises_file_not_found(store):
    with pytest.raises(FileNotFoundError):
        store.read_bytes("nothing.json")


def test_only_the_first_create_wins(store):
    assert store.create_exclusive("lock", b"first")
    assert not store.create_exclusive("lock", b"second")
    assert store.read_bytes("lock") == b"first"


def test_list_walk_exists_and_delete(store):
    store.write_atomic("b/x.txt", b"123")
    store.write_atomic("b/deep/y.txt", b"")
    store.write_atomic("a.txt", b"1")
    assert [(e.name, e.path, e.size_bytes, e.is_folder) for e in store.list()] == [
        ("a.txt", "a.txt", 1, False),
        ("b", "b", 0, True),
    ]
    assert [e.path for e in store.walk("b")] == ["b/deep/y.txt", "b/x.txt"]
    assert [e.path for e in store.walk("")] == ["a.txt", "b/deep/y.txt", "b/x.txt"]
    assert store.list("missing") == store.walk("missing") == []
    for name in ("b", "a.txt", "missing"):
        store.delete(name)
        assert not store.exists(name)


def test_rename_refuses_a_name_that_is_taken(store):
    store.write_atomic("new/file", b"new")
    store.write_atomic("old/file", b"old")
    with pytest.raises(PublicationError, match="Renaming"):
        store.rename("new", "old")
    store.rename("new", "deep/other")
    assert store.read_bytes("deep/other/file") == b"new"


def test_touch_makes_a_file_and_moves_its_time_on(store, tmp_path):
    store.touch("heartbeat")
    os.utime(tmp_path / "a b" / "heartbeat", (0, 0))
    store.touch("heartbeat")
    assert store.list()[0].modified_us > 1_600_000_000_000_000


def test_a_write_that_the_store_refuses_is_a_publication_error(store, tmp_path):
    store.write_atomic("file", b"1")
    with pytest.raises(PublicationError, match="Writing a file failed"):
        store.write_atomic("file/below", b"2")
    assert store.read_bytes("file") == b"1"


def test_hadoop_finds_the_files_that_a_local_look_finds(spark, tmp_path):
    for name in ("2023/a.csv", "2024/a.csv", "2024/_c.csv", "2024/deep/b 1.csv", "_tmp/x.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    hadoop = HadoopInputs(*hadoop_filesystem(spark, f"file://{tmp_path}"))
    for below in ("", "/2024", "/*", "/202[34]/a.csv", "/{2023,2024}/*.csv", "/2023/a.csv"):
        expected = find_files(LocalInputs(), f"{tmp_path}{below}", "t").files
        seen = find_files(hadoop, f"file://{tmp_path}{below}", "t").files
        assert [(f.name, f.size_bytes) for f in seen] == [(f.name, f.size_bytes) for f in expected], below
        assert hadoop.read(seen[0], 2, 3) == LocalInputs().read(expected[0], 2, 3)
    assert hadoop.find(f"file://{tmp_path}/missing") is None
