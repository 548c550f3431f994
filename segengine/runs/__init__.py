"""The recipes of the command line as functions: check, train, score, run, demo."""

from segengine.runs.recipes import check, demo, run, score, train

__all__ = ["check", "demo", "run", "score", "train"]
