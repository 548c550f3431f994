"""One Spark session for all tests that need one, made on first use, and the time zone of the machine put back after."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


FIRST_COMPILER = (
    "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m "
    "-XX:+IgnoreUnrecognizedVMOptions -XX:+UnlockDiagnosticVMOptions -XX:-AOTReplayTraining"
)
"""Tests are short: the compiler that only long runs gain from would take half of their processor time. What Java 25
learned of it in set-up then only delays the first one; older Javas do not know that option."""


def pytest_configure(config: pytest.Config) -> None:
    """Quick starts, and warnings that are not ours.

    Older pysparks leave sockets to the garbage collector; 3.5 also uses what is deprecated elsewhere.
    """
    os.environ.setdefault("SEGENGINE_JAVA_OPTIONS", FIRST_COMPILER)
    line = tuple(map(int, importlib.metadata.version("pyspark").split(".")[:2]))
    ignored = ["unclosed <socket:ResourceWarning"] if line < (4, 2) else []
    if line < (4, 0):
        ignored.append("distutils Version classes:DeprecationWarning")
        ignored.append("is_[a-z0-9]+_dtype is deprecated:DeprecationWarning")
    for what in ignored:
        config.addinivalue_line("filterwarnings", f"ignore:{what}")


SLOWEST_ROOMS = ("jobs", "faults", "spark", "browser")
"""Folders whose files take minutes. They come first: what is last should be short where processes share the work."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rooms = [*SLOWEST_ROOMS, ""]
    items.sort(key=lambda item: rooms.index(item.path.parent.name if item.path.parent.name in rooms else ""))


INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
"""For a few hundred rows it takes longer to compile a plan than to interpret it: a third of a run's processor time."""


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A local session with Delta, the extras that set-up has placed, and our settings, times in UTC."""
    os.environ.setdefault("SEGENGINE_MASTER", "local[2]")
    from segengine.jars import EXTRAS
    from segengine.session import open_session

    with open_session(delta=True, extras=EXTRAS) as session:
        session.conf.set("spark.sql.shuffle.partitions", "2")
        for key, value in INTERPRETED.items():
            session.conf.set(key, value)
        yield session


@pytest.fixture(scope="module")
def compiled(spark: SparkSession) -> Iterator[None]:
    """Plans are compiled while the tests of a module run, as they are for users."""
    for key in INTERPRETED:
        spark.conf.unset(key)
    yield
    for key, value in INTERPRETED.items():
        spark.conf.set(key, value)


@pytest.fixture
def repository() -> Path:
    """The folder of the checkout."""
    return Path(__file__).resolve().parents[1]
