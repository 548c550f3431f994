"""Whether the audit trail is whole, and everything it tells of still what was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segengine.mlops.audit import FIRST, Entry, Head, read_chain

if TYPE_CHECKING:
    from segengine.io.files import Store

__all__ = ["Finding", "Verified", "verify"]


@dataclass(frozen=True)
class Finding:
    """What became of something. `state`: intact, erased, expired or tampered."""

    what: str
    state: str
    text: str


@dataclass(frozen=True)
class Verified:
    """The outcome. `anchor`: what the anchor says of the chain, in a sentence."""

    records: int
    head: str
    anchor: str
    anchored: bool
    findings: tuple[Finding, ...]

    @property
    def tampered(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.state == "tampered")

    def count(self, state: str) -> int:
        return sum(finding.state == state for finding in self.findings)


def verify(store: Store, anchor: Head | None, *, has_anchor: bool) -> Verified:
    """Recompute the chain and every hash in it. `anchor`: the head that is kept elsewhere, when there is one."""
    entries = read_chain(store)
    broken = _chain(entries)
    told, held = _anchor(entries, anchor, has_anchor=has_anchor)
    broken += held
    findings = [*broken, *_outputs(store, entries)]
    if not broken and entries:
        findings.insert(0, Finding("audit trail", "intact", f"{len(entries):,} records, each naming the one before"))
    head = entries[-1].sha256 if entries else FIRST
    return Verified(len(entries), head, told, anchor is not None and not held, tuple(findings))


def _chain(entries: Sequence[Entry]) -> list[Finding]:
    found, before, expected = [], FIRST, 1
    for entry in entries:
        what = f"audit record {entry.n}"
        if entry.n != expected:
            missing = f"{expected}" if entry.n == expected + 1 else f"{expected} to {entry.n - 1}"
            found.append(Finding(f"audit record {missing}", "tampered", "removed"))
        content = entry.content
        if content is None:
            found.append(Finding(what, "tampered", "edited: it is no record any more"))
        elif content.get("n") != entry.n:
            found.append(Finding(what, "tampered", f"moved: it says that it is record {content.get('n')}"))
        elif content.get("previous_sha256") != before and entry.n == expected:
            found.append(Finding(f"audit record {entry.n - 1} or {entry.n}", "tampered", "edited: their hashes differ"))
        before, expected = entry.sha256, entry.n + 1
    return found


def _anchor(entries: Sequence[Entry], anchor: Head | None, *, has_anchor: bool) -> tuple[str, list[Finding]]:
    last = entries[-1].n if entries else 0
    if anchor is None:
        why = "nothing was kept in the anchor yet" if has_anchor else "there is no anchor (audit.anchor)"
        return f"Not told: {why}, so a cut tail, an edited last record or a rewritten chain would not show.", []
    if anchor.n > last:
        cut = f"cut off: the anchor knows {anchor.n:,} records, {last:,} are there"
        return "The anchor contradicts the trail.", [Finding("end of the audit trail", "tampered", cut)]
    there = {entry.n: entry.sha256 for entry in entries}
    if there.get(anchor.n) != anchor.sha256:
        text = f"rewritten: record {anchor.n} is not the one that the anchor knows"
        return "The anchor contradicts the trail.", [Finding("audit trail", "tampered", text)]
    later = last - anchor.n
    behind = f"; {later} later records are not anchored" if later else ""
    return f"The anchor confirms record {anchor.n}{behind}.", []


def _outputs(store: Store, entries: Sequence[Entry]) -> list[Finding]:
    """The state of every file that a record tells of; files that are as they should be are counted a record."""
    written: dict[str, tuple[int, Mapping[str, Any]]] = {}
    erased: dict[str, int] = {}
    for entry in entries:
        content = entry.content or {}
        for path, facts in _files(content).items():
            written[path] = (entry.n, facts)
            if entry.kind == "erasure":
                erased[path] = entry.n
        for path in content.get("removed", []):
            written.pop(path, None)
            erased[path] = entry.n
    kept, newest = _kept(entries), _newest_outputs(entries)
    findings = []
    intact: dict[int, int] = {}
    gone: dict[tuple[str, int], int] = {}
    for path, (n, facts) in sorted(written.items()):
        if not store.exists(path):
            if _expired(path, kept, newest):
                gone["expired", n] = gone.get(("expired", n), 0) + 1
            else:
                findings.append(Finding(path, "tampered", f"removed; record {n} wrote it"))
        elif store.sha256(path) != facts.get("sha256"):
            findings.append(Finding(path, "tampered", f"edited since record {n} wrote it"))
        elif path in erased:
            gone["erased", n] = gone.get(("erased", n), 0) + 1
        else:
            intact[n] = intact.get(n, 0) + 1
    for path, n in erased.items():
        if path not in written:
            if store.exists(path):
                findings.append(Finding(path, "tampered", f"there again; record {n} erased it"))
            else:
                gone["erased", n] = gone.get(("erased", n), 0) + 1
    findings += [Finding(f"{count:,} files", "intact", f"as record {n} wrote them") for n, count in intact.items()]
    texts = {
        "expired": "gone by retention (keep_publications, or a vacuum of Delta); written by record",
        "erased": "erased by record",
    }
    findings += [Finding(f"{c:,} files", state, f"{texts[state]} {n}") for (state, n), c in sorted(gone.items())]
    return findings


def _files(content: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    files = content.get("outputs", {})
    return files if isinstance(files, Mapping) else {}


def _kept(entries: Sequence[Entry]) -> set[str] | None:
    """The publications that the newest record of one says are kept; None when no record says so."""
    for entry in reversed(entries):
        kept = (entry.content or {}).get("kept_publications")
        if isinstance(kept, list):
            return {str(name) for name in kept}
    return None


def _newest_outputs(entries: Sequence[Entry]) -> set[str]:
    """What the newest record of a publication wrote."""
    for entry in reversed(entries):
        content = entry.content or {}
        if "publication_id" in content and entry.kind == "run":
            return set(_files(content))
    return set()


def _expired(path: str, kept: set[str] | None, newest: set[str]) -> bool:
    """Whether a file is of a publication that is not kept any more, or of a Delta version that was vacuumed since."""
    parts = path.split("/")
    if parts[:2] == ["gold", "publications"] and len(parts) > 3 and parts[2] != "_delta_log":
        return kept is not None and parts[2] not in kept
    return kept is None and parts[0] == "gold" and path not in newest
