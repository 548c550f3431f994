"""What is told of the scored customers beside their segments: the RFM grid, and the mix of protected attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segengine import contract, features
from segengine.job import Job
from segengine.model import bundle
from segengine.model.mix import MEDIUM
from segengine.model.rfm_grid import cuts_of, share_outside
from segengine.model.trained import LoadedModel
from segengine.scoring.counted import Counted, cell_rows, count
from segengine.scoring.protected import Mix, protected_mix
from segengine.scoring.rfm import with_rfm

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["RFM_FILE", "Lenses", "look", "with_grid"]

RFM_FILE = "rfm_grid.json"
"""The file of a model version with the cut points of the RFM grid."""


@dataclass(frozen=True)
class Lenses:
    """Who is where, rows of the tables rfm_cells and protected_mix, and what the summary should warn of."""

    counted: tuple[Counted, ...]
    rfm_cells: tuple[Mapping[str, Any], ...]
    protected_mix: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]


def with_grid(job: Job, scored: DataFrame, model: LoadedModel) -> DataFrame:
    """The scored customers with scores and cell of the RFM grid, null where there is none."""
    return with_rfm(scored, _learnt(job, model), job.config.rfm_grid)


def look(job: Job, people: contract.CheckedCustomers | None, scored: DataFrame, model: LoadedModel) -> Lenses:
    """Count the scored customers by cell, and by values of protected attributes."""
    counted = count(scored)
    cells = cell_rows(counted, job.config.rfm_grid)
    mix = _mix(job, people, scored, model)
    return Lenses(counted, tuple(cells), mix.rows, (*_grid_warnings(job, model), *_mix_warnings(mix)))


def _learnt(job: Job, model: LoadedModel) -> Mapping[str, Any] | None:
    return None if job.config.rfm_grid is None else bundle.read_more(job.store, model.version, RFM_FILE)


def _mix(job: Job, people: contract.CheckedCustomers | None, scored: DataFrame, model: LoadedModel) -> Mix:
    if people is None or not people.protected:
        return Mix((), {})
    columns = features.attribute_columns(job.config)
    return protected_mix(scored, {name: columns[name] for name in people.protected}, people.numeric, model.k)


def _mix_warnings(mix: Mix) -> Sequence[str]:
    return [
        f"The segments follow the protected attribute '{name}' (Cramer's V {strength:.2f}), though it is no feature: "
        "see the table protected_mix before they are acted on."
        for name, strength in mix.strength.items()
        if strength is not None and strength >= MEDIUM
    ]


def _grid_warnings(job: Job, model: LoadedModel) -> Sequence[str]:
    grid, learnt = job.config.rfm_grid, _learnt(job, model)
    if grid is None:
        return []
    if learnt is None:
        return [f"rfm_grid: model {model.version} has no cut points for it. Train again to get scores."]
    empty = {name: share_outside(cuts) for name, cuts in cuts_of(learnt, grid.bins).items()}
    return [
        f"rfm_grid: many customers share a value of {name}, so that {lost} of {grid.bins} scores are given to nobody: "
        "equal values get equal scores."
        for name, lost in empty.items()
        if lost
    ]
