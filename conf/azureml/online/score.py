"""What the online endpoint runs: one customer's features in, segment and margin out; numpy, no Spark, no Java."""

import json
import os
from pathlib import Path
from typing import Any

from segengine.errors import SegengineError
from segengine.scoring.online import Scorer, load

MOST_CUSTOMERS = 1000
scorer: Scorer


def init() -> None:
    """Load the champion that the deployment names."""
    global scorer
    manifests = sorted(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("manifest.json"), key=lambda path: len(path.parts))
    scorer = load(manifests[0].parent)


def run(raw_data: str) -> dict[str, Any]:
    """{"customers": [{feature: value}, ...]} -> {"model_version": ..., "customers": [...]}, or {"error": ...}."""
    try:
        asked = json.loads(raw_data)["customers"]
        if not isinstance(asked, list) or len(asked) > MOST_CUSTOMERS:
            raise ValueError(f"customers is a list of at most {MOST_CUSTOMERS}")
        return {"model_version": scorer.model_version, "customers": [scorer.score(one) for one in asked]}
    except (ValueError, KeyError, TypeError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    except SegengineError as error:
        return {"error": str(error)}
