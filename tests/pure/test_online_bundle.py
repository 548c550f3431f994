"""What the scorer without Spark loads and what it refuses: whole bundles only, from wherever they lie."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segengine.errors import BundleError, ModelError
from segengine.scoring.online import load
from tests.pure.online_bundles import (
    GROUPED,
    MODEL,
    NUMBERS,
    customers,
    equal,
    scorer,
    write_bundle,
)

ROOT = Path(__file__).resolve().parents[2]


def test_a_bundle_loads_from_the_output_the_models_or_the_version(tmp_path):
    root = write_bundle(tmp_path, MODEL)
    frame = customers(50)
    expected = scorer(MODEL).score(frame)
    for path in (root, root / "models", root / "models" / "v0001"):
        loaded = load(path)
        assert loaded.model_version == "v0001"
        assert equal(expected, loaded.score(frame))
    assert load(str(root), "v0001").columns == ("recency_days", *NUMBERS[1:], "plan")


def test_a_bundle_from_before_there_was_a_scorer_loads(tmp_path):
    root = write_bundle(tmp_path, GROUPED, without=("scorer.json",))
    frame = customers(50).assign(country="FR")
    assert equal(scorer(GROUPED).score(frame), load(root).score(frame))


def test_segments_have_the_lasting_keys_of_the_bundle(tmp_path):
    segments = [{"index": i, "segment_key": 9 - i, "segment_id": f"S-{9 - i:03d}"} for i in range(5)]
    root = write_bundle(tmp_path, MODEL, identity={"format": 1, "segments": segments})
    got = load(root).score(customers(50))
    assert np.array_equal(got["segment_key"], 9 - got["segment_index"])
    for wrong in ({"segments": segments[:4]}, {"segments": None}, {}):
        with pytest.raises(BundleError, match=r"identity\.json|not as it was saved"):
            load(write_bundle(tmp_path, MODEL, identity=wrong))


def refused(path: Path, version: str | None = None) -> str:
    with pytest.raises(BundleError) as caught:
        load(path, version)
    return str(caught.value)


@pytest.mark.parametrize("name", ["model.json", "scorer.json", "pipeline/metadata/part-00000"])
def test_one_flipped_bit_or_a_missing_file_is_found_whatever_the_file(tmp_path, name):
    root = write_bundle(tmp_path, MODEL)
    path = root / "models" / "v0001" / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert f"the content of {name} has changed" in refused(root)
    path.unlink()
    assert f"missing {name}" in refused(root)


def test_files_beside_the_manifest_and_manifests_made_anew_are_refused(tmp_path):
    root = write_bundle(tmp_path, MODEL)
    folder = root / "models" / "v0001"
    (folder / "more.json").write_text("{}")
    assert "not in the manifest: more.json" in refused(root)
    (folder / "more.json").unlink()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "note": 1}))
    assert "not the one that was made champion" in refused(root)
    assert "not the one that was made champion" in refused(folder)


@pytest.mark.parametrize("change", [{"format": 9}, {"files": None}, {"features": None}, {"features": ["other"]}])
def test_foreign_bundles_are_refused(tmp_path, change):
    root = write_bundle(tmp_path, MODEL)
    (root / "models" / "champion.json").unlink()
    path = root / "models" / "v0001" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))
    assert refused(root, "v0001")


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelError, match="no model to score with"):
        load(tmp_path)
    root = write_bundle(tmp_path, MODEL)
    assert "versions: v0001" in refused(root, "v0007")
    assert "not a model version" in refused(root, "../v0001")
    assert "not version v0002" in refused(root / "models" / "v0001", "v0002")
    (root / "models" / "champion.json").write_text("{oops")
    assert "cannot be read" in refused(root)
