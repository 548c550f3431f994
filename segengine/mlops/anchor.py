"""Where the head of the audit trail is kept a second time: a folder of another store, or an experiment in MLflow."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from segengine.errors import InfrastructureError, SegengineError
from segengine.io.files import store_for
from segengine.mlops.audit import Head

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["anchored", "drop_anchor"]

log = logging.getLogger(__name__)

MLFLOW = "mlflow:"
TAG, EXPERIMENTS = "segengine.audit.head", "segengine/"


def drop_anchor(anchor: str, name: str, head: Head, spark: SparkSession | None = None) -> bool:
    """Keep the head under the name of the segmentation; whether that was possible.

    A run that has published does not fail for it: the next one keeps a newer head, and `segengine verify` tells.
    """
    text = json.dumps({"n": head.n, "sha256": head.sha256})
    try:
        if anchor.startswith(MLFLOW):
            client = _client(anchor)
            client.set_experiment_tag(_experiment(client, name), TAG, text)
        else:
            store_for(anchor, spark).write_atomic(f"{name}.audit.json", text.encode())
    except Exception as error:  # noqa: BLE001 - MLflow raises its own kinds, and it may not be there at all
        log.warning("the head of the audit trail could not be kept in %s: %s", anchor, type(error).__name__)
        return False
    return True


def anchored(anchor: str, name: str, spark: SparkSession | None = None) -> Head | None:
    """The head that was kept; None before the first. Raises InfrastructureError when the anchor cannot be read."""
    try:
        text = _kept(anchor, name, spark)
        if text is None:
            return None
        data = json.loads(text)
        return Head(int(data["n"]), str(data["sha256"]))
    except SegengineError:
        raise
    except Exception as error:
        raise InfrastructureError(
            "The anchor of the audit trail cannot be read.",
            where=f"audit.anchor: {anchor}",
            found=type(error).__name__,
            todo="Look whether it can be reached, and what it holds.",
        ) from error


def _kept(anchor: str, name: str, spark: SparkSession | None) -> str | None:
    if anchor.startswith(MLFLOW):
        found = _client(anchor).get_experiment_by_name(f"{EXPERIMENTS}{name}")
        text = None if found is None else found.tags.get(TAG)
        return None if text is None else str(text)
    store, path = store_for(anchor, spark), f"{name}.audit.json"
    return store.read_bytes(path).decode() if store.exists(path) else None


def _client(anchor: str) -> Any:
    """An MLflow client for the URI behind `mlflow:`; the one of MLFLOW_TRACKING_URI when there is nothing behind it."""
    try:
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise InfrastructureError(
            "The audit trail is anchored in MLflow, which is not installed.",
            where=f"audit.anchor: {anchor}",
            todo="pip install mlflow-skinny, or name a folder of another store.",
        ) from error
    return MlflowClient(tracking_uri=anchor.removeprefix(MLFLOW) or None)


def _experiment(client: Any, name: str) -> str:
    experiment = f"{EXPERIMENTS}{name}"
    found = client.get_experiment_by_name(experiment)
    return str(found.experiment_id if found is not None else client.create_experiment(experiment))
