"""The steps of Azure ML pipelines: declared folders in, a recipe on a copy of the output folder, declared folders out.

The output folder (`state`) is an ordinary one of segengine. Steps that compute work on a copy and hand on what changed;
`register` and `publish` alone put changes into the real one, and only when it is still what the computing step saw.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segengine import runs
from segengine.components import changes as carried
from segengine.components.approval import read_approval
from segengine.config import Config, load
from segengine.config.loading import with_places
from segengine.errors import InputError, ModelError, RefusedError
from segengine.io.files import LocalStore
from segengine.mlops import recording
from segengine.model import bundle, promotion

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Places", "check", "gate", "monitor", "publish", "register", "score", "train"]

VERDICT = "verdict.json"
RETRAIN, METRICS = "retrain.json", "monitoring/metrics.prom"
TAKEN_IN = ("models/", "runs/", "reports/", "quarantine/")
CHAMPION_FILES = ("models/champion.json", "models/promotions.json")


@dataclass(frozen=True)
class Places:
    """What the steps that compute are given: a configuration and folders."""

    config: Path
    state: Path
    to: Path
    transactions: Path | None = None
    customers: Path | None = None
    as_of: str | None = None


def check(places: Places, *, spark: SparkSession | None = None) -> None:
    """Check tables and rows; hands on the quarantine and the run's record."""
    with _copy(places) as (config, work, before, base):
        runs.check(config, spark=spark, as_of=places.as_of)
        carried.collect(work, before, places.to, step="check", run_id=_newest_run(work, before), base=base)


def train(places: Places, checked: Path, *, spark: SparkSession | None = None) -> None:
    """Train a challenger; hands on its bundle and the records of check and training, and leaves the champion alone.

    A challenger that its gates refuse is handed on too: it is the gate step that ends the pipeline.
    """
    found = carried.read_changes(checked, "check")
    with _copy(places) as (config, work, before, base):
        if found.base != base:
            raise InputError(
                "The tables were checked against another state.",
                where=str(checked),
                found=str(found.base),
                todo="Run the pipeline again from its first step.",
            )
        for path in found.files:
            target = work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checked / "files" / path, target)
        known = bundle.versions(LocalStore(str(work)))
        try:
            runs.train(config, spark=spark, as_of=places.as_of)
        except RefusedError:
            if bundle.versions(LocalStore(str(work))) == known:
                raise  # no number of segments passed: there is nothing to judge
        (version,) = set(bundle.versions(LocalStore(str(work)))) - set(known)
        carried.collect(
            work, before, places.to, step="train", run_id=_newest_run(work, before), base=base,
            without=_is_not_of_a_challenger, earlier=found, facts={"version": version},
        )  # fmt: skip


def gate(config: Path, candidate: Path, state: Path, to: Path) -> None:
    """Judge a challenger: whole, judged when it was trained, not refused, and against the champion of now.

    Writes verdict.json. Raises ModelError for anything but a pass: what was not judged is refused.
    """
    load(config)
    found = carried.read_changes(candidate, "train")
    version = str(found.facts["version"])
    store = LocalStore(str(candidate / "files"))
    problems = []
    saved = bundle.verify(store, version)
    verdict = saved.get("verdict")
    if verdict not in ("passed", "warned"):
        problems.append(f"its gates say {verdict or 'nothing'}: {saved.get('refused_for') or 'it was not judged'}")
    shown = carried.base_of(state)
    if shown.champion != found.base.champion:
        was, now = (name or "none" for name in (found.base.champion, shown.champion))
        problems.append(f"it was compared with champion {was}, and the champion is {now}")
    digest = _digest(store, version)
    told = {"version": version, "manifest_sha256": digest, "champion": shown.champion, "gates": verdict}
    told |= {"passed": not problems, "refused_for": problems}
    to.mkdir(parents=True, exist_ok=True)
    (to / VERDICT).write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    if problems:
        raise ModelError(
            f"Model version {version} does not become champion.",
            where=str(candidate),
            found="; ".join(problems),
            todo="Read model_card.md of the version; docs/runbook.md says what to do.",
        )


def register(
    config: Path, candidate: Path, verdict: Path, approval: Path | None, into: Path, to: Path, *, required: bool,
    now: dt.datetime | None = None,
) -> str:  # fmt: skip
    """Take in a challenger that passed; returns what became of it, in words.

    Where approval is required and there is none, nothing changes. Raises ModelError for a verdict that is no pass or
    is of another model, PublicationError when the state has moved on.
    """
    found = carried.read_changes(candidate, "train")
    version = str(found.facts["version"])
    judged = _verdict(verdict, LocalStore(str(candidate / "files")), version)
    approved = read_approval(approval, version) if approval is not None else None
    if required and approved is None:
        _hand_on_champion(LocalStore(str(into)), to)
        return f"{version} waits for approval: nothing was changed."
    moment = now or dt.datetime.now(dt.UTC)
    saved = bundle.manifest(LocalStore(str(candidate / "files")), version)
    reason = "; ".join(filter(None, (str(saved.get("why", "")), str(approved or ""))))

    def promote(store: LocalStore) -> None:
        change = promotion.promote(store, version, reason, moment)
        told = {"before": change.before, "champion": version, "reason": reason, "verdict": judged}
        told["approval"] = None if approved is None else asdict(approved)
        _record(store, configuration, moment, told)

    configuration = load(config)
    carried.apply(candidate, found, into, configuration, whatever_is_published=True, then=promote)
    _hand_on_champion(LocalStore(str(into)), to)
    return f"{version} is the champion: {reason}."


