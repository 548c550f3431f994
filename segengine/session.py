"""The only place that makes or takes over a SparkSession, and the only one that touches its JVM."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from segengine.config import Config
from segengine.config.values import SECRET_NAME
from segengine.connect import REMOTE, connect_session, is_connect, refuse_what_connect_lacks
from segengine.errors import InfrastructureError
from segengine.gateway import java_with, launch_ahead, runs_already
from segengine.jars import SETTINGS, extras_for, how_to_get, installed
from segengine.java import provide_java
from segengine.local import HUGE_METHODS, LOGS, local_options, worker_options

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    "active_session",
    "hadoop_filesystem",
    "known_to_thread",
    "needs_delta",
    "open_session",
    "settings_for",
    "start_ahead",
    "task_counts",
    "with_settings",
]

log = logging.getLogger(__name__)

T = TypeVar("T")

APP_NAME = "segengine"
SUBMITTED = "PYSPARK_GATEWAY_PORT"
"""Spark's own variable: where the Java is that spark-submit started."""

DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
DELTA_PACKAGES = {
    "3.5": "io.delta:delta-spark_2.12:3.3.3",
    "4.0": "io.delta:delta-spark_4.0_2.13:4.4.0",
    "4.1": "io.delta:delta-spark_4.1_2.13:4.4.0",
    "4.2": "io.delta:delta-spark_4.2_2.13:4.4.0",
}


def _quiet_refusals() -> None:
    """PySpark writes each error about SQL to standard error, stack included, also those that are caught and told."""
    with suppress(ImportError):  # before Spark 4 there is no such logger
        from pyspark.logger import PySparkLogger

        for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
            PySparkLogger.getLogger(name).setLevel(logging.CRITICAL + 1)


def settings_for(config: Config | None) -> dict[str, str]:
    """Spark SQL settings that the results depend on; they are set for a run and restored after it."""
    return {
        "spark.sql.session.timeZone": config.timezone if config else "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.caseSensitive": "false",
        "spark.sql.csv.parser.columnPruning.enabled": "false",
        "spark.sql.files.ignoreCorruptFiles": "false",
        "spark.sql.files.ignoreMissingFiles": "false",
        "spark.sql.legacy.parquet.nanosAsLong": "true",
        "spark.sql.parquet.mergeSchema": "false",
        "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
        "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
        "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.timestampType": "TIMESTAMP_LTZ",
        "spark.sql.legacy.timeParserPolicy": "CORRECTED",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.pyspark.fallback.enabled": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
        "spark.sql.execution.arrow.maxBytesPerBatch": str(2**31 - 1),  # with less, Spark adds up all buffers every row
        "spark.sql.inMemoryColumnarStorage.compressed": "false",  # ids, amounts and doubles hardly become smaller
        "spark.sql.sources.partitionOverwriteMode": "static",
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    }


def needs_delta(config: Config | None) -> bool:
    """Whether a table or the output is in Delta format."""
    if config is None:
        return False
    tables = (config.tables.transactions, config.tables.customers)
    return config.output.format == "delta" or any(t is not None and t.format == "delta" and t.path for t in tables)


@contextmanager
def open_session(
    config: Config | None = None,
    *,
    spark: SparkSession | None = None,
    delta: bool | None = None,
    master: str | None = None,
    app_name: str = APP_NAME,
    extras: Iterable[str] = (),
) -> Iterator[SparkSession]:
    """A session with our settings: the one handed in or active (restored after), else a new one (stopped after).

    A new one is opened on the Spark Connect server that SPARK_REMOTE names, where it is set. `extras`: JARs of
    `segengine.jars` to load beside those that the configuration needs. Raises InfrastructureError when Java is missing
    or too old, pyspark is not installed, or Spark does not start or answer, and ConfigError for what the configuration
    asks and Spark Connect cannot do.
    """
    delta = needs_delta(config) if delta is None else delta
    try:
        from pyspark.sql import SparkSession as Sessions
    except ImportError as error:
        raise InfrastructureError(
            "pyspark is not installed.", todo='pip install "segengine[spark]", or run on a cluster that brings Spark.'
        ) from error
    _quiet_refusals()
    taken_over = spark or Sessions.getActiveSession()
    session = taken_over or _new_session(
        master, app_name, delta, config.spark if config else {}, [*extras, *extras_for(config)]
    )
    try:
        _require(session, config, delta)
        if taken_over is not None or is_connect(session):
            _require_options(session, config)
        wanted = settings_for(config)
        if is_connect(session):  # it knows no other way than Arrow, and warns of these
            wanted = {key: value for key, value in wanted.items() if ".arrow.pyspark." not in key}
        with with_settings(session, {**wanted, **_small_methods(session)}):
            yield session
    finally:
        if taken_over is None:
            session.stop()


