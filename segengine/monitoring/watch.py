"""Look at scored customers: count them, compare, keep what was found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from segengine.errors import BundleError
from segengine.model import bundle
from segengine.monitoring import keep as kept
from segengine.monitoring.count import count_customers
from segengine.monitoring.judge import Compared, Reading, calls, judge
from segengine.monitoring.profile import Profile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from segengine.io.files import Store

__all__ = ["REFERENCE", "Watched", "reference", "watch"]

REFERENCE = "reference.json"
"""The file of a model version that holds the profile of its training."""

LATEST = 3
"""Newest moments whose readings go into the next publication: they may have been looked at again since the last one.

The moment looked at goes in besides, which may be an older one."""

Recent = Mapping[str, Sequence[Mapping[str, int]]]


@dataclass(frozen=True)
class Watched:
    """What was found. `rows` are those of the published table `drift`, of this moment and of earlier ones."""

    profile: Profile
    readings: tuple[Reading, ...]
    rows: tuple[Mapping[str, Any], ...]
    compared_as_of: Mapping[str, dt.datetime]

    @property
    def alarms(self) -> tuple[Reading, ...]:
        return tuple(reading for reading in self.readings if reading.verdict == "alarm")

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why a retrain is called for; none when it is not."""
        return tuple(kept.reason(reading) for reading in calls(self.readings))


def reference(store: Store, version: str) -> Profile | None:
    """The profile of a version's training; None for a version that was saved before there were any."""
    saved = bundle.read_more(store, version, REFERENCE)
    if saved is None:
        return None
    try:
        return Profile.from_dict(saved)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{REFERENCE} of model version {version} does not hold a profile.",
            where=store.uri(f"models/{version}/{REFERENCE}"),
            found=f"{type(error).__name__}: {error}",
            todo="Restore it from a copy, or train again.",
        ) from error


def watch(
    store: Store,
    rows: DataFrame,
    names: Mapping[str, str],
    *,
    trained: Profile,
    as_of: dt.datetime,
    version: str,
    segments: Sequence[int],
    rows_read: tuple[int, int] | None,
    recent: Recent | None = None,
) -> Watched:
    """Compare the customers of `rows` (see `count_customers`) with the training and with the year before, and keep it.

    `rows_read`: rows read and rejected. `recent`: what `count_recent` counted.
    """
    before = kept.year_before(store, as_of)
    earlier = [trained, *([before] if before is not None else [])]
    counted = count_customers(
        rows, names, cuts=[profile.columns for profile in earlier], as_of=as_of, version=version, segments=segments
    )
    if rows_read is not None:
        counted = [replace(profile, rows_read=rows_read[0], rows_rejected=rows_read[1]) for profile in counted]
    compared = [Compared("training", trained, counted[0])]
    against = {"training": trained.as_of}
    if before is not None:
        compared.append(Compared("year_ago", before, counted[1]))
        against["year_ago"] = before.as_of
    readings = judge(compared, recent)
    kept.keep(store, counted[0], readings, against)
    latest = kept.latest(store, LATEST, as_of)
    return Watched(counted[0], tuple(readings), tuple(kept.rows_of(latest)), against)
