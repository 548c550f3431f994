"""Types customers into the calculator of a report that is open in a browser."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.chromium import Page

__all__ = ["fill_calculator"]

FILL = """
((rows) => {
  const answer = document.getElementById("answer");
  return rows.map((row) => {
    row.forEach((value, place) => { document.getElementById("f-" + place).value = value; });
    document.getElementById("f-0").dispatchEvent(new Event("input", { bubbles: true }));
    return [Number(answer.dataset.segment), Number(answer.dataset.distance), Number(answer.dataset.margin)];
  });
})(%s)
"""


def fill_calculator(page: Page, rows: Sequence[Sequence[str]]) -> list[list[float]]:
    """For each customer, one text a field: the index of its segment, the distance to its centre, the margin."""
    answers: list[list[float]] = page.evaluate(FILL % json.dumps(rows))
    return answers