def _small_methods(spark: SparkSession) -> dict[str, str]:
    """Have Spark make methods that Java compiles: it leaves those beyond 8,000 bytes to its interpreter.

    Nothing to set where Java was started with HUGE_METHODS: one long compiled method is faster than several.
    """
    where = "driver" if (spark.conf.get("spark.master", "") or "").startswith("local") else "executor"
    options = spark.conf.get(f"spark.{where}.extraJavaOptions", "") or ""
    return {} if HUGE_METHODS in options.split() else {"spark.sql.codegen.hugeMethodLimit": "8000"}


def _require(spark: SparkSession, config: Config | None, delta: bool) -> None:
    if is_connect(spark):
        import pyspark

        refuse_what_connect_lacks(config, client=pyspark.__version__, server=spark.version)
    if delta:
        _require_delta(spark)


@contextmanager
def with_settings(spark: SparkSession, wanted: Mapping[str, str]) -> Iterator[None]:
    """Settings of the session while the block runs; after it they are as they were."""
    before = {key: spark.conf.get(key, None) for key in wanted}
    for key, value in wanted.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, old in before.items():
            _restore(spark, key, old)


def _restore(spark: SparkSession, key: str, old: str | None) -> None:
    try:
        if old is None:
            spark.conf.unset(key)
        else:
            spark.conf.set(key, old)
    except Exception as error:  # noqa: BLE001  the session may be gone; the error that ended it matters, not this
        log.debug("setting %s not restored: %s", key, type(error).__name__)


def start_ahead(config: Config) -> None:
    """Start the Java of the session that `open_session(config)` will open, and go on meanwhile: it takes a second.

    Does nothing where there is a session or a Java already, and leaves what is wrong to `open_session`.
    """
    if os.environ.get(REMOTE) or os.environ.get(SUBMITTED) or not all(map(find_spec, ("pyspark", "py4j"))):
        return
    with suppress(InfrastructureError):
        options = _options(None, APP_NAME, needs_delta(config), config.spark, extras_for(config))
        launch_ahead(options, quiet=not os.environ.get(LOGS))


def _new_session(
    master: str | None, app_name: str, delta: bool, given: Mapping[str, str], extras: Iterable[str]
) -> SparkSession:
    from pyspark.sql import SparkSession as Sessions

    if os.environ.get(REMOTE):
        return connect_session(os.environ[REMOTE])
    options = _options(master, app_name, delta, given, extras)
    builder: Any = Sessions.builder
    for key, value in options.items():
        builder = builder.config(key, value)
    java = None if runs_already() else java_with(options, quiet=not os.environ.get(LOGS))
    try:
        if java is not None:
            java.take_up()
        session: SparkSession = builder.getOrCreate()
    except Exception as error:
        raise InfrastructureError(
            "Spark did not start.",
            found=(java.last_line() if java else "") or str(error)[:300] or type(error).__name__,
            todo=f"Set {LOGS}=1 to see Spark's own messages; check `java -version` (17 or newer) and free memory.",
        ) from error
    finally:
        if java is not None:
            java.close()
    return session


def _options(
    master: str | None, app_name: str, delta: bool, given: Mapping[str, str], extras: Iterable[str]
) -> dict[str, str]:
    """What a session is started with. Where nobody submitted this process, Java is found for it (`provide_java`)."""
    submitted = SUBMITTED in os.environ
    options = _common_options() | {"spark.app.name": app_name}
    if not submitted:
        options["spark.master"] = master = master or os.environ.get("SEGENGINE_MASTER") or "local[*]"
        provide_java()
        if master.startswith("local"):
            options |= local_options()
            ours = os.environ.setdefault("PYSPARK_PYTHON", sys.executable) == sys.executable
            if ours and os.name == "posix":
                options |= worker_options()
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    if delta:
        options |= _delta_options(submitted)
    extras = tuple(dict.fromkeys(extras))
    for extra in extras:
        options |= SETTINGS.get(extra, {})
    if not submitted and (jars := [str(jar) for jar in installed(extras)]):
        options = _joined(options, {"spark.jars": ",".join(jars)})
    return _joined(options, given)


def _common_options() -> dict[str, str]:
    return {
        "spark.redaction.regex": SECRET_NAME,
        "spark.sql.redaction.options.regex": SECRET_NAME + "|url",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.debug.maxToStringFields": "200",
        "spark.python.sql.dataFrameDebugging.enabled": "false",  # where a column was written: nine calls of Java each
    }


