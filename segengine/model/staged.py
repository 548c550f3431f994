"""What a model version is saved under until it is whole, and its pipeline, which can be written ahead of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segengine.io.files import Store
    from segengine.model.trained import TrainedModel

__all__ = ["FOLDER", "stage_pipeline", "staging_of"]

FOLDER = "models"


def staging_of(version: str) -> str:
    """The folder that becomes `models/<version>` by one rename."""
    return f"{FOLDER}/staging-{version}"


def stage_pipeline(model: TrainedModel, store: Store, version: str) -> None:
    """Write the Spark ML pipeline under the version's staging name, over whatever a crash left there.

    It is a dozen small jobs of Spark, which can run beside what else is found out about the model.
    """
    from segengine.model.pipeline import as_saved_by_java

    store.delete(staging_of(version))
    folder = f"{staging_of(version)}/pipeline"
    model.pipeline.write().overwrite().save(store.uri(folder))
    for entry in store.list(f"{folder}/metadata"):
        if entry.name.startswith("part-"):
            before = store.read_bytes(entry.path)
            after = as_saved_by_java(before)
            if after != before:
                store.write_atomic(entry.path, after)
