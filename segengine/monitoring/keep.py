"""What monitoring keeps in an output folder: a profile a moment, the readings, the call for a retrain, the metrics.

monitoring/<as_of>.json     the profile of the customers as of that moment, and the readings
monitoring/metrics.prom     the newest readings as OpenMetrics text, for Prometheus and its like
retrain.json                whether a retrain is called for, and why
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from segengine.model.policy import ALARM
from segengine.monitoring.judge import Reading, calls
from segengine.monitoring.profile import Profile

if TYPE_CHECKING:
    from segengine.io.files import Store

__all__ = [
    "Kept",
    "keep",
    "kept",
    "kept_moments",
    "latest",
    "metrics_text",
    "reason",
    "retrain_call",
    "rows_of",
    "year_before",
]

log = logging.getLogger(__name__)

FOLDER = "monitoring"
STAMP = "%Y%m%dT%H%M%SZ"
NEAR_DAYS = 16
"""How far from the same day of the year before a profile may be; months are 28 to 31 days apart."""


@dataclass(frozen=True)
class Kept:
    """What was kept of one moment."""

    profile: Profile
    readings: tuple[Mapping[str, Any], ...]


def keep(store: Store, profile: Profile, readings: Sequence[Reading], against: Mapping[str, dt.datetime]) -> None:
    """Write profile and readings, and of the newest moment metrics and call; each file is replaced as a whole.

    `against`: what is compared with -> the moment it is of.
    """
    rows = [_row(profile, reading, against) for reading in readings]
    content = {"profile": profile.to_dict(), "readings": rows}
    store.write_atomic(f"{FOLDER}/{_stamp(profile.as_of)}.json", _json(content))
    if profile.as_of < kept_moments(store)[-1]:
        return  # a look back says nothing of now: metrics and the call stay those of the newest moment
    store.write_atomic(f"{FOLDER}/metrics.prom", metrics_text(profile, readings).encode())
    call = calls(readings)
    look = [r for r in readings if r.verdict == "alarm" and r not in call]
    subjects = sorted({f"{r.measure} {r.subject}" for r in call})
    answered = _answered(store, profile.model_version, subjects)
    told = {
        "call": bool(call) and answered is None,
        "reasons": [reason(r) for r in call],
        "as_of": profile.as_of.isoformat(),
        "model_version": profile.model_version,
        "look_at_the_data": [reason(r) for r in look],
        "subjects": subjects,
        **({} if answered is None else {"answered_by": answered}),
    }
    store.write_atomic(ALARM, _json(told))


def _answered(store: Store, model_version: str, subjects: Sequence[str]) -> str | None:
    """The run that has answered this call, if one did without there being another champion: it is not called again
    for what it was called for before."""
    before = retrain_call(store) or {}
    same = before.get("model_version") == model_version and set(subjects) <= set(before.get("subjects", ()))
    return str(before["answered_by"]) if same and subjects and before.get("answered_by") else None


def reason(reading: Reading) -> str:
    """An alarm in a sentence."""
    return f"{reading.subject} ({reading.measure}): {reading.text}"


def kept_moments(store: Store) -> list[dt.datetime]:
    """The moments that something was kept of, oldest first."""
    names = (entry.name.removesuffix(".json") for entry in store.list(FOLDER) if entry.name.endswith(".json"))
    return sorted(dt.datetime.strptime(name, STAMP).replace(tzinfo=dt.UTC) for name in names if len(name) == 16)


def kept(store: Store, moments: Sequence[dt.datetime]) -> list[Kept]:
    """What was kept of these moments; files that cannot be read are told in the log and left out."""
    found = []
    for moment in moments:
        try:
            data = json.loads(store.read_bytes(f"{FOLDER}/{_stamp(moment)}.json"))
            found.append(Kept(Profile.from_dict(data["profile"]), tuple(data["readings"])))
        except (ValueError, KeyError, TypeError) as error:
            log.warning("the customers of %s are not known any more: %s", _stamp(moment), type(error).__name__)
    return found


def latest(store: Store, moments: int, as_of: dt.datetime) -> list[Kept]:
    """What was kept of the newest moments, so many, and of one more: `as_of`. Oldest first."""
    newest = kept_moments(store)[-moments:]
    return kept(store, newest if _stamp(as_of) in map(_stamp, newest) else sorted([*newest, as_of]))


def year_before(store: Store, as_of: dt.datetime) -> Profile | None:
    """The profile nearest to the same day of the year before, if there is one of that month."""
    wanted = as_of - dt.timedelta(days=365)
    near = [moment for moment in kept_moments(store) if abs(moment - wanted) <= dt.timedelta(days=NEAR_DAYS)]
    found = kept(store, sorted(near, key=lambda moment: (abs(moment - wanted), moment)))
    return found[0].profile if found else None


def rows_of(moments: Sequence[Kept]) -> list[dict[str, Any]]:
    """Rows of the published table `drift`, without their publication id."""
    times = ("as_of", "compared_as_of")
    return [
        {**row, **{name: dt.datetime.fromisoformat(row[name]) if row[name] else None for name in times}}
        for kept in moments
        for row in kept.readings
    ]


def retrain_call(store: Store) -> dict[str, Any] | None:
    """What `keep` last wrote of the call; None when nothing did."""
    if not store.exists(ALARM):
        return None
    try:
        data = json.loads(store.read_bytes(ALARM))
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def metrics_text(profile: Profile, readings: Sequence[Reading]) -> str:
    """The readings as OpenMetrics 1.0 text. Alarms are counted; each value says what it compares."""
    lines = [
        "# HELP segengine_monitored_as_of_seconds Moment that the customers were looked at, seconds since 1970.",
        "# TYPE segengine_monitored_as_of_seconds gauge",
        f"segengine_monitored_as_of_seconds {profile.as_of.timestamp():.0f}",
        "# HELP segengine_monitored_customers Customers in segments.",
        "# TYPE segengine_monitored_customers gauge",
        f"segengine_monitored_customers {profile.customers}",
        "# HELP segengine_retrain_called Whether monitoring calls for a retrain.",
        "# TYPE segengine_retrain_called gauge",
        f"segengine_retrain_called {int(bool(calls(readings)))}",
        "# HELP segengine_drift_verdicts Comparisons by verdict.",
        "# TYPE segengine_drift_verdicts gauge",
    ]
    for verdict in ("ok", "watch", "alarm"):
        count = sum(reading.verdict == verdict for reading in readings)
        lines.append(f'segengine_drift_verdicts{{verdict="{verdict}"}} {count}')
    for name, text in (("value", "What was measured."), ("limit", "Above this it is an alarm.")):
        lines += [f"# HELP segengine_drift_{name} {text}", f"# TYPE segengine_drift_{name} gauge"]
        for reading in sorted(readings, key=lambda r: (r.measure, r.subject, r.compared_with)):
            number = float(reading.value if name == "value" else reading.alarm_limit)
            written = "+Inf" if number == float("inf") else repr(number)
            lines.append(f"segengine_drift_{name}{{{_labels(reading)}}} {written}")
    return "\n".join([*lines, "# EOF", ""])


def _labels(reading: Reading) -> str:
    labels = {"measure": reading.measure, "subject": reading.subject, "compared_with": reading.compared_with}
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _row(profile: Profile, reading: Reading, against: Mapping[str, dt.datetime]) -> dict[str, Any]:
    plain = asdict(reading)
    limits = {name: _finite(plain[name]) for name in ("watch_limit", "alarm_limit")}
    moment = against.get(reading.compared_with)
    return {
        "as_of": profile.as_of.isoformat(),
        **plain,
        **limits,
        "compared_as_of": moment.isoformat() if moment is not None else None,
        "model_version": profile.model_version,
        "customers": profile.customers,
    }


def _finite(number: float) -> float | None:
    return None if number == float("inf") else number


def _stamp(as_of: dt.datetime) -> str:
    return as_of.astimezone(dt.UTC).strftime(STAMP)


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
