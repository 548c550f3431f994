"""Real servers for tests, on loopback, each in a folder of its own: PostgreSQL, an S3 server (moto), Azurite,
a Kafka broker.

What is not installed skips the test that needs it, with the reason; `.ci/run` installs all of it.
"""

from __future__ import annotations

import base64
import email.utils
import getpass
import hashlib
import hmac
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "Never-To-Be-Seen-9471"
SERVERS = Path(sys.prefix) / "share" / "segengine" / "servers"
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's documented account, the same on every machine."""


def need_jars(extra: str) -> None:
    """Skip unless set-up has placed these JARs."""
    from segengine.jars import installed

    if not installed([extra]):
        pytest.skip(f"the JARs of {extra} are not installed: tools/setup.py --with {extra}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int, folder: Path, **options: object) -> Iterator[None]:
    """The server while the block runs; only its own process is ended."""
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload]  # options of Popen
        try:
            wait_until(lambda: answers(port), f"{command[0]} does not answer: {folder / 'server.log'}", server)
            yield
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def wait_until(true: Callable[[], bool], why: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end or server.poll() is not None:
            raise RuntimeError(why)
        time.sleep(0.1)


@dataclass(frozen=True)
class Postgres:
    port: int
    psql_command: str

    @property
    def url(self) -> str:
        return f"jdbc:postgresql://127.0.0.1:{self.port}/postgres"

    def sql(self, text: str) -> str:
        """Run statements as the owner; what psql printed, without headers."""
        command = [self.psql_command, "-h", "127.0.0.1", "-p", str(self.port), "-U", "reader", "-d", "postgres"]
        answer = subprocess.run(
            [*command, "-v", "ON_ERROR_STOP=1", "-qtA", "-f", "-"],
            input=text,
            env={**os.environ, "PGPASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of our own, run by an unprivileged user, with passwords asked for (SCRAM)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    psql = shutil.which("psql")
    if initdb is None or psql is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    user = unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="segengine-postgres-"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        options = {"user": user, "cwd": folder} if user is not None else {"cwd": folder}
        (folder / "password").write_text(PASSWORD)
        command = [initdb, "-D", "data", "-U", "reader", "-A", "scram-sha-256", "--pwfile=password", "--no-sync"]
        subprocess.run([*command, "-E", "UTF8", "--locale=C"], check=True, capture_output=True, **options)
        port = free_port()
        server = [str(Path(initdb).with_name("postgres")), "-D", "data", "-h", "127.0.0.1", "-p", str(port)]
        quick = ["-k", str(folder), "-c", "fsync=off", "-c", "timezone=Asia/Tokyo"]
        with running([*server, *quick], port, folder, **options):
            it = Postgres(port, psql)
            yield it
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unprivileged_user() -> str | None:
    """Who runs what refuses root; None when that is us."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody", getpass.getuser()) if name in names)


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """An S3 server with a bucket `lake`; its address."""
    python = SERVERS / "moto" / "bin" / "python"
    if not python.exists():
        pytest.skip("moto is not installed: tools/setup.py --with moto")
    port = free_port()
    command = [str(python), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, port, folder, env={"PATH": os.environ["PATH"]}):
        address = f"http://127.0.0.1:{port}"
        login = "AWS4-HMAC-SHA256 Credential=x/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
        request = urllib.request.Request(f"{address}/lake", method="PUT", headers={"Authorization": login})
        urllib.request.urlopen(request).close()
        yield address


@contextmanager
def azurite(folder: Path) -> Iterator[int]:
    """An Azure storage server with a container `lake`; its port. It tells nobody that it runs."""
    main = SERVERS / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    node = shutil.which("node")
    if node is None or not main.exists():
        pytest.skip("Azurite is not installed (Debian: apt install npm): tools/setup.py --with azurite")
    port = free_port()
    flags = ["--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
    command = [node, str(main), "--blobHost", "127.0.0.1", "--blobPort", str(port), *flags]
    with running(command, port, folder, cwd=folder):
        make_container(port, "lake")
        yield port


def make_container(port: int, name: str) -> None:
    headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    told = "".join(f"{key}:{value}\n" for key, value in sorted(headers.items()))
    text = "PUT" + "\n" * 12 + told + f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{name}\nrestype:container"
    digest = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}"
    address = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}/{name}?restype=container"
    urllib.request.urlopen(urllib.request.Request(address, method="PUT", headers=headers)).close()


class Kafka:
    """A broker with a controller of its own (KRaft); what it holds outlives `stop` and is there again after `start`."""

    def __init__(self, folder: Path) -> None:
        from segengine.java import provide_java

        jars = SERVERS / "kafka-broker"
        if not jars.is_dir():
            pytest.skip("a Kafka broker is not installed: tools/setup.py --with kafka-broker")
        import pyspark

        provide_java()
        java = Path(os.environ["JAVA_HOME"]) / "bin" / "java"
        classes = f"{jars}/*:{Path(pyspark.__file__).parent}/jars/*"
        self._java = [str(java), "-Xmx384m", "-XX:TieredStopAtLevel=1", "-cp", classes]
        self._folder, self._port, self._open = folder, free_port(), ExitStack()
        self._properties = folder / "server.properties"
        self._properties.write_text(self._settings(free_port()))
        form = [*self._java, "kafka.tools.StorageTool", "format", "-t", "c2VnZW5naW5lLXRlc3RzLQ", "-c"]
        subprocess.run([*form, str(self._properties)], check=True, capture_output=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def _settings(self, controller: int) -> str:
        return f"""
            process.roles=broker,controller
            node.id=1
            controller.quorum.voters=1@127.0.0.1:{controller}
            listeners=PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller}
            advertised.listeners=PLAINTEXT://{self.address}
            controller.listener.names=CONTROLLER
            listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
            log.dirs={self._folder / "data"}
            num.partitions=2
            offsets.topic.replication.factor=1
            transaction.state.log.replication.factor=1
            transaction.state.log.min.isr=1
            group.initial.rebalance.delay.ms=0
        """

    def start(self) -> None:
        self._open.enter_context(running([*self._java, "kafka.Kafka", str(self._properties)], self._port, self._folder))

    def stop(self) -> None:
        self._open.close()


@contextmanager
def kafka(folder: Path) -> Iterator[Kafka]:
    """A Kafka broker on loopback; topics are made when they are written to, with two partitions."""
    broker = Kafka(folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
