"""Azure through ABFS, against Azurite: what publishing needs works there, a crash between two steps included."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from segengine import runs
from segengine.config import load
from segengine.errors import LockedError, PublicationError
from segengine.io.files import store_for
from segengine.io.hadoop_store import HadoopStore
from segengine.publish.lock import publication_lock
from segengine.publish.publication import current, read_current
from tests import servers, shops

HOST = f"{servers.AZURE_ACCOUNT}.dfs.core.windows.net"
LAKE = f"abfs://lake@{HOST}"


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """Azurite, known to the session; it has flat names (no hierarchical namespace) and speaks plain HTTP."""
    servers.need_jars("azure")
    with servers.azurite(tmp_path_factory.mktemp("azurite")) as port:
        settings = spark._jsc.hadoopConfiguration()
        for key, value in {
            "fs.azure.abfs.endpoint": f"127.0.0.1:{port}",
            "fs.azure.always.use.https": "false",
            "fs.azure.networking.library": "JDK_HTTP_URL_CONNECTION",
            "fs.azure.account.hns.enabled": "false",
            f"fs.azure.account.auth.type.{HOST}": "SharedKey",
            f"fs.azure.account.key.{HOST}": servers.AZURE_KEY,
            "fs.azure.io.retry.max.retries": "1",
        }.items():
            settings.set(key, value)
        yield LAKE


def test_files_are_written_listed_moved_and_deleted(spark, lake, tmp_path):
    store = store_for(f"{lake}/small", spark)
    store.write_atomic("deep/c.json", b"one")
    store.write_atomic("deep/c.json", b"\x00two\xff")
    store.write_atomic("deep/er/d.json", b"")
    assert store.read_bytes("deep/c.json") == b"\x00two\xff"
    assert [(e.path, e.is_folder) for e in store.list("deep")] == [("deep/c.json", False), ("deep/er", True)]
    assert [(e.path, e.size_bytes) for e in store.walk()] == [("deep/c.json", 5), ("deep/er/d.json", 0)]
    store.rename("deep/c.json", "table=x/e.json")
    store.touch("table=x/e.json")
    assert store.read_bytes("table=x/e.json") == b"\x00two\xff"
    with pytest.raises(FileNotFoundError):
        store.read_bytes("deep/c.json")
    for data in (b"one", b"two" * 10_000):
        (tmp_path / "local").write_bytes(data)
        store.put_file("deep/list.csv", str(tmp_path / "local"))
        store.fetch_file("deep/list.csv", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == data
    assert [e.path for e in store.list("deep")] == ["deep/er", "deep/list.csv"]
    store.delete("deep")
    assert not store.exists("deep/er/d.json")


def test_of_many_who_create_a_file_at_once_one_wins(spark, lake):
    for number in range(12):  # one race in twelve had two winners before writers looked again
        store = store_for(f"{lake}/race-{number}", spark)
        with ThreadPoolExecutor(8) as threads:
            won = list(threads.map(lambda n: store.create_exclusive("lock", b"%d" % n), range(8)))  # noqa: B023 - done here
        assert sum(won) == 1
        assert store.read_bytes("lock") == b"%d" % won.index(True)


def test_readers_see_the_old_or_the_new_file_while_it_is_replaced(spark, lake):
    store = store_for(f"{lake}/swap", spark)
    whole = [bytes([65 + n]) * 20_000 for n in range(6)]
    store.write_atomic("current.json", whole[0])
    with ThreadPoolExecutor(2) as threads:
        reads = [threads.submit(store.read_bytes, "current.json") for _ in range(20)]
        for content in whole[1:]:
            store.write_atomic("current.json", content)
        assert {each.result() for each in reads} <= set(whole)


class Killed(BaseException):
    """What a SIGKILL does to the steps after it."""


@pytest.mark.parametrize(("renames", "seen"), [(0, b"old"), (1, b"new")])
def test_a_writer_that_dies_between_its_steps_leaves_the_old_or_the_new_file(spark, lake, monkeypatch, renames, seen):
    store = HadoopStore(f"{lake}/killed-{renames}", spark)
    store.write_atomic("current.json", b"old")
    real = store._rename
    done: list[str] = []

    def dies(source, target):
        if len(done) == renames:
            monkeypatch.setattr(store, "_fs", None)  # nothing of the writer's runs any more
            raise Killed
        done.append(target.getName())
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(store, "_rename", dies)
        with pytest.raises((Killed, PublicationError)):
            store.write_atomic("current.json", b"new")
    after = store_for(f"{lake}/killed-{renames}", spark)
    assert after.read_bytes("current.json") == seen
    after.write_atomic("current.json", b"newest")
    assert after.read_bytes("current.json") == b"newest"
    after.delete("current.json")
    with pytest.raises(FileNotFoundError):
        after.read_bytes("current.json")


@pytest.mark.parametrize("format", ["parquet", "delta"])
def test_tables_are_read_and_published(spark, lake, tmp_path, format):
    frame = shops.lines(customers=60).rename(columns={"sold at": "sold_at"})
    spark.createDataFrame(frame).write.format(format).save(f"{lake}/lines-{format}")
    file = shops.write_config(
        tmp_path, path=f"{lake}/lines-{format}", format=format, output=f"{lake}/out-{format}", output_format=format
    )
    text = file.read_text().replace("sold at", "sold_at").replace("k: [3, 6], restarts: 5", "k: 3, restarts: 1")
    file.write_text(text.replace("rfm, basket, tenure, rhythm, trend, category_mix", "rfm"))
    first = runs.run(file, spark=spark)
    assert first.rows_of("used") == len(frame)
    second = runs.run(file, spark=spark)
    output = load(file).output
    assert current(output, spark).publication_id == second.publication_id != first.publication_id
    assert read_current(spark, output, "assignments").count() == 60
    store = store_for(output.path, spark)
    with publication_lock(store, run_id="somebody-else"), pytest.raises(LockedError):
        runs.score(file, spark=spark)
