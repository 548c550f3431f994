"""What a release is made of, and that nothing of it is taken for audited that was not."""

from __future__ import annotations

import json
import re

import pytest

from tests.azureml import read_by_others
from tools.audited import main as audited
from tools.audited import not_audited
from tools.sbom import bill, main


def test_the_bill_has_every_locked_package_and_jar_with_a_hash(tmp_path, repository):
    main([str(tmp_path / "dist/sbom.cdx.json")])
    read = json.loads((tmp_path / "dist/sbom.cdx.json").read_text())
    assert read == bill()
    assert (read["bomFormat"], read["specVersion"]) == ("CycloneDX", "1.6")
    purls = {one["purl"] for one in read["components"]}
    lock = (repository / "requirements/lock.txt").read_text()
    assert {f"pkg:pypi/{n}@{v}" for n, v in re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE)} <= purls
    assert any(purl.startswith("pkg:maven/io.delta/delta-spark") for purl in purls)
    assert any("spark-sql-kafka" in purl for purl in purls) and not any("/kafka_2.13@" in purl for purl in purls)
    assert len(purls) == len(read["components"])
    assert all(one["hashes"] for one in read["components"])


VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
for file in sys.argv[1:]:
    print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(file).read()) is None)
"""


def test_the_bill_is_valid_cyclonedx_and_the_validator_tells_a_broken_one(tmp_path):
    main([str(tmp_path / "good.json")])
    broken = bill()
    broken["components"][0]["hashes"][0]["alg"] = "SHA-257"
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    assert read_by_others(VALIDATE, tmp_path / "good.json", tmp_path / "broken.json").split() == ["True", "False"]


def test_a_skipped_package_was_not_audited(tmp_path):
    lock = "numpy==2.1.0 \\\n    --hash=sha256:aa\npyyaml==6.0.2 ; python_version > '3' \\\n"
    whole = {
        "dependencies": [{"name": "numpy", "version": "2.1.0", "vulns": []}, {"name": "PyYAML", "version": "6.0.2"}]
    }
    assert not_audited(lock, json.dumps(whole)) == []
    skipped = {"dependencies": [whole["dependencies"][0], {"name": "pyyaml", "skip_reason": "not found"}]}
    assert not_audited(lock, json.dumps(skipped)) == ["pyyaml 6.0.2: not found"]
    assert not_audited(lock, "{}") == ["numpy 2.1.0: not in the answer", "pyyaml 6.0.2: not in the answer"]
    (tmp_path / "lock.txt").write_text(lock)
    (tmp_path / "audit.json").write_text(json.dumps(skipped))
    with pytest.raises(SystemExit, match="pyyaml"):
        audited([str(tmp_path / "lock.txt"), str(tmp_path / "audit.json")])
