"""The recipes of the command line as functions: check, train, score, run, demo, explain, promote and others."""

from segengine.runs.champion import promote, rollback
from segengine.runs.erasing import forget
from segengine.runs.one_customer import explain
from segengine.runs.oversight import history, verify
from segengine.runs.recipes import check, demo, run, score, train
from segengine.runs.report import draw_report
from segengine.runs.watching import monitor

__all__ = [
    "check", "demo", "draw_report", "explain", "forget", "history", "monitor", "promote", "rollback", "run", "score",
    "train", "verify",
]  # fmt: skip
