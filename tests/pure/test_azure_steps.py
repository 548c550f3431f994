"""Steps of pipelines without Spark: what they hand on, what the gate refuses, who approved, what is put where."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import pytest

from segengine.components import steps
from segengine.components.approval import approve, read_approval
from segengine.components.changes import Base, apply, base_of, collect, copy_of, read_changes
from segengine.config import load
from segengine.config.loading import with_places
from segengine.errors import BundleError, ConfigError, InputError, LockedError, ModelError, PublicationError
from segengine.io.files import LocalStore
from segengine.model import bundle
from segengine.publish.lock import publication_lock
from tests.pure import online_bundles
from tests.shops import write_config

NOW = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
MODEL = online_bundles.described(online_bundles.preparation())


def make_candidate(folder: Path, version: str = "v0001", champion: str | None = None, **manifest: object) -> Path:
    """What the train step hands on: a bundle, a run's record, and the gates' verdict in the manifest."""
    work = online_bundles.write_bundle(folder / "work", MODEL, version)
    (work / "models" / "champion.json").unlink()
    file = work / "models" / version / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "verdict": "passed", "why": "asked for", **manifest}))
    (work / "runs").mkdir()
    (work / "runs" / f"of-{version}.json").write_text("{}")
    candidate = folder / "candidate"
    candidate.mkdir(parents=True)
    base = Base(None, champion)
    collect(work, {}, candidate, step="train", run_id=f"of-{version}", base=base, facts={"version": version})
    return candidate


@pytest.fixture
def place(tmp_path):
    """A configuration, an empty state, and where verdicts and champions go."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "README.txt").touch()
    return write_config(tmp_path), state, tmp_path / "verdict", tmp_path / "champion"


def registered(place, candidate: Path, *, required: bool = False, approval: Path | None = None) -> str:
    config, state, verdict, champion = place
    steps.gate(config, candidate, state, verdict)
    return steps.register(config, candidate, verdict, approval, state, champion, required=required, now=NOW)


def test_a_challenger_that_passed_becomes_champion_with_its_records(place, tmp_path):
    _, state, _, champion = place
    assert registered(place, make_candidate(tmp_path)) == "v0001 is the champion: asked for."
    store = LocalStore(str(state))
    assert bundle.verify(store, "v0001")["version"] == "v0001"
    assert bundle.champion(store) == "v0001"
    assert (state / "runs" / "of-v0001.json").is_file()
    assert (champion / "v0001" / "scorer.json").is_file()
    (record,) = [json.loads(f.read_text()) for f in (state / "runs").glob("2024*.json")]
    assert (record["command"], record["champion"], record["approval"]) == ("register", "v0001", None)
    assert record["verdict"]["passed"] is True


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({"verdict": "refused", "refused_for": "stability: 0.3"}, "its gates say refused: stability: 0.3"),
        ({"verdict": None}, "its gates say nothing: it was not judged"),
        ({"verdict": "PASSED"}, "its gates say PASSED"),
    ],
)
def test_the_gate_refuses_what_was_refused_and_what_was_not_judged(place, tmp_path, manifest, said):
    config, state, verdict, champion = place
    candidate = make_candidate(tmp_path, **manifest)
    with pytest.raises(ModelError) as caught:
        steps.gate(config, candidate, state, verdict)
    assert caught.value.exit_code == 6
    assert said in caught.value.found
    assert json.loads((verdict / "verdict.json").read_text())["passed"] is False
    with pytest.raises(ModelError, match="not registered without a pass"):
        steps.register(config, candidate, verdict, None, state, champion, required=False)
    assert [file.name for file in state.iterdir()] == ["README.txt"]


def test_a_challenger_of_another_champion_is_refused(place, tmp_path):
    registered(place, make_candidate(tmp_path / "a"))
    with pytest.raises(ModelError) as caught:
        registered(place, make_candidate(tmp_path / "b", "v0002"))
    assert "compared with champion none, and the champion is v0001" in caught.value.found
    registered(place, make_candidate(tmp_path / "c", "v0002", champion="v0001"))
    assert bundle.champion(LocalStore(str(place[1]))) == "v0002"


def test_a_champion_that_changes_between_gate_and_register_stops_it(place, tmp_path):
    config, state, verdict, champion = place
    candidate = make_candidate(tmp_path / "a")
    steps.gate(config, candidate, state, verdict)
    registered((config, state, tmp_path / "other", champion), make_candidate(tmp_path / "b", "v0007"))
    with pytest.raises(PublicationError, match="moved on"):
        steps.register(config, candidate, verdict, None, state, champion, required=False)
    assert bundle.versions(LocalStore(str(state))) == ["v0007"]


