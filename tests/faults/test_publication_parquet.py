"""Parquet publications under failure: at every step readers see the old or the new publication, whole. No JVM."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from segengine.config import Output
from segengine.errors import PublicationError
from segengine.io.files import LocalStore
from segengine.publish.publication import current, publish
from tests.publications import AS_OF, arguments, tables

pytestmark = pytest.mark.faults

STEPS = [
    "locked",
    "swept",
    *(f"written {name}" for name in (*tables("x"), "publications")),
    "checked",
]
AFTER = ["visible", "old ones deleted"]


def output(folder: Path, keep: int = 5) -> Output:
    return Output(path=str(folder / "out"), format="parquet", keep_publications=keep)


def state(folder: Path) -> dict[str, Any]:
    """Everything a reader sees of the current publication, read as a stranger would: the pointer, then the tables."""
    gold = folder / "out" / "gold"
    pointer = json.loads((gold / "current.json").read_text())
    return {
        name: pd.read_parquet(gold / pointer["folder"] / name).astype(str).values.tolist()
        for name in sorted(p.name for p in (gold / pointer["folder"]).iterdir())
    }


def fail_at(step: str, error: BaseException) -> Callable[[str], None]:
    def done(taken: str) -> None:
        if taken == step:
            raise error

    return done


def leftovers(folder: Path) -> set[str]:
    """What is in gold beside the publications that can be read."""
    gold = folder / "out" / "gold"
    kept = json.loads((gold / "current.json").read_text())["kept"]
    names = {p.name for p in gold.iterdir()} | {f"publications/{p.name}" for p in (gold / "publications").iterdir()}
    return names - {"current.json", "publications"} - {f"publications/{name}" for name in kept}


def test_a_publication_has_every_table_and_the_pointer_names_it(tmp_path: Path) -> None:
    made = publish(tables("p1"), **arguments(output(tmp_path), "p1"))
    assert made.folder == "publications/p1"
    assert current(output(tmp_path)) == made
    assert sorted(state(tmp_path)) == sorted([*tables("x"), "publications"])
    assert leftovers(tmp_path) == set()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [RuntimeError("a task failed"), KeyboardInterrupt()], ids=["error", "ctrl-c"])
def test_a_failure_at_any_step_leaves_the_previous_publication_and_nothing_else(
    tmp_path: Path, step: str, error: BaseException
) -> None:
    publish(tables("p1"), **arguments(output(tmp_path), "p1"))
    before = state(tmp_path)
    with pytest.raises((PublicationError, KeyboardInterrupt)):
        publish(tables("p2", customers=9), **arguments(output(tmp_path), "p2", done=fail_at(step, error)))
    assert state(tmp_path) == before
    assert leftovers(tmp_path) == set()
    publish(tables("p3"), **arguments(output(tmp_path), "p3"))


CHILD = """
import os, signal, sys
from segengine.config import Output
from segengine.publish.publication import publish
from tests.publications import arguments, tables
def done(step):
    if step == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)
out = Output(path=sys.argv[1], format="parquet", keep_publications=5)
publish(tables(sys.argv[2], customers=9), **arguments(out, sys.argv[2], done=done))
"""


def child(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHILD, *words], capture_output=True, text=True, timeout=120, check=False, **more
    )


@pytest.mark.parametrize("step", ["locked", "swept", "written assignments", "written publications", "checked", *AFTER])
def test_sigkill_at_any_step_leaves_one_whole_publication_and_the_next_run_cleans_up(tmp_path: Path, step: str) -> None:
    publish(tables("p1"), **arguments(output(tmp_path), "p1"))
    before = state(tmp_path)
    assert child(str(tmp_path / "out"), "p2", step).returncode == -signal.SIGKILL
    now = current(output(tmp_path))
    assert now is not None
    assert now.publication_id == ("p2" if step in AFTER else "p1")
    if step not in AFTER:
        assert state(tmp_path) == before
    publish(tables("p3"), **arguments(output(tmp_path), "p3"))
    assert leftovers(tmp_path) == set()
    assert (tmp_path / "out" / "gold" / "publications" / "p2").exists() == (step in AFTER)


def test_the_first_publication_killed_leaves_no_publication_and_the_next_run_succeeds(tmp_path: Path) -> None:
    assert child(str(tmp_path / "out"), "p1", "checked").returncode == -signal.SIGKILL
    assert current(output(tmp_path)) is None
    publish(tables("p2"), **arguments(output(tmp_path), "p2"))
    assert leftovers(tmp_path) == set()


def small_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [0, 600, 3000], ids=["not even a lock", "some files", "most files"])
def test_a_disk_that_takes_no_more_is_a_publication_error_and_leaves_no_trace(tmp_path: Path, size: int) -> None:
    publish(tables("p1"), **arguments(output(tmp_path), "p1"))
    before = state(tmp_path)
    done = child(str(tmp_path / "out"), "p2", "never", preexec_fn=lambda: small_files(size))
    assert done.returncode == 1
    assert "PublicationError" in done.stderr
    assert state(tmp_path) == before
    assert leftovers(tmp_path) == set()


def test_an_output_that_cannot_be_a_folder_is_a_publication_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(PublicationError) as refused:
        publish(tables("p1"), **arguments(output(tmp_path), "p1"))
    assert refused.value.exit_code == 5
    assert (tmp_path / "out").read_text() == "a file"


class Torn(LocalStore):
    """A store that replaces the pointer and then reports a failure, as a network can."""

    def write_atomic(self, rel: str, data: bytes) -> None:
        super().write_atomic(rel, data)
        if rel.endswith("current.json"):
            raise PublicationError("The answer got lost.")


def test_a_swap_that_happened_though_it_seemed_to_fail_keeps_its_tables(tmp_path: Path) -> None:
    with pytest.raises(PublicationError, match="got lost"):
        publish(tables("p1"), **arguments(output(tmp_path), "p1", store=Torn(str(tmp_path / "out"))))
    assert sorted(state(tmp_path)) == sorted([*tables("x"), "publications"])


class Lossy(LocalStore):
    """A store that loses a table's rows on the way."""

    def write_atomic(self, rel: str, data: bytes) -> None:
        import io

        import pyarrow.parquet as pq

        if rel.startswith("gold/publications/") and "/customers/" in rel:
            sink = io.BytesIO()
            pq.write_table(pq.read_table(io.BytesIO(data)).slice(1), sink)
            data = sink.getvalue()
        super().write_atomic(rel, data)


