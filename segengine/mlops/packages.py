"""A model version as two folders that MLflow loads: the scorer, and the Spark pipeline. Nothing is pickled.

scorer/   pyfunc from code: served_scorer.py, segengine itself, and the whole verified bundle as its artifact
spark/    the bundle's own pipeline, byte for byte, under the flavours spark and python_function
"""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import segengine

__all__ = ["OUTPUTS", "example_row", "input_types", "write_scorer", "write_spark"]

OUTPUTS = (
    ("segment_index", "long"),
    ("segment_key", "long"),
    ("segment_name", "string"),
    ("distance", "double"),
    ("margin", "double"),
    ("runner_up_key", "long"),
    ("is_outlier", "boolean"),
)
"""Columns that the scorer answers with, and MLflow's names of their types."""


def input_types(scorer: Mapping[str, Any]) -> dict[str, str]:
    """Every column that a customer is handed over with, and MLflow's name of its type."""
    kinds = {"numeric": "double", "categorical": "string"}
    types = {str(item["name"]): kinds[item["kind"]] for item in scorer["inputs"]}
    grouping = scorer["grouping"]
    return types if grouping is None else {**types, str(grouping["column"]): types.get(grouping["column"], "string")}


def example_row(scorer: Mapping[str, Any]) -> dict[str, float | str]:
    """A customer that does not exist: every number the median of the sample, every text the most frequent level."""
    row: dict[str, float | str] = {}
    for item in scorer["inputs"]:
        if item["kind"] == "numeric":
            row[str(item["name"])] = float(item["impute"])
        else:
            row[str(item["name"])] = item["levels"][0] if item["levels"] else ""
    grouping = scorer["grouping"]
    if grouping is not None:
        values = [group["value"] for group in grouping["groups"] if group["kind"] == "value"]
        row[str(grouping["column"])] = values[0] if values else ""
    return row


def write_scorer(folder: Path, bundle: Path, scorer: Mapping[str, Any], *, run_id: str, artifact: str) -> None:
    """Write the scorer as an MLflow model into `folder`, which must not exist; `bundle` is a version's folder.

    Every input is optional in the signature, so that a missing one is told in our words.
    """
    import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    columns = [ColSpec(kind, name, required=False) for name, kind in input_types(scorer).items()]
    outputs = Schema([ColSpec(kind, name) for name, kind in OUTPUTS])
    with warnings.catch_warnings():  # MLflow's hints on type annotations of `predict`
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(Path(__file__).with_name("served_scorer.py")),
            artifacts={"bundle": str(bundle)},
            code_paths=[str(Path(segengine.__file__).parent)],
            signature=ModelSignature(inputs=Schema(columns), outputs=outputs),
            input_example=_example(scorer),
            pip_requirements=[_pinned("mlflow-skinny", "mlflow"), _pinned("numpy"), _pinned("pandas")],
            mlflow_model=Model(run_id=run_id, artifact_path=artifact),
        )
    _without_paths(folder)


def write_spark(
    folder: Path, bundle: Path, scorer: Mapping[str, Any], spark_version: str, *, example: Path, run_id: str,
    artifact: str,
) -> None:  # fmt: skip
    """Write the pipeline of a version's folder as an MLflow model into `folder`, which must not exist.

    It is the bundle's pipeline as saved, not saved anew; its answer is the column `prediction`, the segment's index.
    `example`: the folder that `write_scorer` wrote, whose input example this model has, too.
    """
    import shutil

    import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    folder.mkdir(parents=True)
    shutil.copytree(bundle / "pipeline", folder / "sparkml")
    model = Model(run_id=run_id, artifact_path=artifact)
    columns = [ColSpec(kind, name, required=False) for name, kind in input_types(scorer).items()]
    model.signature = ModelSignature(inputs=Schema(columns), outputs=Schema([ColSpec("integer", "prediction")]))
    model.saved_input_example_info = told = Model.load(str(example)).saved_input_example_info
    shutil.copyfile(example / told["artifact_path"], folder / told["artifact_path"])
    model.add_flavor(
        "spark",
        pyspark_version=spark_version,
        model_data="sparkml",
        code=None,
        model_class="pyspark.ml.pipeline.PipelineModel",
    )
    requirements = [_pinned("mlflow-skinny", "mlflow"), f"pyspark=={spark_version}", _pinned("pandas")]
    mlflow.pyfunc.add_to_model(
        model, loader_module="mlflow.spark", data="sparkml", env={"virtualenv": "python_env.yaml"}
    )
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n", encoding="utf-8")
    python = f"python: {_python()}\ndependencies:\n- -r requirements.txt\n"
    (folder / "python_env.yaml").write_text(python, encoding="utf-8")
    model.save(str(folder / "MLmodel"))


def _example(scorer: Mapping[str, Any]) -> Any:
    import pandas as pd

    return pd.DataFrame([example_row(scorer)])


def _pinned(*names: str) -> str:
    """name==version of the first that is installed."""
    for name in names:
        try:
            return f"{name}=={importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return names[-1]


def _python() -> str:
    import platform

    return platform.python_version()


def _without_paths(folder: Path) -> None:
    """MLflow writes this machine's paths into MLmodel, which nothing reads back: they are left out."""
    import yaml

    file = folder / "MLmodel"
    told = yaml.safe_load(file.read_text(encoding="utf-8"))
    flavour = told["flavors"]["python_function"]
    flavour["model_code_path"] = Path(flavour["model_code_path"]).name
    for artifact in flavour["artifacts"].values():
        artifact["uri"] = artifact["path"]
    file.write_text(yaml.safe_dump(told, sort_keys=True), encoding="utf-8")
