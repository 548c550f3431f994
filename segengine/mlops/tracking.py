"""Tell an MLflow server of a trained model: one run, two registered models, and who is champion.

Our own `models/champion.json` says who is champion; aliases and tags on the server only repeat it. Runs, artifacts and
model versions are all that is asked of a server: Azure Machine Learning's has no more. What goes wrong here costs no
model and no publication: it is told as a note, and `track` can be called again.
"""

from __future__ import annotations

import io
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segengine.errors import ConfigError
from segengine.mlops.facts import TrackedFacts, tracked_facts
from segengine.mlops.packages import write_scorer, write_spark
from segengine.model import bundle
from segengine.scoring.online_files import read_scorer

if TYPE_CHECKING:
    from segengine.config import Config
    from segengine.io.files import Store

__all__ = ["ALIAS", "Tracked", "mirror", "noted", "registered_names", "require", "track"]

log = logging.getLogger(__name__)

ALIAS = "champion"
VERSION_TAG, CHAMPION_TAG = "segengine.model_version", "segengine.champion"
SCORER, SPARK = "scorer", "spark"
INSTALL = "Install it: pip install 'segengine[mlflow]', or make setup WITH=mlflow."


@dataclass(frozen=True)
class Tracked:
    """A run on the server, and the registered models with their versions there."""

    run_id: str
    versions: tuple[tuple[str, str], ...]


def require(config: Config) -> None:
    """ConfigError when runs are to be tracked and MLflow is not installed: told before any work is done."""
    if config.tracking is None:
        return
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # what runs here is nobody else's business
    try:
        with warnings.catch_warnings():  # what it warns of while it is imported is its own code
            warnings.simplefilter("ignore")
            import mlflow.pyfunc
    except ImportError as error:
        raise ConfigError(
            "Runs are to be tracked, and MLflow is not installed.", where="tracking", todo=INSTALL
        ) from error
    log.debug("MLflow %s", mlflow.__version__)


def registered_names(config: Config) -> dict[str, str]:
    """The names that the scorer and the Spark pipeline are registered under."""
    name = (config.tracking.registered_model if config.tracking else None) or config.name
    return {SCORER: name, SPARK: f"{name}-spark"}


def noted(config: Config, what: str, act: Callable[[], object]) -> str | None:
    """Do something on the server; what went wrong, as a note, or None. Without `tracking` nothing is done."""
    if config.tracking is None:
        return None
    try:
        act()
    except Exception as error:  # noqa: BLE001  whatever a server or MLflow does, the model stands and the run goes on
        text = config.redact(f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}")
        log.warning("%s: %s", what, text)
        return f"MLflow: {what} failed ({text}). Call segengine.mlops.track again when the server is well."
    return None


def track(
    config: Config, store: Store, version: str, *, inputs: Sequence[Mapping[str, Any]] = (), seconds: float = 0.0
) -> Tracked:
    """Record a complete version as a run and register its models; then repeat who is champion.

    `inputs`: what was read, as dicts of SourceFacts. `seconds`: how long the training took. Raises ConfigError without
    MLflow, BundleError for a version that is not as it was saved, and MLflow's own errors.
    """
    require(config)
    manifest = bundle.verify(store, version)
    facts = tracked_facts(config, manifest, lambda name: store.read_bytes(f"models/{version}/{name}"), inputs)
    with _quiet(), tempfile.TemporaryDirectory() as scratch:
        client = _client(config)
        ended = int(time.time() * 1000)
        run = client.create_run(
            _experiment(client, config), start_time=ended - int(seconds * 1000), tags=facts.tags, run_name=version
        )
        run_id = str(run.info.run_id)
        try:
            _log_facts(client, run_id, facts, Path(scratch) / "texts")
            local = _copied(store, manifest, version, Path(scratch) / version)
            scorer = read_scorer(local)
            write_scorer(Path(scratch) / SCORER, local, scorer, run_id=run_id, artifact=SCORER)
            spark = str(manifest["spark_version"])
            example = Path(scratch) / SCORER
            write_spark(Path(scratch) / SPARK, local, scorer, spark, example=example, run_id=run_id, artifact=SPARK)
            versions = []
            for artifact, name in registered_names(config).items():
                client.log_artifacts(run_id, str(Path(scratch) / artifact), artifact)
                versions.append((name, _registered(client, name, run, artifact, facts.tags)))
        except BaseException:
            with suppress(Exception):  # the server may be gone
                client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id, "FINISHED")
        _mirror(client, config, store)
    log.info("tracked %s as run %s", version, run_id)
    return Tracked(run_id, tuple(versions))


