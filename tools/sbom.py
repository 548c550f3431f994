"""Writes what a release is made of as CycloneDX 1.6: the locked packages and JARs with their hashes. Needs no network.

python tools/sbom.py dist/sbom.cdx.json
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ENTRY = re.compile(r"^([a-z0-9-]+)==(\S+)((?:(?!^[a-z0-9-]+==)[\s\S])*)", re.MULTILINE)
JAR = re.compile(r'<dependency org="([\w.]+)" name="([\w.-]+)" rev="([\w.]+)"')


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the list to the file that is named."""
    (target,) = sys.argv[1:] if arguments is None else arguments
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bill(), indent=2) + "\n", encoding="utf-8")
    print(f"{path}: {len(bill()['components'])} components")


def bill() -> dict[str, Any]:
    """The bill of materials, in an order of its own, without a time: the same lock gives the same bytes."""
    version = re.findall(r'__version__ = "([^"]+)"', (ROOT / "segengine/__init__.py").read_text(encoding="utf-8"))[0]
    subject = {
        "type": "application",
        "name": "segengine",
        "version": version,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    components = sorted([*_packages(), *_jars()], key=lambda one: str(one["purl"]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**subject, "purl": f"pkg:pypi/segengine@{version}"}},
        "components": components,
    }


def _packages() -> Iterator[dict[str, Any]]:
    text = (ROOT / "requirements/lock.txt").read_text(encoding="utf-8")
    for name, version, rest in ENTRY.findall(text):
        hashes = [{"alg": "SHA-256", "content": digest} for digest in re.findall(r"--hash=sha256:([0-9a-f]{64})", rest)]
        yield _component(name, version, f"pkg:pypi/{name}@{version}", hashes)


def _jars() -> Iterator[dict[str, Any]]:
    for ivy in sorted((ROOT / "tools").glob("**/ivy.xml")):
        if "spark-" in str(ivy.relative_to(ROOT)) or ivy.parts[-3] == "servers":
            continue  # lines that the release is not developed on, and servers of its tests
        listed = (ivy.parent / "jars.sha256").read_text(encoding="utf-8")
        digests = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", listed, re.MULTILINE)}
        for group, name, version in JAR.findall(ivy.read_text(encoding="utf-8")):
            digest = {"alg": "SHA-256", "content": digests[f"{name}-{version}.jar"]}
            yield _component(name, version, f"pkg:maven/{group}/{name}@{version}", [digest], group=group)


def _component(name: str, version: str, purl: str, hashes: list[dict[str, str]], **more: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": purl,
        **more,
        "name": name,
        "version": version,
        "purl": purl,
        "hashes": hashes,
    }


if __name__ == "__main__":
    main()
