"""Fails unless an answer of pip-audit covers every package of a lock: a package that was skipped was not audited.

python tools/audited.py requirements/lock.txt audit.json
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path


def not_audited(lock: str, answer: str) -> list[str]:
    """The packages of the lock that the answer does not have, has in another version, or says it skipped."""
    wanted = dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", lock, re.MULTILINE))
    rows = json.loads(answer).get("dependencies", [])
    found = {str(row["name"]).lower().replace("_", "-").replace(".", "-"): row for row in rows}
    missing = []
    for name, version in wanted.items():
        row = found.get(name)
        if row is None or "skip_reason" in row or row.get("version") != version:
            missing.append(f"{name} {version}: {(row or {}).get('skip_reason', 'not in the answer')}")
    return missing


def main(arguments: Sequence[str] | None = None) -> None:
    """Leave with 1 and the names when something was skipped."""
    lock, answer = (Path(name) for name in (sys.argv[1:] if arguments is None else arguments))
    missing = not_audited(lock.read_text(encoding="utf-8"), answer.read_text(encoding="utf-8"))
    if missing:
        sys.exit("Not audited:\n" + "\n".join(missing))
    print(f"{lock}: every package was audited")


if __name__ == "__main__":
    main()
