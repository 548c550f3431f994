"""The Power BI project: everything that names something names what is there, and drawing twice gives the same."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from segengine.config.colours import contrast
from segengine.publish.publication import HISTORY
from segengine.report.powerbi import project
from segengine.report.powerbi.measures import HOME, SELF_CHECK, checked, measure_names_in
from segengine.report.powerbi.names import dax_column, friendly, guid, hex_id, m_text, tmdl
from segengine.report.powerbi.pages import HEIGHT, PHONE, WIDTH
from segengine.report.powerbi.star import PREVIOUS, TAKES
from segengine.report.powerbi.theme import PALETTE, low_contrast, theme_json
from tests.powerbi_facts import ADVERSE, VARIANTS, options, published

COLUMN = re.compile(r"(?:'((?:[^']|'')+)'|\b([A-Za-z_]\w*))\[((?:[^\]]|\]\])+)\]")
TEXT = re.compile(r'"(?:[^"]|"")*"')
QUERIES = Path(__file__).parents[2] / "docs" / "queries.md"
MOVES = "moves" in published().tables


@pytest.fixture(scope="module", params=VARIANTS)
def drawn(request):
    return project(*VARIANTS[request.param])


@pytest.fixture(scope="module")
def whole():
    return project(*VARIANTS["everything"])


def fields(model):
    return {(t.name, f.name) for t in model.tables for f in t.fields}


def test_every_column_and_measure_that_dax_names_is_there(drawn):
    known, measures = fields(drawn.model), set(drawn.model.measures)
    texts = [m.dax for m in drawn.model.measures.values()]
    texts += [condition for role in drawn.model.roles for condition in role.filters.values()]
    for text in texts:
        bare = TEXT.sub('""', text)
        for quoted, plain, column in COLUMN.findall(bare):
            table = (quoted or plain).replace("''", "'")
            assert (table, column.replace("]]", "]")) in known, text
        assert set(measure_names_in(bare)) <= measures, text
        assert bare.count("(") == bare.count(")")
        assert "{segments" not in bare
        assert "None" not in bare


def test_every_field_of_a_visual_and_of_a_drill_is_there(drawn):
    known = fields(drawn.model)
    for page in drawn.pages:
        for ref in [*page.drill, *(ref for v in page.visuals for ref in v.fields())]:
            if ref.is_measure:
                assert ref.table == HOME
                assert drawn.model.has_measure(ref.name)
            else:
                assert (ref.table, ref.name) in known


def test_relationships_join_columns_of_one_type_to_keys_and_filter_one_way(drawn):
    by_name = {t.name: t for t in drawn.model.tables}
    active = [(r.from_table, r.to_table) for r in drawn.model.relationships if r.active]
    assert len(active) == len(set(active))
    for r in drawn.model.relationships:
        ends = [next(f for f in by_name[t].fields if f.name == c)
                for t, c in ((r.from_table, r.from_column), (r.to_table, r.to_column))]  # fmt: skip
        assert ends[0].kind == ends[1].kind
        assert ends[0].kind in ("int", "long")
        assert r.to_table in ("Segments", "Customers", "Dates", PREVIOUS)


def test_every_table_but_helpers_is_related(drawn):
    alone = {HOME, "User Access", "Expected KPIs", "Gates", "Prediction"}
    related = {t for r in drawn.model.relationships for t in (r.from_table, r.to_table)}
    assert {t.name for t in drawn.model.tables} - related <= alone


def test_every_measure_is_shown_or_answers_a_question(drawn):
    shown = {ref.name for page in drawn.pages for v in page.visuals for ref in v.fields() if ref.is_measure}
    shown |= {q.measure for q in drawn.questions}
    used = set(shown)
    while True:  # a measure that others are made of is used too
        more = {n for name in used for n in measure_names_in(drawn.model.measures[name].dax)} - used
        if not more:
            break
        used |= more
    assert {m.name for m in drawn.model.measures.values() if not m.hidden} <= used


def test_visuals_do_not_overlap_and_stay_on_the_page(drawn):
    for page in drawn.pages:
        for a, b in combinations(page.visuals, 2):
            assert not a.box.overlaps(b.box), (page.id, a.id, b.id)
        for v in page.visuals:
            assert v.box.x >= 0 and v.box.y >= 0 and v.box.width >= 100 - 40 and v.box.height >= 60
            assert v.box.x + v.box.width <= WIDTH and v.box.y + v.box.height <= HEIGHT


def test_every_page_says_as_of_when_and_of_which_publication(drawn):
    for page in drawn.pages:
        named = {ref.name for v in page.visuals for ref in v.fields()}
        assert {"Data as of", "Publication"} <= named


@pytest.mark.parametrize(
    ("measure", "visual"), [("Rows by Rule", "rules"), ("Bridge Amount", "bridge"), ("Drift", "drift")]
)
def test_what_is_of_long_ago_does_not_show_as_of_now(whole, measure, visual):
    dax = whole.model.measures[measure].dax
    removed = COLUMN.findall(re.search(r"Latest = CALCULATE \(.*REMOVEFILTERS \((.*)\) \)\n", dax)[1])
    (shown,) = [v for page in whole.pages for v in page.visuals if v.id == visual]
    grouped = {(ref.table, ref.name) for ref in shown.fields() if not ref.is_measure}
    assert grouped <= {((quoted or plain), column) for quoted, plain, column in removed}


def test_the_dax_of_the_documentation_names_what_the_model_has(whole):
    blocks = re.findall(r"^```dax\n(.*?)^```", QUERIES.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 10
    for block in blocks:
        own = set(re.findall(r'"([A-Z][^"]*)"', block))
        bare = TEXT.sub('""', block)
        for quoted, plain, column in COLUMN.findall(bare):
            assert ((quoted or plain), column) in fields(whole.model), block
        assert set(measure_names_in(bare)) <= {*whole.model.measures, *own}, block
        assert bare.count("(") == bare.count(")")
        assert block.startswith("EVALUATE")


def test_a_moment_that_is_published_again_does_not_look_mixed(drawn):
    text = drawn.model.measures["Publication"].dax
    assert "Segments[Publication Id]" in text and "Runs[Publication Id]" in text
    assert not [name for name in HISTORY if f"{TAKES[name].name}'[" in text or f"{TAKES[name].name}[" in text]


def test_every_visual_has_an_alternative_text_a_place_in_the_tab_order_and_a_known_kind(whole):
    kinds = {"cardVisual", "clusteredBarChart", "clusteredColumnChart", "decompositionTreeVisual", "lineChart",
             "pivotTable", "scatterChart", "slicer", "tableEx", "textbox", "waterfallChart"}  # fmt: skip
    places: dict[str, list[int]] = {}
    for path, data in whole.files.items():
        if path.endswith("visual.json"):
            content = json.loads(data)
            alt = content["visual"]["visualContainerObjects"]["general"][0]["properties"]["altText"]
            assert len(alt["expr"]["Literal"]["Value"]) > 5
            assert content["visual"]["visualType"] in kinds
            places.setdefault(path.split("/visuals/")[0], []).append(content["position"]["tabOrder"])
    assert all(len(set(orders)) == len(orders) for orders in places.values())
    assert len(places) == len(whole.pages) == 5 + MOVES


def test_slicers_are_synced_over_the_pages(whole):
    synced = [v.sync for page in whole.pages for v in page.visuals if v.kind == "slicer"]
    assert synced.count("segments") == 4 + MOVES
    assert None not in synced


def test_the_overview_has_a_layout_for_telephones(whole):
    (overview,) = [page for page in whole.pages if page.id == "overview"]
    small = [v.mobile for v in overview.visuals if v.mobile is not None]
    assert len(small) >= 7
    assert not [1 for a, b in combinations(small, 2) if a.overlaps(b)]
    assert all(box.x + box.width <= PHONE for box in small)
    assert len([p for p in whole.files if p.endswith("mobile.json")]) == len(small)


def test_names_are_unique_in_their_table_whatever_their_case(drawn):
    for table in drawn.model.tables:
        names = [f.name.casefold() for f in table.fields] + [m.name.casefold() for m in table.measures]
        assert len(names) == len(set(names)), table.name
    files = [path.casefold() for path in drawn.files]
    assert len(files) == len(set(files))


def test_every_file_is_text_of_its_kind_with_names_that_file_systems_take(drawn):
    for path, data in drawn.files.items():
        text = data.decode()
        if path.endswith((".json", ".pbip", ".pbir", ".pbism", ".platform")):
            json.loads(text)
        assert not text.startswith("\ufeff")
        assert len(path) < 200
        assert not re.search(r'[<>:"|?*\x00-\x1f]', path)


def test_what_is_left_out_is_listed_with_its_reason():
    listed = dict(project(*VARIANTS["customers only"]).left_out)
    assert listed["measure Revenue"] == "the publication has no assignments.revenue"
    assert listed["measure Average Order Value"] == "it needs Revenue, which is left out"
    assert "visual Revenue bridge" in listed
    text = project(*VARIANTS["customers only"]).files["left-out.md"].decode()
    assert "- measure Revenue: the publication has no assignments.revenue" in text
    pages = [what for what, _ in project(*VARIANTS["everything"]).left_out if what.startswith("page")]
    assert pages == ([] if MOVES else ["page Moves"])


def test_above_the_limit_the_model_holds_totals_and_no_customer():
    totals = project(*VARIANTS["totals"])
    assert totals.model.table_of("assignments") is None
    assert totals.model.table_of("customers") is None
    assert "Customer" not in [page.title for page in totals.pages]
    assert {"Customers", "Revenue", "At Risk", "Customer Share"} <= set(totals.model.measures)


def test_above_the_limit_a_sql_source_is_queried_and_nothing_is_transformed():
    queried = project(*VARIANTS["queried"])
    text = queried.files["SegEngine.SemanticModel/definition/tables/Assignments.tmdl"].decode()
    assert "mode: directQuery" in text
    assert "TransformColumnTypes" not in text
    assert "mode: import" in queried.files["SegEngine.SemanticModel/definition/tables/Segments.tmdl"].decode()


def test_protected_attributes_are_not_in_the_customers_table():
    model = project(published(), options(protected=("country",))).model
    assert model.named("Customers").field_of("country") is None
    assert model.table_of("protected_mix") is not None


def test_a_single_connector_has_no_choice_and_no_other_connector():
    text = project(*VARIANTS["one connector"]).files["SegEngine.SemanticModel/definition/expressions.tmdl"].decode()
    assert "SourceKind" not in text
    assert "AzureStorage.DataLake" in text
    for other in ("Folder.Contents", "DeltaLake", "Databricks", "Sql.Database"):
        assert other not in text


def test_the_parameter_names_every_connector_and_the_pointer_is_honoured(whole):
    text = whole.files["SegEngine.SemanticModel/definition/expressions.tmdl"].decode()
    for part in ("Folder.Contents", "AzureStorage.DataLake", "DeltaLake.Table", "Databricks.Catalogs", "Sql.Database"):
        assert part in text
    assert "current.json" in text
    assert r"C:\shop\gold" in text


def test_drawing_again_gives_the_same_files_and_other_answers_change_no_model():
    one, two = (project(published(), options()) for _ in range(2))
    assert one.files == two.files
    other = project(published(expected=()), options())
    assert [path for path in one.files if one.files[path] != other.files[path]] == ["questions.jsonl"]


def test_ids_do_not_depend_on_what_else_is_there(whole):
    less = project(*VARIANTS["first publication of old"])
    for page in less.pages:
        assert any(f"/pages/{hex_id('page', page.id)}/" in path for path in whole.files)
    path = "SegEngine.SemanticModel/definition/tables/Segments.tmdl"
    tags = [set(re.findall(r"lineageTag: (\S+)", p.files[path].decode())) for p in (whole, less)]
    assert tags[0] == tags[1]


def test_the_self_check_compares_every_measure_with_a_paired_sql(whole):
    check = whole.model.measures[SELF_CHECK]
    assert check.hidden
    for measure in checked(whole.model.measures.values()):
        assert f'"{measure.name}", {dax_column(measure.name)}' in check.dax
        assert f'"{measure.name}", ' in whole.files["acceptance.dax"].decode()


def test_a_day_is_that_of_the_configured_zone():
    text = project(published(), options()).files["SegEngine.SemanticModel/definition/tables/Runs.tmdl"].decode()
    assert "#duration(0, 0, 60, 0)" in text  # 23:00 UTC is the next day in London's summer
    text = project(published(), options(timezone="America/New_York")).files[
        "SegEngine.SemanticModel/definition/tables/Runs.tmdl"
    ].decode()  # fmt: skip
    assert "#duration(0, 0, -240, 0)" in text


def test_every_colour_of_the_palette_can_be_seen_on_white():
    assert low_contrast(PALETTE) == []
    assert low_contrast(("#ffff00", "#000000")) == ["#ffff00"]


VISIONS = {  # linear RGB as it is seen, severity 1: Machado, Oliveira and Fernandes (2009), table 1
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def cielab(colour, vision):
    """Lightness, red to green and blue to yellow of a colour #rrggbb (sRGB, D65) as it is seen."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(VISIONS[vision]) @ linear, 0, 1)
    white = np.array([0.9505, 1, 1.089])
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen / white
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_colours_of_the_palette_can_be_told_apart_with_any_colour_vision(vision):
    seen = [cielab(colour, vision) for colour in PALETTE]
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) > 20


