"""What is told of the scored customers: cards of segments, the RFM grid, the mix of protected attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segengine import contract, features
from segengine.job import Job
from segengine.model import bundle
from segengine.model.identity import segment_id
from segengine.model.mix import MEDIUM
from segengine.model.rfm_grid import FILE, cuts_of, share_outside
from segengine.model.trained import LoadedModel
from segengine.runs import cards
from segengine.scoring.counted import Counted, cell_rows
from segengine.scoring.protected import Mix, protected_mix
from segengine.scoring.rfm import with_rfm

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Lenses", "look", "with_grid"]


@dataclass(frozen=True)
class Lenses:
    """Who is where, what is told of each segment, rows of rfm_cells and protected_mix, what the summary warns of."""

    counted: tuple[Counted, ...]
    tellings: cards.Tellings | None
    rfm_cells: tuple[Mapping[str, Any], ...]
    protected_mix: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]


def with_grid(job: Job, scored: DataFrame, model: LoadedModel) -> DataFrame:
    """The scored customers with scores and cell of the RFM grid, null where there is none."""
    return with_rfm(scored, _learnt(job, model), job.config.rfm_grid)


def look(
    job: Job, people: contract.CheckedCustomers | None, scored: DataFrame, model: LoadedModel, *, trained: bool
) -> Lenses:
    """Look at the scored customers. `trained`: the model was made in this run."""
    counted, tellings = cards.tell(job, scored, model, trained=trained)
    cells = cell_rows(counted, job.config.rfm_grid)
    mix = _mix(job, people, scored, model)
    rare = _rare_warnings(job, model, tellings, counted)
    told = ["The model is from before segments had cards: train again to get them."]
    warnings = (*(tellings.warnings if tellings else told), *rare, *_grid_warnings(job, model), *_mix_warnings(mix))
    return Lenses(counted, tellings, tuple(cells), mix.rows, warnings)


def _learnt(job: Job, model: LoadedModel) -> Mapping[str, Any] | None:
    return None if job.config.rfm_grid is None else bundle.read_more(job.store, model.version, FILE)


def _mix(job: Job, people: contract.CheckedCustomers | None, scored: DataFrame, model: LoadedModel) -> Mix:
    if people is None or not people.protected:
        return Mix((), {})
    columns = features.attribute_columns(job.config)
    protected, smallest = {name: columns[name] for name in people.protected}, job.config.privacy.min_cell
    return protected_mix(scored, protected, people.numeric, model.k, smallest=smallest)


def _rare_warnings(
    job: Job, model: LoadedModel, tellings: cards.Tellings | None, counted: Sequence[Counted]
) -> Sequence[str]:
    """Segments that are too small by now, or were kept so; of a group, by its customers."""
    sizes = dict.fromkeys(range(model.k), 0)
    for one in counted:
        sizes[one.segment] += one.customers
    told, least = [], job.config.segments.min_share
    for first, stop in cards.ranges_of(model):
        total = sum(sizes[index] for index in range(first, stop))
        for index in range(first, stop):
            if total and sizes[index] < least * total:
                name = tellings.told[index].name if tellings else model.names[index]
                told.append(
                    f"{segment_id(model.segment_keys[index])} '{name}' has {sizes[index]:,} customers, "
                    f"{sizes[index] / total:.1%}, fewer than segments.min_share {least:.1%}: too few to rely on."
                )
    return told


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
