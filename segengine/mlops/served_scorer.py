"""The scorer as MLflow serves it: this file is logged as the model's code, and the bundle as its artifact.

It runs where MLflow loads the model, with numpy, pandas and the copy of segengine that was logged with it.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel


class SegmentScorer(PythonModel):  # type: ignore[misc]  # MLflow is optional and not type-checked
    """One row of features a customer in, one row with its segment out."""

    def load_context(self, context: Any) -> None:
        """Load the bundle, every file verified."""
        from segengine.scoring.online import load

        self.scorer = load(context.artifacts["bundle"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Score a table of customers. What is wrong with it is told as segengine tells it, with status 400."""
        from segengine.errors import SegengineError

        try:
            return pd.DataFrame(self.scorer.score(model_input))
        except SegengineError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error


set_model(SegmentScorer())
