"""Best-practice rules for semantic models that can be decided without Power BI, after Microsoft's BPARules.json."""

from __future__ import annotations

import re

import pytest

from segengine.report.powerbi import project
from tests.powerbi_facts import CUSTOMERS_ONLY, options, published


@pytest.fixture(scope="module", params=["everything", "customers only", "totals"])
def model(request):
    made = {
        "everything": published(),
        "customers only": published(*CUSTOMERS_ONLY),
        "totals": published(customers=2_000_000),
    }
    return project(made[request.param], options(kpis=("margin_kpi",))).model


def columns(model):
    return [(table, field) for table in model.tables for field in table.fields]


def test_visible_objects_have_a_description_that_is_a_sentence(model):
    texts = [t.text for t in model.tables if not t.hidden]
    texts += [f.text for t, f in columns(model) if not f.hidden]
    texts += [m.text for m in model.measures.values()]
    wrong = [t for t in texts if t[0].islower() or not t.endswith(".") or len(t) < 5]
    assert wrong == []


def test_measures_have_a_format_unless_they_are_texts_and_a_folder(model):
    for measure in model.measures.values():
        assert measure.folder
        assert measure.format or measure.name in ("Data as of", "Publication")
        assert "%" not in (measure.format or "") or measure.format == "#,##0.0%;-#,##0.0%;#,##0.0%"


def test_foreign_keys_are_hidden_and_primary_keys_marked(model):
    by_name = {t.name: t for t in model.tables}
    for r in model.relationships:
        assert next(f for f in by_name[r.from_table].fields if f.name == r.from_column).hidden
    for name in ("Segments", "Customers", "Dates"):
        if name in by_name:
            assert [f for f in by_name[name].fields if f.key]


def test_numbers_of_facts_are_hidden_so_that_only_measures_add_up(model):
    facts = {r.from_table for r in model.relationships}
    shown = [(t.name, f.name) for t, f in columns(model) if t.name in facts and not f.hidden and f.kind == "money"]
    assert shown == []


def test_there_is_one_table_of_dates_and_it_is_marked(model):
    dates = [t for t in model.tables if t.is_dates]
    assert [t.name for t in dates] == ["Dates"]
    assert [f.name for f in dates[0].fields if f.key] == ["Date"]
    assert dates[0].field_of("date").kind == "date"
    assert dates[0].field_of("month_name").sort_by == "Month"


def test_the_model_is_a_star(model):
    ends = {r.to_table for r in model.relationships}
    assert not ends & {r.from_table for r in model.relationships}


def test_dax_divides_with_divide_and_hides_no_errors(model):
    for measure in model.measures.values():
        bare = re.sub(r'"[^"]*"|\[[^\]]*\]', "", measure.dax)
        assert "/" not in bare
        assert "IFERROR" not in bare.upper()


def test_no_variable_of_dax_has_the_name_of_a_function_or_a_keyword(model):
    taken = {
        "day",
        "month",
        "year",
        "date",
        "value",
        "values",
        "min",
        "max",
        "now",
        "today",
        "rank",
        "all",
        "filter",
        "in",
    }
    for measure in model.measures.values():
        assert not {name.lower() for name in re.findall(r"VAR (\w+)", measure.dax)} & taken


def test_no_two_measures_say_the_same_and_none_is_only_another(model):
    texts = [m.dax for m in model.measures.values()]
    assert len(texts) == len(set(texts))
    assert not [text for text in texts if re.fullmatch(r"\[[^\]]+\]", text)]


def test_names_begin_with_a_capital_and_have_no_blanks_at_their_ends():
    model = project(published(attributes=("plan", "two_words")), options()).model
    names = [t.name for t in model.tables] + [f.name for t, f in columns(model) if not f.hidden]
    names += list(model.measures)
    assert all(name == name.strip() and name[0].isupper() and "_" not in name for name in names)


def test_hidden_columns_are_not_built_for_mdx():
    files = project(published(), options()).files
    text = files["SegEngine.SemanticModel/definition/tables/Assignments.tmdl"].decode()
    blocks = text.split("\tcolumn ")[1:]
    hidden = [b for b in blocks if "isHidden" in b]
    assert hidden
    assert all("isAvailableInMdx: false" in b for b in hidden)
    assert all("summarizeBy: none" in b for b in blocks)


def test_automatic_date_tables_and_implicit_measures_are_off():
    text = project(published(), options()).files["SegEngine.SemanticModel/definition/model.tmdl"].decode()
    assert "annotation __PBI_TimeIntelligenceEnabled = 0" in text
    assert "discourageImplicitMeasures" in text
