"""A Power BI project (TMDL model and PBIR report) drawn from plain facts: text in, text out, no Spark and no disk."""

from __future__ import annotations

from segengine.report.powerbi.facts import Card, Expected, Options, Published
from segengine.report.powerbi.project import FOLDER, Project, project

__all__ = ["FOLDER", "Card", "Expected", "Options", "Project", "Published", "project"]
