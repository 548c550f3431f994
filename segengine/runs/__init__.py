"""The recipes of the command line as functions: check, train, score, run, demo, explain, promote and others."""

from segengine.runs.campaign_results import campaign_result
from segengine.runs.champion import promote, rollback
from segengine.runs.erasing import forget
from segengine.runs.exporting import export, list_campaigns
from segengine.runs.one_customer import explain
from segengine.runs.oversight import history, verify
from segengine.runs.recipes import check, demo, run, score, train
from segengine.runs.report import draw_report
from segengine.runs.watching import monitor

__all__ = [
    "campaign_result", "check", "demo", "draw_report", "explain", "export", "forget", "history", "list_campaigns",
    "monitor", "promote", "rollback", "run", "score", "train", "verify",
]  # fmt: skip