def score(places: Places, *, spark: SparkSession | None = None) -> None:
    """Score every customer with the champion into a publication that nobody sees as yet; hands on what is new."""
    with _copy(places) as (config, work, before, base):
        runs.score(config, spark=spark, as_of=places.as_of)
        carried.collect(work, before, places.to, step="score", run_id=_newest_run(work, before), base=base)


def publish(config: Path, scored: Path, into: Path) -> None:
    """Put a scored publication into the output folder, where readers see it all at once."""
    carried.apply(scored, carried.read_changes(scored, "score"), into, load(config))


def monitor(places: Places, into: Path, *, spark: SparkSession | None = None) -> None:
    """Look for drift of what is published; hands on retrain.json and the metrics, and keeps the readings in the state.

    That a retrain is called for is no failure. Raises PublicationError when the state has moved on meanwhile.
    """
    with _copy(places) as (config, work, before, base), tempfile.TemporaryDirectory() as scratch:
        runs.monitor(config, spark=spark)
        found = carried.collect(
            work, before, Path(scratch), step="monitor", run_id=_newest_run(work, before), base=base
        )
        carried.apply(Path(scratch), found, into, load(places.config))
        for name in (RETRAIN, METRICS):
            carried.place(work / name, places.to / Path(name).name)


def _is_not_of_a_challenger(path: str) -> bool:
    """What a training leaves behind beside its model and records: who is champion, and what incremental runs keep."""
    return path in CHAMPION_FILES or not path.startswith(TAKEN_IN)


def _digest(store: LocalStore, version: str) -> str:
    return store.sha256(f"models/{version}/manifest.json")


def _verdict(folder: Path, store: LocalStore, version: str) -> dict[str, Any]:
    try:
        judged = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            "There is no verdict on this model.", where=str(folder), found=repr(error), todo="Run the gate step first."
        ) from error
    of_this = (judged.get("version"), judged.get("manifest_sha256")) == (
        version,
        _digest(store, version),
    )
    if judged.get("passed") is not True or not of_this:
        found = "it is of another model" if not of_this else "; ".join(judged.get("refused_for", [])) or "no pass"
        raise ModelError(
            f"Model version {version} is not registered without a pass.",
            where=str(folder / VERDICT),
            found=found,
            todo="Read why in the verdict and the model card; train again, or promote it by hand with a reason.",
        )
    return dict(judged)


def _hand_on_champion(store: LocalStore, to: Path) -> None:
    """The champion's bundle as a model for Azure's own list; a note where there is none."""
    to.mkdir(parents=True, exist_ok=True)
    version = bundle.champion(store)
    if version is None:
        (to / "README.txt").write_text("There is no champion as yet.\n", encoding="utf-8")
    else:
        shutil.copytree(Path(store.root) / "models" / version, to / version, dirs_exist_ok=True)


def _record(store: LocalStore, config: Config, moment: dt.datetime, told: dict[str, Any]) -> None:
    """A record of the registration among those of the runs, and one of the new champion in the audit trail."""
    run_id = f"{moment:%Y%m%dT%H%M%SZ}-{told['verdict']['manifest_sha256'][:6]}"
    record = {"run_id": run_id, "command": "register", "name": config.name, "state": "done"}
    record |= {"started_at": moment.isoformat(), "config_sha256": config.fingerprint(), **told}
    store.write_atomic(f"runs/{run_id}.json", json.dumps(record, indent=2, ensure_ascii=False).encode())
    recording.record(store, config, "promotion", record, now=moment)


def _newest_run(work: Path, before: dict[str, tuple[int, int]]) -> str:
    new = [file.stem for file in (work / "runs").glob("*.json") if f"runs/{file.name}" not in before]
    return max(new)


@contextmanager
def _copy(places: Places) -> Iterator[tuple[Config, Path, dict[str, tuple[int, int]], carried.Base]]:
    """A copy of the state in a fresh folder, and the configuration that works on it."""
    loaded = load(places.config)
    with tempfile.TemporaryDirectory(prefix="segengine-") as scratch:
        work = Path(scratch) / "output"
        config = with_places(
            loaded,
            transactions=None if places.transactions is None else str(places.transactions),
            customers=None if places.customers is None else str(places.customers),
            output=str(work),
        )
        base = carried.base_of(places.state)
        before = carried.copy_of(places.state, work)
        places.to.mkdir(parents=True, exist_ok=True)
        yield config, work, before, base
