"""The recipes of the command line as functions: check, train, score, run, demo, explain."""

from segengine.runs.one_customer import explain
from segengine.runs.recipes import check, demo, run, score, train

__all__ = ["check", "demo", "explain", "run", "score", "train"]