def test_texts_of_the_theme_can_be_read_on_its_paper():
    theme = theme_json()
    for text in ("foreground", "foregroundNeutralSecondary", "good", "neutral", "bad"):
        assert contrast(theme[text], theme["background"]) >= 4.5


def test_a_logo_is_on_every_page_and_in_the_project():
    drawn = project(published(), options(logo=b"png", colours=("#123456",)))
    assert drawn.files["SegEngine.Report/StaticResources/RegisteredResources/logo.png"] == b"png"
    assert all("logo" in [v.id for v in page.visuals] for page in drawn.pages)
    theme = json.loads(drawn.files["SegEngine.Report/StaticResources/RegisteredResources/SegEngineTheme.json"])
    assert theme["dataColors"] == ["#123456"]


@pytest.mark.parametrize("name", ADVERSE)
def test_names_survive_their_quoting(name):
    quoted = tmdl(friendly(name))
    assert "\n" not in quoted
    plain = quoted[1:-1].replace("''", "'") if quoted.startswith("'") else quoted
    assert plain == friendly(name)
    assert dax_column(name)[1:-1].replace("]]", "]") == name
    text = m_text(name)
    assert text.isprintable()
    inner = text[1:-1].replace('""', '"').replace("#(#)(", "#(")
    assert re.sub(r"#\(([0-9a-f]{8})\)", lambda m: chr(int(m[1], 16)), inner) == name


def test_a_snake_case_name_is_made_friendly_and_others_stay():
    assert friendly("recency_days") == "Recency Days"
    assert friendly("customer_id") == "Customer Id"
    assert friendly("Plan A") == "Plan A"
    assert guid("a", "b") == guid("a", "b") != guid("ab")
