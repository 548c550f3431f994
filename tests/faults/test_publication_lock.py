"""The publication lock: one holder, named to the others; dead holders do not block, slow ones are found out."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from segengine.config import Output
from segengine.errors import LockedError, PublicationError
from segengine.io.files import LocalStore
from segengine.publish.lock import LOCK, publication_lock, require_lock
from segengine.publish.publication import current, publish
from tests.publications import arguments, tables

pytestmark = pytest.mark.faults


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "out"))


def change_lock(store: LocalStore, **changed: Any) -> None:
    store.write_atomic(LOCK, json.dumps(json.loads(store.read_bytes(LOCK)) | changed).encode())


def hold(store: LocalStore, **changed: Any) -> None:
    """Leave a lock behind, as a crashed run does."""
    with publication_lock(store, run_id="old", owner="anna"):
        data = store.read_bytes(LOCK)
    store.write_atomic(LOCK, data)
    change_lock(store, **changed)


def ago(**span: float) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(**span)).isoformat()


def test_a_second_publisher_is_told_who_holds_the_lock_and_since_when(store: LocalStore) -> None:
    with publication_lock(store, run_id="r1", owner="anna"):
        change_lock(store, taken_at=ago(minutes=7))
        with pytest.raises(LockedError) as refused, publication_lock(store, run_id="r2", owner="ben"):
            pass
    assert refused.value.exit_code == 5
    for part in ("anna", "r1", "since 7 min", str(os.getpid())):
        assert part in str(refused.value)
    assert not store.exists(LOCK)


def test_the_run_that_holds_the_lock_goes_straight_in_and_keeps_it(store: LocalStore) -> None:
    with publication_lock(store, run_id="r1"):
        with publication_lock(store, run_id="r1"):
            pass
        assert store.exists(LOCK)
    assert not store.exists(LOCK)


def test_a_lock_of_a_dead_process_on_this_machine_is_broken_at_once(store: LocalStore, caplog: Any) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    hold(store, pid=dead.pid, process="1")
    with caplog.at_level(logging.WARNING), publication_lock(store, run_id="new"):
        pass
    assert f"process {dead.pid} is gone" in caplog.text
    assert [e.name for e in store.list("gold")] == []


def test_a_lock_of_an_earlier_process_with_the_same_number_is_broken(store: LocalStore) -> None:
    hold(store, process="1")
    with publication_lock(store, run_id="new"):
        pass


def test_a_lock_without_a_sign_of_life_for_ten_minutes_is_broken_wherever_it_came_from(store: LocalStore) -> None:
    hold(store, host="elsewhere", heartbeat_at=ago(minutes=9))
    with pytest.raises(LockedError), publication_lock(store, run_id="new"):
        pass
    hold_again = json.loads(store.read_bytes(LOCK))
    change_lock(store, heartbeat_at=ago(minutes=11))
    assert hold_again["host"] == "elsewhere"
    with publication_lock(store, run_id="new"):
        assert json.loads(store.read_bytes(LOCK))["run_id"] == "new"


def test_a_process_of_another_container_is_not_taken_for_dead(store: LocalStore) -> None:
    hold(store, pid=2**22 - 1, space="pid:[1]")
    with pytest.raises(LockedError), publication_lock(store, run_id="new"):
        pass


def test_an_unreadable_lock_is_broken(store: LocalStore) -> None:
    store.write_atomic(LOCK, b"")
    with publication_lock(store, run_id="new"):
        pass


def test_the_lock_shows_signs_of_life_while_it_is_held(store: LocalStore) -> None:
    with publication_lock(store, run_id="r1", heartbeat=0.02):
        first = json.loads(store.read_bytes(LOCK))["heartbeat_at"]
        for _ in range(200):
            if json.loads(store.read_bytes(LOCK))["heartbeat_at"] > first:
                break
            time.sleep(0.02)
        else:
            pytest.fail("no sign of life")


def test_a_holder_taken_for_dead_finds_out_before_it_makes_anything_visible(store: LocalStore, tmp_path: Path) -> None:
    out = Output(path=str(tmp_path / "out"))
    publish(tables("p1"), **arguments(out, "p1"))

    def stolen(step: str) -> None:
        if step == "checked":
            change_lock(store, heartbeat_at=ago(hours=1))
            publish(tables("p3"), **arguments(out, "p3"))

    with pytest.raises(PublicationError, match="lock was lost"):
        publish(tables("p2"), **arguments(out, "p2", done=stolen))
    now = current(out)
    assert now is not None
    assert (now.publication_id, now.kept) == ("p3", ("p3", "p1"))
    assert sorted(p.name for p in (tmp_path / "out" / "gold" / "publications").iterdir()) == ["p1", "p3"]


def test_a_lost_lock_is_not_deleted_by_its_former_holder(store: LocalStore) -> None:
    with publication_lock(store, run_id="r1") as mine:
        change_lock(store, run_id="thief")
        with pytest.raises(PublicationError, match="lock was lost"):
            require_lock(store, mine)
    assert json.loads(store.read_bytes(LOCK))["run_id"] == "thief"


def test_of_many_publishers_at_once_one_wins_at_a_time_and_no_publication_is_mixed(tmp_path: Path) -> None:
    out = Output(path=str(tmp_path / "out"))
    won, refused = [], []

    def attempt(name: str) -> None:
        try:
            publish(tables(name), **arguments(out, name))
            won.append(name)
        except LockedError:
            refused.append(name)

    threads = [threading.Thread(target=attempt, args=(f"p{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) + len(refused) == 6
    now = current(out)
    assert now is not None
    assert won
    assert sorted(now.kept) == sorted(won)[-5:] or set(now.kept) <= set(won)
    assert not (tmp_path / "out" / "gold" / "_lock").exists()