def mirror(config: Config, store: Store) -> None:
    """Repeat on the server who is champion, and that nobody else is. Without `tracking` nothing is done."""
    if config.tracking is None:
        return
    require(config)
    with _quiet():
        _mirror(_client(config), config, store)


def _client(config: Config) -> Any:
    """A client of the configured server; nothing of MLflow's global state is set."""
    from mlflow import MlflowClient

    assert config.tracking is not None
    uri = config.tracking.uri
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _experiment(client: Any, config: Config) -> str:
    assert config.tracking is not None
    name = config.tracking.experiment or config.name
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    uri = config.tracking.uri
    beside = Path(uri.removeprefix("sqlite:///")).parent / "mlflow-artifacts"  # MLflow's default is the working folder
    return str(client.create_experiment(name, artifact_location=beside.as_uri() if uri.startswith("sqlite:") else None))


def _log_facts(client: Any, run_id: str, facts: TrackedFacts, folder: Path) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, 0) for name, value in facts.metrics.items()]
    metrics += [Metric(f"k.{name}", v, now, k) for k, values in facts.by_k.items() for name, v in values.items()]
    params = [Param(name, value) for name, value in facts.params.items()]
    for start in range(0, max(len(metrics), 1), 500):
        client.log_batch(run_id, metrics=metrics[start : start + 500], params=params if start == 0 else [])
    for name, content in facts.texts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    client.log_artifacts(run_id, str(folder))


def _copied(store: Store, manifest: Mapping[str, Any], version: str, folder: Path) -> Path:
    """The files of a version on the local disk."""
    for name in [*manifest["files"], "manifest.json"]:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(store.read_bytes(f"models/{version}/{name}"))
    return folder


def _registered(client: Any, name: str, run: Any, artifact: str, tags: Mapping[str, str]) -> str:
    """Register what was logged as a new version of a model; its number there."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException:
        client.get_registered_model(name)  # there already; servers differ in how they say so
    kept = {key: tags[key] for key in (VERSION_TAG, "segengine.verdict", "segengine.run_id") if key in tags}
    source = f"{run.info.artifact_uri}/{artifact}"
    return str(client.create_model_version(name, source, run.info.run_id, tags=kept).version)


def _mirror(client: Any, config: Config, store: Store) -> None:
    """Tags on every version, and the alias where the server has aliases."""
    champion = bundle.champion(store)
    for name in registered_names(config).values():
        newest: str | None = None
        for found in client.search_model_versions(f"name='{name}'"):
            is_champion = champion is not None and found.tags.get(VERSION_TAG) == champion
            if found.tags.get(CHAMPION_TAG) != str(is_champion).lower():
                client.set_model_version_tag(name, found.version, CHAMPION_TAG, str(is_champion).lower())
            if is_champion and (newest is None or int(found.version) > int(newest)):
                newest = str(found.version)
        _set_alias(client, name, newest)


def _set_alias(client: Any, name: str, version: str | None) -> None:
    from mlflow.exceptions import MlflowException

    try:
        if version is not None:
            client.set_registered_model_alias(name, ALIAS, version)
        else:
            client.delete_registered_model_alias(name, ALIAS)
    except MlflowException as error:  # Azure ML has no aliases; the tags were set a moment ago, so the server is well
        log.info("%s has no alias, tags alone say who is champion: %s", name, type(error).__name__)


@contextmanager
def _quiet() -> Iterator[None]:
    """MLflow and its database tool tell every step, on standard output too; here only their warnings."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
