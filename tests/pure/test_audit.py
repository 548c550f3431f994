"""The audit trail: whatever is done to it afterwards shows, or it says why it cannot."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import threading
from pathlib import Path

import pytest
from rich.console import Console

from segengine.cli import _exit_code
from segengine.config import parse
from segengine.io.files import LocalStore
from segengine.mlops import audit
from segengine.mlops.anchor import anchored, drop_anchor
from segengine.mlops.audit import FIRST, Head, append, code_sha256, head_of, read_chain
from segengine.mlops.recording import record
from segengine.mlops.show import show_history
from segengine.mlops.verify import Verified, verify

NOW = dt.datetime(2024, 5, 1, 8, 0, tzinfo=dt.UTC)
CONFIG = """\
name: shop
tables: {transactions: {path: lines, columns: {customer_id: a, ordered_at: b, amount: c}}}
output: {path: out}
"""


def trail(folder: Path, records: int = 5) -> tuple[LocalStore, Head]:
    """A chain of runs, each of which wrote a publication of one file; the last three are kept."""
    store = LocalStore(str(folder / "out"))
    for number in range(1, records + 1):
        path = f"gold/publications/p{number}"
        store.write_atomic(f"{path}/customers/part-0.parquet", f"rows of {number}".encode())
        kept = [f"p{n}" for n in range(max(1, number - 2), number + 1)]
        facts = {"command": "run", "state": "done", "publication_id": f"p{number}", "kept_publications": kept}
        append(store, "run", {**facts, "outputs": audit.files_below(store, [path])}, NOW)
    for number in range(1, records - 2):
        store.delete(f"gold/publications/p{number}")
    return store, head_of(store)


def path_of(store: LocalStore, n: int) -> Path:
    return Path(store.root) / f"audit/{n:08d}.json"


def states(found: Verified) -> set[str]:
    return {finding.state for finding in found.findings}


def texts(found: Verified) -> str:
    return "\n".join(f"{finding.what}: {finding.text}" for finding in found.tampered)


def test_a_chain_that_nobody_touched_is_intact_and_what_retention_took_is_expired(tmp_path):
    store, head = trail(tmp_path)
    found = verify(store, head, has_anchor=True)
    assert not found.tampered
    assert states(found) == {"intact", "expired"}
    assert found.anchored
    assert found.anchor == "The anchor confirms record 5."
    assert found.head == head.sha256
    assert [f.text for f in found.findings if f.state == "expired"] == [
        f"gone by retention (keep_publications, or a vacuum of Delta); written by record {n}" for n in (1, 2)
    ]


@pytest.mark.parametrize("n", [1, 3])
def test_an_edited_record_shows_without_an_anchor(tmp_path, n):
    store, _ = trail(tmp_path)
    edited = path_of(store, n).read_text().replace('"state": "done"', '"state": "fine"')
    path_of(store, n).write_text(edited)
    assert f"audit record {n} or {n + 1}: edited" in texts(verify(store, None, has_anchor=False))


def test_a_record_that_is_no_json_any_more_shows(tmp_path):
    store, _ = trail(tmp_path)
    path_of(store, 2).write_text("{")
    assert "audit record 2: edited" in texts(verify(store, None, has_anchor=False))


@pytest.mark.parametrize("n", [1, 3])
def test_a_removed_record_shows_without_an_anchor(tmp_path, n):
    store, _ = trail(tmp_path)
    path_of(store, n).unlink()
    assert f"audit record {n}: removed" in texts(verify(store, None, has_anchor=False))


def test_records_in_another_order_show_without_an_anchor(tmp_path):
    store, _ = trail(tmp_path)
    two, three = path_of(store, 2).read_bytes(), path_of(store, 3).read_bytes()
    path_of(store, 2).write_bytes(three)
    path_of(store, 3).write_bytes(two)
    said = texts(verify(store, None, has_anchor=False))
    assert "audit record 2: moved: it says that it is record 3" in said
    assert "audit record 3: moved: it says that it is record 2" in said


def cut(store: LocalStore) -> None:
    path_of(store, 5).unlink()


def edit_last(store: LocalStore) -> None:
    path_of(store, 5).write_text(path_of(store, 5).read_text().replace('"done"', '"fine"'))


def rewrite(store: LocalStore) -> None:
    """Everything from record 2 on anew, with hashes that fit."""
    before = hashlib.sha256(path_of(store, 1).read_bytes()).hexdigest()
    for n in range(2, 6):
        content = {**json.loads(path_of(store, n).read_text()), "command": "score", "previous_sha256": before}
        path_of(store, n).write_text(json.dumps(content))
        before = hashlib.sha256(path_of(store, n).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("tamper", "text"),
    [(cut, "cut off: the anchor knows 5 records, 4 are there"), (rewrite, "rewritten"), (edit_last, "rewritten")],
)
def test_a_cut_tail_and_a_rewritten_chain_show_against_the_anchor_and_without_one_it_says_so(tmp_path, tamper, text):
    store, head = trail(tmp_path)
    tamper(store)
    assert text in texts(verify(store, head, has_anchor=True))
    alone = verify(store, None, has_anchor=False)
    assert "audit" not in texts(alone)
    assert alone.anchor.startswith("Not told: there is no anchor")
    assert not alone.anchored


def test_a_chain_that_was_rewritten_and_went_on_shows_against_the_anchor(tmp_path):
    store, head = trail(tmp_path)
    rewrite(store)
    append(store, "run", {"command": "run"}, NOW)
    assert "rewritten: record 5" in texts(verify(store, head, has_anchor=True))


def test_records_after_the_anchor_are_told(tmp_path):
    store, head = trail(tmp_path)
    append(store, "run", {"command": "check"}, NOW)
    assert "1 later records are not anchored" in verify(store, head, has_anchor=True).anchor


def test_an_output_that_was_edited_or_removed_shows(tmp_path):
    store, head = trail(tmp_path)
    store.write_atomic("gold/publications/p4/customers/part-0.parquet", b"other rows")
    store.delete("gold/publications/p5/customers/part-0.parquet")
    said = texts(verify(store, head, has_anchor=True))
    assert "p4/customers/part-0.parquet: edited since record 4 wrote it" in said
    assert "p5/customers/part-0.parquet: removed; record 5 wrote it" in said


def test_what_an_erasure_rewrote_is_erased_by_its_record_and_an_edit_after_it_is_none(tmp_path):
    store, _ = trail(tmp_path)
    path, gone = "gold/publications/p5/customers/part-0.parquet", "gold/publications/p4/customers/part-0.parquet"
    store.write_atomic(path, b"rows without somebody")
    store.delete(gone)
    facts = {"outputs": audit.files_below(store, [path]), "removed": [gone], "rows": 3, "files": 2}
    append(store, "erasure", facts, NOW)
    found = verify(store, None, has_anchor=False)
    assert not found.tampered
    assert [(f.what, f.text) for f in found.findings if f.state == "erased"] == [("2 files", "erased by record 6")]
    store.write_atomic(path, b"rows with somebody again")
    store.write_atomic(gone, b"rows of 4")
    said = texts(verify(store, None, has_anchor=False))
    assert f"{path}: edited since record 6 wrote it" in said
    assert f"{gone}: there again; record 6 erased it" in said


def test_two_writers_at_once_make_one_chain(tmp_path):
    store = LocalStore(str(tmp_path))
    writers = [
        threading.Thread(target=lambda: [append(store, "run", {"command": "run"}, NOW) for _ in range(10)])
        for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = verify(store, head_of(store), has_anchor=True)
    assert not found.tampered
    assert found.records == 40


def test_a_record_says_who_what_with_which_code_and_holds_no_secret(tmp_path, monkeypatch):
    config = parse(CONFIG, folder=tmp_path, environ={})
    config._secrets["s3cr3t-value"] = "${env:KEY}"
    store = LocalStore(str(tmp_path / "out"))
    store.write_atomic("models/v0001/model.json", b"{}")
    facts = {"command": "train", "state": "done", "inputs": [{"location": "s3://x?key=s3cr3t-value"}]}
    record(store, config, "run", facts, now=NOW, wrote=["models/v0001", "models/v0001/model.json"])
    change, entry = read_chain(store)
    assert (change.kind, change.content["config"]["name"], change.content["changed"]) == ("config_change", "shop", [])
    assert change.content["previous_sha256"] == FIRST
    said = entry.content
    assert said["code_sha256"] == code_sha256()
    assert said["config_sha256"] == config.fingerprint()
    assert set(said["outputs"]) == {"models/v0001/model.json"}
    assert said["outputs"]["models/v0001/model.json"]["sha256"] == hashlib.sha256(b"{}").hexdigest()
    assert (said["by_is"], said["evidence"]) == ("claimed", "")
    assert said["by"]
    assert "s3cr3t-value" not in path_of(store, 2).read_text()
    assert "${env:KEY}" in path_of(store, 2).read_text()


def test_a_changed_configuration_is_a_record_that_names_the_keys(tmp_path):
    store = LocalStore(str(tmp_path / "out"))
    first = parse(CONFIG, folder=tmp_path)
    second = parse(CONFIG + "segments: {k: 4}\nretrain: {every: 3 months}\n", folder=tmp_path)
    for config in (first, first, second, second):
        record(store, config, "run", {"command": "run"}, now=NOW)
    assert [entry.kind for entry in read_chain(store)] == ["config_change", "run", "run", "config_change", "run", "run"]
    assert read_chain(store)[3].content["changed"] == ["retrain.every", "segments.k"]


def test_the_head_is_kept_in_a_folder_of_another_store(tmp_path):
    config = parse(CONFIG + "audit: {anchor: elsewhere}\n", folder=tmp_path)
    store = LocalStore(str(tmp_path / "out"))
    record(store, config, "run", {"command": "run"}, now=NOW)
    assert anchored(config.audit.anchor, "shop") == head_of(store)
    assert config.audit.anchor == str(tmp_path / "elsewhere")
    assert anchored(str(tmp_path / "nowhere"), "shop") is None


def test_who_did_it_is_a_claim_but_in_a_protected_environment_of_ci(tmp_path, monkeypatch):
    for name, value in {
        "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ada", "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "shop/segments", "GITHUB_RUN_ID": "7",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    store = LocalStore(str(tmp_path))
    monkeypatch.delenv("SEGENGINE_APPROVAL_ENVIRONMENT", raising=False)
    append(store, "promotion", {"champion": "v0001"}, NOW)
    monkeypatch.setenv("SEGENGINE_APPROVAL_ENVIRONMENT", "prod")
    append(store, "promotion", {"champion": "v0002"}, NOW)
    claimed, given = (entry.content for entry in read_chain(store))
    assert claimed["by_is"] == "claimed"
    assert (given["by"], given["by_is"]) == ("ada", "ci_environment")
    assert given["evidence"] == "environment prod, https://github.example/shop/segments/actions/runs/7"


def test_an_anchor_that_cannot_be_written_fails_no_run(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    assert drop_anchor(str(tmp_path / "file"), "shop", Head(1, "ab")) is False
    assert "could not be kept" in caplog.text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's and its database tool's own
def test_the_head_is_kept_in_mlflow_and_tells_of_a_cut_tail_and_a_rewritten_chain(tmp_path):
    pytest.importorskip("mlflow", reason="MLflow is not installed; make setup WITH=mlflow installs it")
    config = parse(CONFIG + f"audit: {{anchor: 'mlflow:sqlite:///{tmp_path}/mlflow.db'}}\n", folder=tmp_path)
    anchor, store = config.audit.anchor, LocalStore(str(tmp_path / "out"))
    for command in ("train", "run", "score", "monitor"):
        record(store, config, "run", {"command": command}, now=NOW)
    kept = anchored(anchor, "shop")
    assert kept == head_of(store) == Head(5, store.sha256("audit/00000005.json"))
    assert verify(store, kept, has_anchor=True).anchored
    assert anchored(anchor, "another shop") is None
    rewrite(store)
    assert "rewritten: record 5" in texts(verify(store, anchored(anchor, "shop"), has_anchor=True))
    cut(store)
    assert "cut off: the anchor knows 5 records" in texts(verify(store, anchored(anchor, "shop"), has_anchor=True))


def test_verify_leaves_with_5_when_something_was_tampered_with_and_history_reads(tmp_path, capsys):
    file = tmp_path / "shop.yaml"
    file.write_text(CONFIG + "audit: {anchor: elsewhere}\n")
    config = parse(file.read_text(), folder=tmp_path)
    store = LocalStore(str(tmp_path / "out"))
    for command in ("train", "run"):
        record(store, config, "run", {"command": command, "state": "done"}, now=NOW)
    record(store, config, "rollback", {"before": "v0002", "champion": "v0001", "reason": "it was worse"}, now=NOW)
    assert _exit_code(["verify", str(file)]) == 0
    assert "The anchor confirms record 4." in capsys.readouterr().out
    console = Console(width=140, record=True)
    show_history(read_chain(store), console)
    shown = console.export_text()
    assert "config change" in shown
    assert "v0002 -> v0001: it was worse" in shown
    assert "2024-05-01 08:00:00" in shown
    assert "(claimed)" in shown
    capsys.readouterr()
    assert _exit_code(["history", str(file), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 4
    path_of(store, 4).unlink()
    assert _exit_code(["verify", str(file), "--quiet"]) == 5
