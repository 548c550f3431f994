"""What a session of local mode is started with: Java's options, Python workers, memory, partitions."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from segengine import java, workers

__all__ = ["CLASS_ARCHIVE", "HUGE_METHODS", "LATER_C2", "LEARNED", "LOGS", "local_options", "worker_options"]

LOGS = "SEGENGINE_SPARK_LOGS"
"""Set this variable to see what Java and Spark say."""
JAVA_OPTIONS = "SEGENGINE_JAVA_OPTIONS"
"""Set this variable to more options of Java, for sessions in local mode."""
CLASS_ARCHIVE = "spark-classes.jsa"
"""What set-up has Java write (tools/archive_classes.py), beside the folder of JARs."""
LEARNED = "spark.aot"
"""The same of the Java that set-up placed: classes with their links, and which methods are worth compiling."""
HUGE_METHODS = "-XX:-DontCompileHugeMethods"
"""Has Java compile methods beyond 8,000 bytes, which Spark makes of tables with many mapped columns."""
LATER_C2 = (
    "-XX:Tier4InvocationThreshold=25000",
    "-XX:Tier4MinInvocationThreshold=3000",
    "-XX:Tier4CompileThreshold=75000",
    "-XX:Tier4BackEdgeThreshold=200000",
)
"""Has Java's second compiler wait five times as long as by default: in a session of minutes, much of what it is given
never pays for it. A third of its time less, and loops over rows reach it all the same."""
LONGEST_FOLDER = 60
"""Characters of the path of a socket are 103 on some systems, and Spark's names have 43."""


def local_options() -> dict[str, str]:
    """Settings of a session whose driver does all the work."""
    cores = os.cpu_count() or 2
    quiet = Path(__file__).with_name("log4j2.properties")
    # JDBC drivers and ORC pass wall clock through Java's zone, and UTC skips no hour.
    java_options = ["-XX:+UseParallelGC", HUGE_METHODS, *LATER_C2, "-Duser.timezone=UTC", *_quick_start()]
    java_options += os.environ.get(JAVA_OPTIONS, "").split()
    if not os.environ.get(LOGS):
        java_options.append(f"-Dlog4j2.configurationFile={quiet.as_uri()}")
    return {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.driver.memory": os.environ.get("SEGENGINE_DRIVER_MEMORY") or f"{_driver_memory_mb()}m",
        "spark.driver.maxResultSize": "0",
        "spark.driver.extraJavaOptions": " ".join(java_options),
        "spark.sql.shuffle.partitions": str(max(4, 2 * cores)),
        "spark.default.parallelism": str(cores),
    }


def _quick_start() -> list[str]:
    """Options by which Java begins with what set-up had it write. One that another Java, or Java with other options,
    wrote is passed over, without the warning."""
    ours = java.of_setup()
    learned, archive = ours.with_name(LEARNED), ours.with_name(CLASS_ARCHIVE)
    if learned.is_file() and os.environ.get("JAVA_HOME") == str(ours):  # an older Java would not know the option
        return [f"-XX:AOTCache={learned}", "-Xlog:aot=off", "-Xlog:cds=off"]
    if archive.is_file():
        return ["-Xshare:auto", f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
    return ["-Xshare:auto"]


def worker_options() -> dict[str, str]:
    """Of Python workers that run on this interpreter. A task of theirs waits 40 ms for TCP, and not for a socket of
    Unix, which Spark has from 4.1 on."""
    options = {
        "spark.python.daemon.module": workers.MODULE,
        "spark.executorEnv.PYTHONPATH": str(Path(workers.__file__).parent.parent),
    }
    sockets = _folder_of_sockets()
    if len(sockets) <= LONGEST_FOLDER:
        options["spark.python.unix.domain.socket.enabled"] = "true"
        options["spark.python.unix.domain.socket.dir"] = sockets
    return options


@cache
def _folder_of_sockets() -> str:
    """A folder that only this user may enter, as whoever may write to a socket could send code; gone with the
    process. Spark would leave the sockets in the machine's folder for temporary files."""
    folder = tempfile.mkdtemp(prefix="segengine-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _driver_memory_mb() -> int:
    """27 % of the machine's memory, from 1 to 8 GiB: local mode keeps driver and executors in one JVM.

    Java 25 takes what it may, where older ones stopped before; Python's workers, the page cache and others need room.
    """
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    except (ValueError, OSError):
        total = 6 * 1024
    return max(1024, min(8192, total * 27 // 100))
