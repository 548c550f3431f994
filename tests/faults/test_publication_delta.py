"""Delta publications under failure: pinned readers always see one publication; what was interrupted is undone."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

from segengine import tables as declared
from segengine.config import Output
from segengine.errors import PublicationError
from segengine.io.files import LocalStore
from segengine.publish import delta, delta_log
from segengine.publish.publication import current, publish
from segengine.tables import by_name
from tests.publications import AS_OF, FEW, arguments, only, tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.faults


@pytest.fixture(autouse=True)
def few_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    only(FEW, monkeypatch)


def output(folder: Path) -> Output:
    return Output(path=str(folder / "out"), format="delta", keep_publications=5)


def table(folder: Path, name: str, version: int | None = None) -> list[dict[str, Any]]:
    found = DeltaTable(str(folder / "out" / "gold" / name), version=version).to_pyarrow_table().to_pylist()
    return sorted(found, key=str)


def pinned(folder: Path) -> dict[str, Any]:
    """What a reader sees who takes the recorded versions."""
    found = current(output(folder))
    assert found is not None
    return {name: table(folder, name, version) for name, version in found.table_versions.items()}


def newest(folder: Path) -> dict[str, Any]:
    """What a reader sees who takes every table as it is."""
    return {name: table(folder, name) for name in tables("x")}


def fail_at(step: str) -> Callable[[str], None]:
    def done(taken: str) -> None:
        if taken == step:
            raise RuntimeError("a task failed")

    return done


class Crash(BaseException):
    """Ends a publication as SIGKILL does: nothing is put back."""


def crash_at(step: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.setattr(delta, "_put_back", lambda *_: None)

    def done(taken: str) -> None:
        if taken == step:
            raise Crash

    return done


def test_failures_and_crashes_between_commits_are_undone(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = output(tmp_path)
    publish(tables("p1"), **arguments(out, "p1", spark=spark))
    before = pinned(tmp_path)
    assert newest(tmp_path) == before
    for step in ("written assignments", "written runs"):
        with pytest.raises(PublicationError):
            publish(tables("p2", customers=9), **arguments(out, "p2", spark=spark, done=fail_at(step)))
        assert pinned(tmp_path) == before, step
        assert newest(tmp_path) == before, step
    with monkeypatch.context() as patched, pytest.raises(Crash):
        publish(
            tables("p3", customers=9),
            **arguments(out, "p3", spark=spark, done=crash_at("written segment_kpis", patched)),
        )
    assert pinned(tmp_path) == before
    assert newest(tmp_path) != before
    with pytest.raises(PublicationError):
        publish(tables("p4"), **arguments(out, "p4", spark=spark, done=fail_at("recovered")))
    assert newest(tmp_path) == before
    made = publish(tables("p5", customers=5), **arguments(out, "p5", spark=spark))
    assert pinned(tmp_path) == newest(tmp_path)
    assert len(pinned(tmp_path)["assignments"]) == 5
    assert {row["publication_id"] for row in table(tmp_path, "publications")} == {"p1", "p5"}
    assert current(out) == made


def test_rows_of_a_version_without_the_lifetime_values_stay_with_nulls_and_the_change_is_told(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, now = output(tmp_path), by_name("segment_kpis")
    new = [c.name for c in now.columns if "lifetime" in c.name or "expected" in c.name]
    before = replace(now, columns=tuple(c for c in now.columns if c.name not in new))
    earlier = tables("p1", as_of=AS_OF - dt.timedelta(days=30))
    earlier["segment_kpis"] = earlier["segment_kpis"].drop_columns(new)
    with monkeypatch.context() as patched:
        patched.setattr(declared, "TABLES", tuple(before if t.name == now.name else t for t in declared.TABLES))
        publish(earlier, **arguments(out, "p1", spark=spark))
    publish(tables("p2"), **arguments(out, "p2", spark=spark))
    first, second = sorted(table(tmp_path, "segment_kpis"), key=lambda row: row["as_of"])
    assert len(new) == 4
    assert {first[name] for name in new} == {None}
    assert None not in {second[name] for name in new}
    told = json.loads(DeltaTable(str(tmp_path / "out" / "gold" / "segment_kpis")).history(1)[0]["userMetadata"])
    assert sorted(text.split(" ")[0] for text in told["added"]) == sorted(new)


def test_a_first_publication_that_crashed_leaves_nothing_that_the_next_would_mix_in(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = output(tmp_path)
    with monkeypatch.context() as patched, pytest.raises(Crash):
        publish(tables("p1"), **arguments(out, "p1", spark=spark, done=crash_at("written dates", patched)))
    assert current(out) is None
    with pytest.raises(PublicationError):
        publish(tables("p2"), **arguments(out, "p2", spark=spark, done=fail_at("recovered")))
    assert [e.name for e in LocalStore(out.path).list("gold")] == []


def test_maintenance_by_others_is_not_undone_and_tables_suit_power_bi(spark: SparkSession, tmp_path: Path) -> None:
    out = output(tmp_path)
    publish(tables("p1"), **arguments(out, "p1", spark=spark))
    store, folder = LocalStore(out.path), "gold/customers"
    spark.sql(f"ALTER TABLE delta.`{store.uri(folder)}` SET TBLPROPERTIES ('note' = 'of the administrator')")
    assert delta_log.latest_version(store, folder) == 1
    delta.recover(store, spark, current(out))
    assert delta_log.latest_version(store, folder) == 1
    found = DeltaTable(f"{out.path}/gold/customers")
    assert found.protocol().reader_features in (None, [])
    assert found.protocol().min_reader_version == 1
    properties = found.metadata().configuration
    assert properties["delta.enableDeletionVectors"] == "false"
    assert (
        properties["delta.logRetentionDuration"]
        == properties["delta.deletedFileRetentionDuration"]
        == "interval 520 weeks"
    )
    publish(tables("p2"), **arguments(out, "p2", spark=spark))
    assert pinned(tmp_path) == newest(tmp_path)


CHILD = """
import sys, time
import pytest
from segengine.config import Output
from segengine.publish.publication import publish
from segengine.session import open_session
from segengine.tables import by_name
from tests.publications import AS_OF, FEW, arguments, only, tables
only(FEW, pytest.MonkeyPatch())
out = Output(path=sys.argv[1], format="delta", keep_publications=5)
def done(step):
    print(step, flush=True)
    if step == "written assignments":
        time.sleep(600)
with open_session(delta=True, master="local[1]") as spark:
    publish(tables("p2", customers=9), **arguments(out, "p2", spark=spark, done=done))
"""


def test_sigkill_between_two_commits_is_undone_by_the_next_run(spark: SparkSession, tmp_path: Path) -> None:
    out = output(tmp_path)
    publish(tables("p1"), **arguments(out, "p1", spark=spark))
    before = pinned(tmp_path)
    free = {name: value for name, value in os.environ.items() if not name.startswith("PYSPARK_GATEWAY")}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, out.path], stdout=subprocess.PIPE, text=True, env=free, start_new_session=True
    )
    try:
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip() == "written assignments":
                break
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close() if child.stdout else None
    time.sleep(0.1)
    assert pinned(tmp_path) == before
    publish(tables("p3"), **arguments(out, "p3", spark=spark))
    assert pinned(tmp_path) == newest(tmp_path)
    assert {row["publication_id"] for row in table(tmp_path, "publications")} == {"p1", "p3"}
