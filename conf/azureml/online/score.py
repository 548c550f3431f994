"""What the online endpoint runs: customers' features in, segment and margin out; scored by numpy, no Spark, no Java."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segengine.errors import SegengineError
from segengine.scoring.online import Scorer, load

try:  # both come with the image; without them questions are answered all the same
    import pandas as pd
    from azureml.ai.monitoring import Collector
    from azureml_inference_server_http.api.aml_response import AMLResponse
except ImportError:
    Collector = AMLResponse = None

MOST_CUSTOMERS = 1000
scorer: Scorer
collect: Callable[[list[dict[str, Any]], list[dict[str, Any]]], None]


def init() -> None:
    """Load the champion that the deployment names, and open Azure's collectors of questions and answers."""
    global scorer, collect
    manifests = sorted(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("manifest.json"), key=lambda path: len(path.parts))
    scorer = load(manifests[0].parent)
    collect = _collector() if Collector is not None else lambda asked, answers: None


def run(raw_data: str) -> Any:
    """{"customers": [{feature: value}]} -> {"model_version": ..., "customers": [...]}, or 400 and {"error": ...}."""
    try:
        asked = json.loads(raw_data)["customers"]
        if not isinstance(asked, list) or len(asked) > MOST_CUSTOMERS:
            raise ValueError(f"customers is a list of at most {MOST_CUSTOMERS}")
        answers = [scorer.score(one) for one in asked]
    except (ValueError, KeyError, TypeError) as error:
        return _refused(f"{type(error).__name__}: {error}")
    except SegengineError as error:
        return _refused(str(error))
    collect(asked, answers)
    return {"model_version": scorer.model_version, "customers": answers}


def _refused(text: str) -> Any:
    told = {"error": text}
    return told if AMLResponse is None else AMLResponse(told, 400, json_str=True)


def _collector() -> Callable[[list[dict[str, Any]], list[dict[str, Any]]], None]:
    """What monitor.yml looks at. Features only: an id that a caller sends along is left out."""

    def told(error: Exception) -> None:
        print(f"not collected: {type(error).__name__}")

    inputs, outputs = (Collector(name=name, on_error=told) for name in ("model_inputs", "model_outputs"))

    def both(asked: list[dict[str, Any]], answers: list[dict[str, Any]]) -> None:
        if asked:
            rows = [{name: one.get(name) for name in scorer.columns} for one in asked]
            outputs.collect(pd.DataFrame(answers), inputs.collect(pd.DataFrame(rows)))

    return both