def test_rows_lost_on_the_way_are_found_before_anything_is_visible(tmp_path: Path) -> None:
    publish(tables("p1"), **arguments(output(tmp_path), "p1"))
    with pytest.raises(PublicationError, match="not what was written") as refused:
        publish(tables("p2"), **arguments(output(tmp_path), "p2", store=Lossy(str(tmp_path / "out"))))
    assert "2 rows where 3 were meant" in str(refused.value)
    assert leftovers(tmp_path) == set()


@pytest.mark.parametrize("keep", [1, 3])
def test_only_so_many_publications_are_kept_and_never_fewer_than_the_one_before(tmp_path: Path, keep: int) -> None:
    for n in range(5):
        publish(tables(f"p{n}"), **arguments(output(tmp_path, keep), f"p{n}"))
    folders = sorted(p.name for p in (tmp_path / "out" / "gold" / "publications").iterdir())
    assert folders == [f"p{n}" for n in range(5 - max(keep, 2), 5)]
    assert len(state(tmp_path)["publications"]) == 5


def test_the_same_run_twice_gives_equal_rows(tmp_path: Path) -> None:
    publish(tables("p1"), **arguments(output(tmp_path), "p1"))
    before = state(tmp_path)
    publish(tables("p2"), **arguments(output(tmp_path), "p2"))
    after = state(tmp_path)
    for name in set(before) - {"publications"}:
        rows = json.dumps(after[name]).replace("p2", "p1")
        assert rows == json.dumps(before[name]), name


def test_published_times_only_grow_even_when_the_clock_goes_back(tmp_path: Path) -> None:
    first = publish(tables("p1"), **arguments(output(tmp_path), "p1"))
    second = publish(tables("p2"), **arguments(output(tmp_path), "p2", now=AS_OF.replace(year=2020)))
    assert second.published_at > first.published_at


def test_readers_never_see_a_part_while_fifty_publications_are_made(tmp_path: Path) -> None:
    publish(tables("p0", customers=1), **arguments(output(tmp_path), "p0"))
    stop, seen = threading.Event(), set()
    wrong: list[tuple[str, object]] = []

    def read() -> None:
        while not stop.is_set():
            try:
                gold = tmp_path / "out" / "gold"
                folder = gold / json.loads((gold / "current.json").read_text())["folder"]
                query = f"select count(*), min(publication_id), max(publication_id) from '{folder}/%s/*.parquet'"
                with duckdb.connect() as connection:
                    found = [connection.execute(query % name).fetchone() for name in ("assignments", "customers")]
                number = int(folder.name[1:])
                seen.add(number)
                if found != [(number + 1, folder.name, folder.name)] * 2:
                    wrong.append((folder.name, found))
            except Exception as error:  # noqa: BLE001 - any error of a reader is what this test is looking for
                wrong.append(("error", error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for n in range(1, 50):
            publish(tables(f"p{n}", customers=n + 1), **arguments(output(tmp_path, keep=20), f"p{n}"))
            time.sleep(0.01)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert len(seen) > 5


def test_an_id_is_published_once(tmp_path: Path) -> None:
    publish(tables("p1"), **arguments(output(tmp_path), "p1"))
    with pytest.raises(PublicationError, match="of that id already"):
        publish(tables("p1"), **arguments(output(tmp_path), "p1"))
    assert sorted(state(tmp_path)) == sorted([*tables("x"), "publications"])


def test_a_damaged_pointer_is_told_and_not_overwritten(tmp_path: Path) -> None:
    publish(tables("p1"), **arguments(output(tmp_path), "p1"))
    pointer = tmp_path / "out" / "gold" / "current.json"
    pointer.write_text("{}")
    with pytest.raises(PublicationError, match="cannot be read") as refused:
        publish(tables("p2"), **arguments(output(tmp_path), "p2"))
    assert "current.json" in str(refused.value)
    assert pointer.read_text() == "{}"
    assert (tmp_path / "out" / "gold" / "publications" / "p1").exists()


def test_tables_that_do_not_make_a_publication_are_refused(tmp_path: Path) -> None:
    made = tables("p1")
    del made["dates"]
    with pytest.raises(PublicationError, match="Not the tables") as refused:
        publish(made, **arguments(output(tmp_path), "p1"))
    assert "dates" in str(refused.value)
    with pytest.raises(PublicationError, match="another publication"):
        publish(tables("p0"), **arguments(output(tmp_path), "p1"))
    assert current(output(tmp_path)) is None
