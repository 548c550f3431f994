"""Sessions on a Spark Connect server: how one is opened, and what is refused there before any work is done."""

from __future__ import annotations

import atexit
import gc
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from segengine.errors import ConfigError, InfrastructureError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segengine.config import Config

__all__ = [
    "REMOTE",
    "collected_at_the_end",
    "connect_session",
    "free_models_before_exit",
    "is_connect",
    "refuse_what_connect_lacks",
    "require_shared_output",
]

REMOTE = "SPARK_REMOTE"
"""Spark's own variable: the address of a Connect server, such as sc://host:15002."""

OLDEST_SPARK = (4, 0)
"""Spark ML works over Connect from here on."""

DEFAULT_PORT = 15002
REACH_SECONDS = 10
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")


class SmallFiles(Protocol):
    """The part of `segengine.io.files.Store` that is needed here."""

    def uri(self, rel: str = "") -> str: ...


def is_connect(spark: SparkSession) -> bool:
    """Whether a session talks to a Connect server instead of a JVM of its own process."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


@cache
def free_models_before_exit() -> None:
    """Forget what holds models of a server before Python ends, once a process.

    Spark asks the server to free a model when Python collects it; asked while Python ends, the call never returns.
    """
    atexit.register(gc.collect)


@contextmanager
def collected_at_the_end() -> Iterator[None]:
    """Keep Python's collector of cycles from running within the block; it runs once after it.

    A model of a server that is collected asks the server to free it, through a pool of threads, whatever the thread
    does at that moment. When it is starting a task in another pool, it holds a lock that the call waits for: for ever.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
        gc.collect()


def connect_session(remote: str) -> SparkSession:
    """A session on the server at `remote` (sc://host:port/;param=value).

    Raises ConfigError for an address of another kind, InfrastructureError when nobody answers there or the packages of
    a client are missing. The parameters may hold a token: they are never repeated.
    """
    import pyspark
    from pyspark.sql import SparkSession as Sessions

    address = _address(remote)
    refuse_what_connect_lacks(None, client=pyspark.__version__)
    _require_answer(*address)

    try:
        session: SparkSession = Sessions.builder.remote(remote).getOrCreate()
        session.version  # noqa: B018  the first question that the server must answer
    except ImportError as error:
        raise InfrastructureError(
            "Spark Connect needs packages that are not installed here.",
            found=str(error).splitlines()[0][:300],
            todo='pip install "segengine[connect]"',
        ) from error
    except Exception as error:
        raise InfrastructureError(
            "The Spark Connect server did not open a session.",
            where=f"{REMOTE}: sc://{address[0]}:{address[1]}",
            found=type(error).__name__,
            todo="Check address, token and the server's log; it must run the same line of Spark as this pyspark.",
        ) from error
    return session


def _address(remote: str) -> tuple[str, int]:
    parts = urlsplit(remote)
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        port = 0
    if parts.scheme != "sc" or not parts.hostname or not port:
        raise ConfigError(
            "This is not the address of a Spark Connect server.",
            where=REMOTE,
            found=f"{parts.scheme}://..." if "://" in remote else "no scheme",
            todo="Write sc://host:15002, or leave it out to use a classic session.",
        )
    return parts.hostname, port


def _require_answer(host: str, port: int) -> None:
    """pyspark tries for ten minutes to reach a server that is not there; this asks once. Not through a proxy."""
    if any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES):
        return
    try:
        socket.create_connection((host, port), timeout=REACH_SECONDS).close()
    except OSError as error:
        raise InfrastructureError(
            "The Spark Connect server does not answer.",
            where=f"{REMOTE}: sc://{host}:{port}",
            found=error.strerror or type(error).__name__,
            todo="Start it, correct the address, or leave it out to use a classic session.",
        ) from error


def refuse_what_connect_lacks(config: Config | None, *, client: str, server: str | None = None) -> None:
    """InfrastructureError for a Spark without ML over Connect; ConfigError for files that only Hadoop reaches.

    `client`, `server`: versions such as "4.2.0"; none while there is no answer yet.
    """
    for side, version in (("This pyspark", client), ("The server", server)):
        if version is not None and _line(version) < OLDEST_SPARK:
            raise InfrastructureError(
                "Spark Connect serves segengine from Spark 4.0 on: before, it has no Spark ML.",
                found=f"{side} is {version}",
                todo="Use a server and a pyspark of 4.0 or newer, or a classic session (spark-submit, local mode).",
            )
    if config is None:
        return
    tables = {"transactions": config.tables.transactions, "customers": config.tables.customers}
    paths = {f"tables.{name}.path": table.path for name, table in tables.items() if table is not None}
    paths["output.path"] = config.output.path
    for key, path in paths.items():
        if path and "://" in path and not path.lower().startswith("file:"):
            raise ConfigError(
                "Over Spark Connect, files on this store cannot be listed, checked or replaced.",
                where=f"{key}: {path}",
                todo="Use a folder that this machine and the server share, name a table of the catalog "
                "(tables.x.table), or run the job with spark-submit.",
            )


def _line(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def require_shared_output(spark: SparkSession, store: SmallFiles, rel: str, content: str) -> None:
    """InfrastructureError unless the server reads `content` in a file that was just written to a local output."""
    try:
        rows = spark.read.text(store.uri(rel), wholetext=True).take(1)
        found = bool(rows) and rows[0][0] == content
    except Exception as error:
        raise _not_shared(store, type(error).__name__) from error
    if not found:
        raise _not_shared(store, "another content")


def _not_shared(store: SmallFiles, found: str) -> InfrastructureError:
    return InfrastructureError(
        "The Spark Connect server does not see the output folder of this machine.",
        where=f"output.path: {store.uri()}",
        found=found,
        todo="Use a folder that both share under the same path, or run the job with spark-submit.",
    )