def _delta_options(submitted: bool) -> dict[str, str]:
    options = {"spark.sql.extensions": DELTA_EXTENSION, "spark.sql.catalog.spark_catalog": DELTA_CATALOG}
    if submitted:
        return options
    # Ours are small tables: their logs fit into two tasks, where Delta's default of 50 costs seconds a read.
    options["spark.databricks.delta.snapshotPartitions"] = "2"
    jars = sorted((Path(sys.prefix) / "share" / "segengine" / "jars").glob("*.jar"))
    if jars:
        return options | {"spark.jars": ",".join(str(jar) for jar in jars)}
    return options | {"spark.jars.packages": _delta_package()}


def _joined(options: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Both, `more` winning; lists of JARs and packages are appended."""
    lists = [key for key in more if key in options and key in ("spark.jars", "spark.jars.packages")]
    return {**options, **more, **{key: f"{options[key]},{more[key]}" for key in lists}}


def _require_options(spark: SparkSession, config: Config | None) -> None:
    """What the configuration wants of a session is too late for one that runs: refuse what it was not started with."""
    lacking = [
        key
        for key, value in (config.spark if config else {}).items()
        if not key.startswith("spark.jars") and spark.conf.get(key, None) != value
    ]
    if lacking:
        raise InfrastructureError(
            "The configuration has Spark settings that this session was started without.",
            where="spark",
            found=", ".join(lacking),
            todo="Start the session with them (spark-submit --conf, or the platform's settings), and remove them here.",
        )


def _delta_package() -> str:
    import pyspark

    line = ".".join(pyspark.__version__.split(".")[:2])
    return DELTA_PACKAGES.get(line, DELTA_PACKAGES["4.2"])


def _require_delta(spark: SparkSession) -> None:
    if DELTA_EXTENSION not in (spark.conf.get("spark.sql.extensions", "") or ""):
        raise InfrastructureError(
            "The configuration asks for Delta, and this Spark session was started without it.",
            todo=f"Start it with --packages {_delta_package()} --conf spark.sql.extensions={DELTA_EXTENSION} "
            f"--conf spark.sql.catalog.spark_catalog={DELTA_CATALOG}",
        )


def hadoop_filesystem(spark: SparkSession, uri: str) -> tuple[Any, Any]:
    """The Hadoop FileSystem that serves `uri`, and the JVM gateway to build paths with. Classic sessions only."""
    jvm: Any = getattr(spark, "_jvm", None)
    context: Any = getattr(spark, "_jsc", None)
    if jvm is None or context is None:
        raise InfrastructureError(
            "Small files on this store need a classic Spark session.",
            where=uri,
            todo="Use a local or file:// output with Spark Connect, or run the job with spark-submit.",
        )
    try:
        return jvm.org.apache.hadoop.fs.Path(uri).getFileSystem(context.hadoopConfiguration()), jvm
    except Exception as error:
        text = str(error)
        if "No FileSystem for scheme" in text or "ClassNotFoundException" in text or "NoClassDefFound" in text:
            found = next((line for line in text.splitlines() if "scheme" in line or "NotFound" in line), "")
            raise InfrastructureError(
                "This Spark does not know the store.", where=uri, found=found[:300], todo=how_to_get(uri)
            ) from error
        raise InfrastructureError(
            "The store did not answer.", where=uri, found=_java_line(error), todo="Check address, login and access."
        ) from error


def _java_line(error: Exception) -> str:
    java = getattr(error, "java_exception", None)
    return (str(java.toString()) if java is not None else str(error)).splitlines()[0][:300]


def known_to_thread(spark: SparkSession, work: Callable[[], T]) -> Callable[[], T]:
    """The work for another thread, where Spark then knows this session and the local properties of this thread.
    Classic sessions only."""
    given: Any = spark
    context = given._jsc.sc()
    properties = context.getLocalProperties().clone()

    def known() -> T:
        name = "_get_j_spark_session_class"  # from Spark 4.0 on
        sessions = getattr(given, name)(given._jvm) if hasattr(given, name) else given._jvm.SparkSession
        sessions.setActiveSession(given._jsparkSession)
        context.setLocalProperties(properties)
        return work()

    return known


def active_session() -> SparkSession | None:
    """The session that is open in this process, if any, from whichever thread this is asked."""
    if "pyspark.sql" not in sys.modules:
        return None
    from pyspark.sql import SparkSession as Sessions

    found: SparkSession | None = getattr(Sessions, "_instantiatedSession", None)
    return found


def task_counts(spark: SparkSession) -> tuple[int, int]:
    """Finished and known tasks of the stages that run right now; (0, 0) when that is not known. For progress bars."""
    context: Any = getattr(spark, "_sc", None)
    if context is None:
        return 0, 0
    try:
        tracker = context.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    except Exception as error:  # noqa: BLE001  the session may be closing; py4j raises several types then
        log.debug("no task counts: %s", type(error).__name__)
        return 0, 0
    known = [stage for stage in stages if stage is not None]
    return sum(s.numCompletedTasks for s in known), sum(s.numTasks for s in known)