def test_a_verdict_on_another_model_and_an_altered_model_are_refused(place, tmp_path):
    config, state, verdict, champion = place
    steps.gate(config, make_candidate(tmp_path / "a"), state, verdict)
    other = make_candidate(tmp_path / "b", note="another")
    with pytest.raises(ModelError, match="without a pass") as caught:
        steps.register(config, other, verdict, None, state, champion, required=False)
    assert caught.value.found == "it is of another model"
    (other / "files" / "models" / "v0001" / "model.json").write_text("{}")
    with pytest.raises(InputError, match="Files differ"):
        steps.gate(config, other, state, verdict)
    folder = make_candidate(tmp_path / "c") / "files" / "models" / "v0001"
    (folder / "model.json").write_text("{}")
    listing = folder.parents[2] / "changes.json"
    told = json.loads(listing.read_text())
    import hashlib

    told["files"]["models/v0001/model.json"] = hashlib.sha256(b"{}").hexdigest()
    listing.write_text(json.dumps(told))
    with pytest.raises(BundleError):
        steps.gate(config, folder.parents[2], state, verdict)


def test_where_approval_is_required_nothing_changes_without_one(place, tmp_path):
    _, state, _, champion = place
    candidate = make_candidate(tmp_path)
    assert registered(place, candidate, required=True) == "v0001 waits for approval: nothing was changed."
    assert [file.name for file in state.iterdir()] == ["README.txt"]
    assert [file.name for file in champion.iterdir()] == ["README.txt"]
    approve(tmp_path / "a.json", by="Ada", reason="looks\nright", version=None, now=NOW, environ={})
    told = registered(place, candidate, required=True, approval=tmp_path / "a.json")
    assert told == "v0001 is the champion: asked for; approved by Ada (claimed): looks right."


def test_an_approval_says_what_its_name_is_worth(tmp_path):
    ci = {
        "GITHUB_ACTIONS": "true",
        "SEGENGINE_APPROVAL_ENVIRONMENT": "prod",
        "GITHUB_SERVER_URL": "https://example.com",
        "GITHUB_REPOSITORY": "a/b",
        "GITHUB_RUN_ID": "7",
    }
    made = approve(tmp_path / "a.json", by="ada", reason="ok", version="v0002", now=NOW, environ=ci)
    assert (made.source, made.evidence) == (
        "ci_environment",
        "environment prod, https://example.com/a/b/actions/runs/7",
    )
    assert read_approval(tmp_path / "a.json", "v0002") == made
    with pytest.raises(ConfigError, match="another model"):
        read_approval(tmp_path / "a.json", "v0003")
    without = approve(
        tmp_path / "b.json", by="ada", reason="ok", version=None, now=NOW, environ={"GITHUB_ACTIONS": "true"}
    )
    assert without.source == "claimed"


@pytest.mark.parametrize(("by", "reason"), [("", "ok"), ("ada", " "), ("ada", "x" * 2001), ("a\x1b[2J", "ok")])
def test_an_approval_without_a_name_or_a_reason_is_none(tmp_path, by, reason):
    with pytest.raises(ConfigError, match="says who and why"):
        approve(tmp_path / "a.json", by=by, reason=reason, version=None, now=NOW, environ={})
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"approved_by": "ada"}', '{"approved_by": "a", "reason": 1, "x": 2}'])
def test_what_is_no_approval_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match="no approval"):
        read_approval(tmp_path / "a.json", "v0001")


def output(folder: Path, publication: str, **files: str) -> Path:
    """An output folder that shows this publication."""
    texts = {"gold/current.json": json.dumps({"publication_id": publication}), **files}
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def scored(tmp_path: Path, state: Path) -> Path:
    """What a score step hands on that makes publication p2 of p1."""
    base, before = base_of(state), copy_of(state, tmp_path / "work")
    output(tmp_path / "work", "p2", **{"gold/publications/p2/t/part-0": "new", "gold/_lock": "x", "work/y": "z"})
    shutil.rmtree(tmp_path / "work" / "gold" / "publications" / "p1")
    (tmp_path / "scored").mkdir()
    collect(tmp_path / "work", before, tmp_path / "scored", step="score", run_id="r2", base=base)
    return tmp_path / "scored"


