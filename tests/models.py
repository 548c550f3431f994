"""A model in one call: what a run does in two steps, with looking back between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segengine.model.train import find_segments, fit_segments

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from segengine.config import Config
    from segengine.features import Chosen
    from segengine.model.trained import TrainedModel


def train(
    rows: DataFrame,
    chosen: Chosen,
    config: Config,
    *,
    seed: int,
    champion: TrainedModel | None = None,
    **options: Any,
) -> TrainedModel:
    """Find segments and fit them to everybody; `options` are those of `find_segments`."""
    found = find_segments(rows, chosen, config, seed=seed, champion=champion, **options)
    return fit_segments(rows, chosen, config, found, seed=seed, champion=champion)
