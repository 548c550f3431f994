"""Results of a contest as Markdown: medians, ratios against segengine, and quality.

python -m benchmarks.tables benchmarks/results/5000000.json
"""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GIB = 2**30


@dataclass(frozen=True)
class Summary:
    """A contestant's finished rounds: medians, and all wall seconds. `state` is of the last run."""

    contestant: str
    state: str
    wall: tuple[float, ...]
    wall_median: float
    cpu_median: float
    pss_median: float
    stages: dict[str, float]
    """Medians of seconds by stage, as the contestant itself tells."""


def summaries(record: dict[str, Any]) -> list[Summary]:
    """By median time; those that never finished come last, with what was measured until they were stopped."""
    found = []
    for name in dict.fromkeys(run["contestant"] for run in record["runs"]):
        runs = [run for run in record["runs"] if run["contestant"] == name]
        finished = [run for run in runs if run["state"] == "finished"]
        counted = finished or runs
        stages = [run["account"]["seconds"] for run in finished]
        found.append(
            Summary(
                contestant=name,
                state="finished" if finished else runs[-1]["state"],
                wall=tuple(run["wall_seconds"] for run in counted),
                wall_median=statistics.median(run["wall_seconds"] for run in counted),
                cpu_median=statistics.median(run["cpu_seconds"] for run in counted),
                pss_median=statistics.median(run["peak_pss_bytes"] for run in counted),
                stages={key: statistics.median(s[key] for s in stages if key in s) for key in (stages or [{}])[0]},
            )
        )
    return sorted(found, key=lambda one: (one.state != "finished", one.wall_median))


def markdown(record: dict[str, Any]) -> str:
    """All tables of one results file."""
    machine = record["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    head = [
        f"### {record['line_rows']:,} lines",
        "",
        (
            f"Measured on {machine['measured_on']}: {machine['cores']} cores ({machine['processor']}), "
            f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}, {packages}. "
            f"Load average before: {machine['load_before']}."
        ),
        "",
    ]
    return "\n".join([*head, *_times(record), "", *_stages(record), "", *_quality(record), ""])


def _times(record: dict[str, Any]) -> list[str]:
    found = summaries(record)
    ours = next((one for one in found if one.contestant == "segengine" and one.state == "finished"), None)
    rows = [
        "| contestant | rounds | median s | fastest to slowest s | against segengine | CPU s | peak PSS GiB | k |",
        "|---|---|---|---|---|---|---|---|",
    ]
    chosen = {run["contestant"]: run["account"]["k"] for run in record["runs"] if "account" in run}
    for one in found:
        ratio = f"{one.wall_median / ours.wall_median:.2f}x" if ours else ""
        median = f"{one.wall_median:.1f}"
        if one.state != "finished":
            ratio, median = one.state, f"{one.state} after {one.wall_median:.0f}"
            if ours and one.state == "stopped":
                ratio = f"more than {one.wall_median / ours.wall_median:.1f}x"
        rows.append(
            f"| {one.contestant} | {len(one.wall)} | {median} | {min(one.wall):.1f} to {max(one.wall):.1f} | {ratio} "
            f"| {one.cpu_median:.1f} | {one.pss_median / GIB:.2f} | {chosen.get(one.contestant, '')} |"
        )
    return rows


def _stages(record: dict[str, Any]) -> list[str]:
    rows = ["| contestant | seconds by stage, median |", "|---|---|"]
    for one in summaries(record):
        told = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in one.stages.items())
        rows.append(f"| {one.contestant} | {told or one.state} |")
    return rows


def _quality(record: dict[str, Any]) -> list[str]:
    found = record.get("quality", {})
    rows: list[str] = []
    titles = {"own_k": "With the k that each chose", "at_common_k": f"All with k = {found.get('common_k')}"}
    for part, title in titles.items():
        verdicts = found.get(part)
        if not verdicts:
            continue
        spaces = list(next(iter(verdicts.values()))["spaces"])
        headings = " | ".join(f"cost, {space} | macro silhouette, {space}" for space in spaces)
        rows += [
            f"{title}:",
            "",
            f"| contestant | k | truth (ARI) | {headings} |",
            "|---" * (3 + 2 * len(spaces)) + "|",
        ]
        for name, verdict in verdicts.items():
            if "spaces" in verdict:
                cells = [
                    f"{verdict['spaces'][space]['cost']:,.0f} | {verdict['spaces'][space]['macro_silhouette']:.3f}"
                    for space in spaces
                ]
                truth = f"{verdict['adjusted_rand_index']:.3f}"
            else:
                cells, truth = [f"{verdict['costs'][space]:,.0f} | " for space in spaces], ""
            rows.append(f"| {name} | {verdict['k']} | {truth} | {' | '.join(cells)} |")
        rows.append("")
    return rows


def main() -> None:
    for file in sys.argv[1:]:
        print(markdown(json.loads(Path(file).read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