def test_only_what_changed_is_handed_on_and_put_in_place_with_what_points_to_it_last(tmp_path, monkeypatch):
    state = output(tmp_path / "state", "p1", **{"gold/publications/p1/t/part-0": "old", "runs/r1.json": "{}"})
    changes = read_changes(scored(tmp_path, state), "score")
    assert sorted(changes.files) == ["gold/current.json", "gold/publications/p2/t/part-0"]
    assert changes.removed == ("gold/publications/p1/t/part-0",)
    placed = []
    from segengine.components import changes as module

    real = module.place

    def noted(source: Path, target: Path) -> None:
        placed.append(target.name)
        real(source, target)

    monkeypatch.setattr(module, "place", noted)
    steps.publish(write_config(tmp_path), tmp_path / "scored", state)
    assert placed == ["part-0", "current.json"]
    assert base_of(state).publication == "p2"
    assert not (state / "gold" / "publications" / "p1").exists()
    assert (state / "runs" / "r1.json").is_file()
    assert not (state / "gold" / "_lock").exists()


def test_deltas_log_comes_after_its_data_and_that_of_publications_last(tmp_path):
    from segengine.components.changes import _when

    in_order = [
        "gold/publications/part",
        "gold/t/part",
        "models/v1/model.json",
        "models/v1/manifest.json",
        "gold/t/_delta_log/01.json",
        "gold/t/_delta_log/02.json",
        "gold/publications/_delta_log/01.json",
        "models/champion.json",
    ]
    assert sorted(sorted(in_order), key=_when) == in_order


def test_a_state_that_moved_on_is_left_alone(tmp_path):
    state = output(tmp_path / "state", "p1", **{"gold/publications/p1/t/part-0": "old"})
    folder = scored(tmp_path, state)
    output(state, "p9")
    with pytest.raises(PublicationError, match="moved on") as caught:
        steps.publish(write_config(tmp_path), folder, state)
    assert caught.value.exit_code == 5
    assert (state / "gold" / "publications" / "p1" / "t" / "part-0").is_file()
    assert not (state / "gold" / "publications" / "p2").exists()


def test_whoever_was_erased_meanwhile_does_not_come_back(tmp_path):
    from segengine.mlops.audit import append

    state = output(tmp_path / "state", "p1", **{"gold/publications/p1/t/part-0": "old"})
    folder = scored(tmp_path, state)
    append(LocalStore(str(state)), "erasure", {}, NOW)
    with pytest.raises(PublicationError, match="moved on") as caught:
        steps.publish(write_config(tmp_path), folder, state)
    assert "1 erasures now" in caught.value.found


def test_two_do_not_write_at_once(tmp_path):
    state = output(tmp_path / "state", "p1", **{"gold/publications/p1/t/part-0": "old"})
    folder = scored(tmp_path, state)
    with publication_lock(LocalStore(str(state)), run_id="other"), pytest.raises(LockedError):
        apply(folder, read_changes(folder, "score"), state, load(write_config(tmp_path)))
    assert base_of(state).publication == "p1"


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "gold/../../outside"])
def test_a_listing_that_leads_outside_is_refused(tmp_path, path):
    state = output(tmp_path / "state", "p1", **{"gold/publications/p1/t/part-0": "old"})
    listing = scored(tmp_path, state) / "changes.json"
    told = json.loads(listing.read_text())
    told["removed"] = [path]
    listing.write_text(json.dumps(told))
    with pytest.raises(InputError, match="Files differ"):
        read_changes(listing.parent, "score")


def test_what_another_step_wrote_is_refused(tmp_path):
    state = output(tmp_path / "state", "p1", **{"gold/publications/p1/t/part-0": "old"})
    with pytest.raises(InputError, match="another step"):
        read_changes(scored(tmp_path, state), "train")


def test_a_state_folder_that_is_not_there_is_told_with_what_to_do(tmp_path):
    with pytest.raises(InputError, match="no output folder") as caught:
        copy_of(tmp_path / "sttae", tmp_path / "work")
    assert "docs/azure.md" in caught.value.todo


def test_other_places_do_not_change_the_fingerprint(tmp_path):
    config = load(write_config(tmp_path))
    moved = with_places(config, transactions="/elsewhere", output="/out")
    assert (moved.tables.transactions.path, moved.output.path) == ("/elsewhere", "/out")
    assert moved.fingerprint() == config.fingerprint()
    with pytest.raises(ConfigError, match="reads no files for customers"):
        with_places(config, customers="/people")
