"""The recipes of the command line as functions: check, train, score, run, demo, explain, promote, rollback."""

from segengine.runs.champion import promote, rollback
from segengine.runs.one_customer import explain
from segengine.runs.recipes import check, demo, run, score, train

__all__ = ["check", "demo", "explain", "promote", "rollback", "run", "score", "train"]
