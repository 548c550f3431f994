"""Spark's work beside other work: in threads that know the session, with workers that have loaded what they need."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pyarrow as pa
import pyspark
import pytest

from segengine.beside import beside
from segengine.errors import PublicationError
from segengine.publish.shape import made

SINCE_4_1 = tuple(map(int, pyspark.__version__.split(".")[:2])) >= (4, 1)


def test_work_in_a_thread_has_the_settings_and_properties_of_where_it_was_begun(spark):
    other = spark.newSession()  # not the default one, whose settings a thread would find by itself
    other.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    spark.sparkContext.setLocalProperty("segengine.test", "here")

    def told() -> tuple[int, str, str]:
        settings = spark._jvm.org.apache.spark.sql.internal.SQLConf.get()
        here = spark.sparkContext.getLocalProperty("segengine.test")
        return threading.get_ident(), settings.sessionLocalTimeZone(), here

    try:
        with beside(other) as submit:
            found = submit(told)
        assert found.result()[0] != threading.get_ident()
        assert found.result()[1:] == ("Asia/Tokyo", "here")
    finally:
        spark.sparkContext.setLocalProperty("segengine.test", None)


def test_an_error_comes_with_the_result_and_everything_has_ended_by_then(spark):
    ended = []

    def slow() -> int:
        count: int = spark.range(10).count()
        ended.append(count)
        return count

    def failing() -> None:
        raise ZeroDivisionError

    with beside(spark, 2) as submit:
        first, second = submit(slow), submit(failing)
    assert ended == [10] == [first.result()]
    with pytest.raises(ZeroDivisionError):
        second.result()


def test_where_the_block_fails_what_waits_for_a_thread_is_dropped(spark):
    begun, go_on = threading.Event(), threading.Event()

    def running() -> None:
        begun.set()
        go_on.wait(60)

    with pytest.raises(ZeroDivisionError), beside(spark) as submit:
        first, second = submit(running), submit(go_on.is_set)
        begun.wait(60)
        threading.Timer(0.2, go_on.set).start()
        raise ZeroDivisionError
    assert first.done()
    assert second.cancelled()


def test_without_a_session_work_is_done_at_once():
    with beside(None) as submit:
        future = submit(threading.get_ident)
        assert future.done()
        assert future.result() == threading.get_ident()
        with pytest.raises(KeyError):
            submit(lambda: dict[str, int]()["nothing"]).result()


def test_workers_are_forked_from_what_has_loaded_everything_and_is_not_looked_through_again(spark):
    def told(batches):
        import gc
        import sys

        for _ in batches:
            pass
        values = ["pyarrow.compute" in sys.modules, gc.get_freeze_count() > 10_000]
        yield pa.RecordBatch.from_pydict({"told": values})

    rows = spark.range(0, 1, 1, 1).mapInArrow(told, "told boolean").collect()
    assert spark.conf.get("spark.python.daemon.module") == "segengine.workers"
    assert [row["told"] for row in rows] == [True, True]
    if SINCE_4_1:
        assert spark.conf.get("spark.python.unix.domain.socket.enabled") == "true"
        folder = Path(spark.conf.get("spark.python.unix.domain.socket.dir"))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert list(folder.iterdir())


def test_a_table_that_is_made_late_is_checked_like_any_other():
    with pytest.raises(PublicationError, match="column"):
        made(lambda: pa.table({"kpi": ["Customers"]}), "expected_kpis", "p1")
    rows = pa.table({"kpi": ["Customers"]})
    assert made(rows, "expected_kpis", "p1") is rows
