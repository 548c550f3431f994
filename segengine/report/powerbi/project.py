"""A whole Power BI project as files in memory: `X.pbip`, `X.SemanticModel`, `X.Report`, and pages for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from segengine.report.powerbi import acceptance, theme
from segengine.report.powerbi.facts import Options, Published
from segengine.report.powerbi.language import Question, linguistics, questions
from segengine.report.powerbi.measures import with_measures
from segengine.report.powerbi.model import Model
from segengine.report.powerbi.names import guid, hex_id
from segengine.report.powerbi.pages import HEIGHT, WIDTH, Page, pages_of
from segengine.report.powerbi.power_query import utc_offset_minutes
from segengine.report.powerbi.roles import with_roles
from segengine.report.powerbi.star import star
from segengine.report.powerbi.tmdl import OWN_MEASURES, model_files, own_measures_text
from segengine.report.powerbi.visuals import SCHEMAS, mobile_json, visual_json

__all__ = ["FOLDER", "OWN_FILE", "PBIP", "Project", "model_of", "project"]

FOLDER = "powerbi"
NAME = "SegEngine"
PBIP = f"{NAME}.pbip"
OWN_FILE = f"{NAME}.SemanticModel/definition/tables/{OWN_MEASURES}.tmdl"
"""Written when it is missing, and never again."""
LOGO = "logo.png"
SQL_SOURCES = ("databricks", "fabric_sql")


@dataclass(frozen=True)
class Project:
    """A project: path -> content of its files, and what it was made of."""

    files: Mapping[str, bytes]
    model: Model
    pages: tuple[Page, ...]
    questions: tuple[Question, ...]
    left_out: tuple[tuple[str, str], ...]
    """What the publication or the configuration does not support, and why."""


def model_of(published: Published, options: Options) -> Model:
    """The semantic model that the publication supports."""
    many = published.customers > options.max_customers
    direct_query = many and options.source in SQL_SOURCES
    detailed = published.has("assignments") and published.has("customers") and (not many or direct_query)
    model = star(published, options, detailed=detailed, direct_query=direct_query)
    return with_roles(with_measures(model, options, detailed=detailed), options)


def project(published: Published, options: Options) -> Project:
    """Everything the folder `powerbi` of an output holds."""
    model = model_of(published, options)
    logo = LOGO if options.logo is not None else None
    pages, undrawn = pages_of(model, options, logo)
    asked = questions(model, published)
    model = replace(model, left_out=(*model.left_out, *undrawn))
    offset = utc_offset_minutes(options.timezone, published.as_of)
    cards = published.cards
    if model.roles:  # what segments tell of all customers is not for everybody
        cards = tuple(replace(card, description="") for card in cards)
    texts = {
        f"{NAME}.SemanticModel/{path}": text
        for path, text in model_files(model, options, offset, linguistics(model, cards)).items()
    }
    texts |= _model_shell(options)
    texts |= _report(pages, options, logo)
    texts |= acceptance.files(model, pages, asked, options)
    texts[OWN_FILE] = own_measures_text()
    files = {path: text.encode() for path, text in sorted(texts.items())}
    if options.logo is not None:
        files[f"{NAME}.Report/StaticResources/RegisteredResources/{LOGO}"] = options.logo
    return Project(files, model, pages, asked, model.left_out)


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _platform(kind: str, options: Options) -> str:
    return _json(
        {
            "$schema": SCHEMAS["platform"],
            "metadata": {"type": kind, "displayName": NAME},
            "config": {"version": "2.0", "logicalId": guid("logical", options.name, kind)},
        }
    )


def _model_shell(options: Options) -> dict[str, str]:
    folder = f"{NAME}.SemanticModel"
    settings = {"$schema": SCHEMAS["pbism"], "version": "4.2", "settings": {"qnaEnabled": True}}
    return {
        f"{folder}/definition.pbism": _json(settings),
        f"{folder}/.platform": _platform("SemanticModel", options),
        ".gitignore": "**/.pbi/localSettings.json\n**/.pbi/cache.abf\n",
    }


def _report(pages: tuple[Page, ...], options: Options, logo: str | None) -> dict[str, str]:
    folder = f"{NAME}.Report"
    shell = {
        "$schema": SCHEMAS["pbip"],
        "version": "1.0",
        "artifacts": [{"report": {"path": folder}}],
        "settings": {"enableAutoRecovery": True},
    }
    bound = {"byPath": {"path": f"../{NAME}.SemanticModel"}}
    order = [hex_id("page", page.id) for page in pages]
    texts = {
        PBIP: _json(shell),
        f"{folder}/.platform": _platform("Report", options),
        f"{folder}/definition.pbir": _json({"$schema": SCHEMAS["pbir"], "version": "4.0", "datasetReference": bound}),
        f"{folder}/definition/version.json": _json({"$schema": SCHEMAS["version"], "version": "2.0.0"}),
        f"{folder}/definition/report.json": _json(_report_json(logo)),
        f"{folder}/definition/pages/pages.json": _json(
            {"$schema": SCHEMAS["pages"], "pageOrder": order, "activePageName": order[0]}
        ),
        f"{folder}/StaticResources/SharedResources/BaseThemes/{theme.BASE_THEME}.json": theme.base_theme_text(),
        f"{folder}/StaticResources/RegisteredResources/{theme.THEME}": _json(theme.theme_json(options.colours)),
    }
    for page in pages:
        texts |= _page(f"{folder}/definition/pages/{hex_id('page', page.id)}", page)
    return texts


def _report_json(logo: str | None) -> dict[str, Any]:
    version = {"visual": "2.4.0", "report": "3.0.0", "page": "2.0.0"}
    registered = [{"name": theme.THEME, "path": theme.THEME, "type": "CustomTheme"}]
    registered += [{"name": logo, "path": logo, "type": "Image"}] if logo else []
    base = [{"name": theme.BASE_THEME, "path": f"BaseThemes/{theme.BASE_THEME}.json", "type": "BaseTheme"}]
    return {
        "$schema": SCHEMAS["report"],
        "themeCollection": {
            "baseTheme": {"name": theme.BASE_THEME, "reportVersionAtImport": version, "type": "SharedResources"},
            "customTheme": {"name": theme.THEME, "reportVersionAtImport": version, "type": "RegisteredResources"},
        },
        "resourcePackages": [
            {"name": "SharedResources", "type": "SharedResources", "items": base},
            {"name": "RegisteredResources", "type": "RegisteredResources", "items": registered},
        ],
        "settings": {
            "useStylableVisualContainerHeader": True,
            "exportDataMode": "AllowSummarized",
            "defaultDrillFilterOtherVisuals": True,
            "allowChangeFilterTypes": True,
            "useEnhancedTooltips": True,
            "useDefaultAggregateDisplayName": True,
        },
    }


def _page(folder: str, page: Page) -> dict[str, str]:
    content: dict[str, Any] = {
        "$schema": SCHEMAS["page"],
        "name": hex_id("page", page.id),
        "displayName": page.title,
        "displayOption": "FitToPage",
        "height": HEIGHT,
        "width": WIDTH,
    }
    if page.drill:
        names = [hex_id("filter", page.id, ref.table, ref.name) for ref in page.drill]
        content["filterConfig"] = {
            "filters": [
                {"name": name, "field": ref.json(), "type": "Categorical", "howCreated": "Drillthrough"}
                for name, ref in zip(names, page.drill, strict=True)
            ]
        }
        content["pageBinding"] = {
            "name": hex_id("binding", page.id),
            "type": "Drillthrough",
            "parameters": [
                {"name": f"Param_{name}", "boundFilter": name, "fieldExpr": ref.json()}
                for name, ref in zip(names, page.drill, strict=True)
            ],
        }
        content["type"] = "Drillthrough"
        content["visibility"] = "HiddenInViewMode"
    texts = {f"{folder}/page.json": _json(content)}
    for order, visual in enumerate(page.visuals):
        where = f"{folder}/visuals/{hex_id('visual', page.id, visual.id)}"
        texts[f"{where}/visual.json"] = _json(visual_json(page.id, visual, order))
        if visual.mobile is not None:
            texts[f"{where}/mobile.json"] = _json(mobile_json(visual, order))
    return texts
