"""Paired SQL and roles, run by DuckDB over small published tables, against plain Python; and the questions."""

from __future__ import annotations

import datetime as dt
import json

import duckdb
import pytest

from segengine.report.powerbi import Published, project
from segengine.report.powerbi.measures import SELF_CHECK, checked
from segengine.report.powerbi.measures_moves import MOVES
from segengine.report.powerbi.paired import query, tables_of
from segengine.report.powerbi.roles import DYNAMIC, TOLD
from tests.powerbi_facts import CARDS, options, published

KEYS = [1, 1, 1, 2, 2, 3, None, None]
REVENUE = [10.0, 20.0, 30.0, 5.0, 7.0, 100.0, 3.0, 0.0]
ORDERS = [1, 2, 3, 1, 1, 10, 1, 0]
RECENCY = [5.0, 91.0, 90.0, 200.0, 3.0, 1.0, 400.0, None]
COUNTRY = ["DE", "D'E", "FR", "DE", "FR", "AT", "DE", "FR"]
JANUARY, FEBRUARY = dt.datetime(2024, 1, 31), dt.datetime(2024, 2, 29)


@pytest.fixture
def database():
    """Eight customers in three segments and a lane, and the segments of two months."""
    found = duckdb.connect()
    rows = list(zip(range(8), KEYS, REVENUE, ORDERS, RECENCY, strict=True))
    found.execute(
        "CREATE TABLE assignments (customer_key BIGINT, segment_key INT, revenue DECIMAL(20,2), orders BIGINT, "
        "recency_days DOUBLE, is_outlier BOOLEAN, margin DOUBLE, margin_kpi DOUBLE)"
    )
    found.executemany(
        "INSERT INTO assignments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(*row, row[0] == 3, 0.05 if row[0] in (0, 4) else 0.5, 2.0) for row in rows],
    )
    found.execute("CREATE TABLE customers (customer_key BIGINT, country VARCHAR)")
    found.executemany("INSERT INTO customers VALUES (?, ?)", list(enumerate(COUNTRY)))
    found.execute(
        "CREATE TABLE segment_kpis (segment_key INT, as_of TIMESTAMP, customers BIGINT, revenue DECIMAL(20,2), "
        "orders BIGINT, active_90_days BIGINT, lifetime_value_365d DECIMAL(20,2))"
    )
    found.executemany(
        "INSERT INTO segment_kpis VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(1, JANUARY, 4, 50, 5, 4, 1), (2, JANUARY, 1, 10, 1, 1, 2), (1, FEBRUARY, 3, 60, 6, 2, 3),
         (2, FEBRUARY, 2, 12, 2, 1, 4), (3, FEBRUARY, 1, 100, 10, 1, 5)],
    )  # fmt: skip
    found.execute(
        'CREATE TABLE segment_profiles (segment_key INT, mean DOUBLE, median DOUBLE, "index" DOUBLE, z DOUBLE)'
    )
    found.executemany("INSERT INTO segment_profiles VALUES (?, ?, ?, ?, ?)", [(1, 1, 2, 50, -2), (2, 3, None, 150, 1)])
    found.execute("CREATE TABLE protected_mix (segment_key INT, share DOUBLE)")
    found.executemany("INSERT INTO protected_mix VALUES (?, ?)", [(1, 0.25), (1, None), (2, 0.75)])
    for table, column in (("gates", "value"), ("prediction", "eta_squared")):
        found.execute(f"CREATE TABLE {table} ({column} DOUBLE)")
        found.execute(f"INSERT INTO {table} VALUES (0.5), (0.7), (NULL)")
    found.execute("CREATE TABLE drift (as_of TIMESTAMP, value DOUBLE)")
    found.executemany("INSERT INTO drift VALUES (?, ?)", [(JANUARY, 9), (FEBRUARY, 0.7), (FEBRUARY, None)])
    found.execute(
        "CREATE TABLE moves (as_of TIMESTAMP, from_segment_key INT, from_lane VARCHAR, to_segment_key INT, "
        "to_lane VARCHAR, customers BIGINT)"
    )
    found.executemany(
        "INSERT INTO moves VALUES (?, ?, ?, ?, ?, ?)",
        [(JANUARY, None, None, 1, None, 4), (FEBRUARY, 1, None, 2, None, 1), (FEBRUARY, 1, None, None, "too_new", 1),
         (FEBRUARY, None, "no_purchases", 1, None, 1), (FEBRUARY, None, None, 3, None, 1),
         (FEBRUARY, None, "too_new", None, "no_purchases", 7)],
    )  # fmt: skip
    return found


def values(database, text):
    return database.execute(text).fetchall()


def measures(found: Published | None = None, **changed):
    return project(found or published(), options(**changed)).model.measures


def value(database, name, key=None, **changed):
    ((found,),) = values(database, measures(**changed)[name].sql.query(key))
    return None if found is None else float(found)


@pytest.mark.parametrize(
    ("name", "everybody", "first"),
    [
        ("Customers", 6, 3),
        ("All Customers", 8, 8),
        ("Customers in Lanes", 2, 2),
        ("Customer Share", 1, 0.5),
        ("Revenue", 172, 60),
        ("Revenue Share", 1, 60 / 172),
        ("Revenue in Lanes", 3, 3),
        ("Orders", 18, 6),
        ("Average Order Value", 172 / 18, 10),
        ("Revenue per Customer", 172 / 6, 20),
        ("Orders per Customer", 3, 2),
        ("Recency Days", (5 + 91 + 90 + 200 + 3 + 1) / 6, 62),
        ("At Risk", 2, 1),
        ("At Risk Share", 2 / 6, 1 / 3),
        ("Outliers", 1, 0),
        ("Near a Border", 2, 1),
        ("Near a Border Share", 2 / 6, 1 / 3),
        ("Customers at the Time", 6, 3),
        ("Customers Before", 5, 4),
        ("Customers Change", 1, -1),
        ("Customers Change %", 0.2, -0.25),
        ("Revenue Change", 112, 10),
        ("Lifetime Value", 12, 3),
        ("Total Margin", 12, 6),
        ("Feature Mean", 2, 1),
        ("Feature Median", 2, 2),
        ("Feature Index", 100, 50),
        ("Feature Difference", -0.5, -2),
        ("Strongest Difference", 2, 2),
        ("Protected Share", 0.5, 0.25),
        ("Gate Value", 0.7, 0.7),
        ("Explained Variance", 0.7, 0.7),
        ("Drift", 0.7, 0.7),
    ],
)
def test_what_a_measure_must_show(database, name, everybody, first):
    assert value(database, name, kpis=("margin_kpi",)) == pytest.approx(everybody)
    assert value(database, name, 1, kpis=("margin_kpi",)) == pytest.approx(first)


@pytest.mark.parametrize(
    ("name", "everybody", "first", "second"),
    [
        ("Moves In", 3, 1, 1),
        ("Moves Out", 2, 2, None),
        ("Net Flow", 1, -1, 1),
        ("Moved Customers", 11, 11, 11),
        ("No Longer in a Segment", 1, 1, None),
        ("Stayed", 3, 2, 1),
        ("Stayed Share", 0.6, 0.5, 1),
        ("Retention", 0.8, 0.75, 1),
        ("Reactivated", 1, 1, 0),
    ],
)
def test_what_a_measure_of_moves_must_show(database, name, everybody, first, second):
    (sql,) = [m.sql for m in MOVES if m.name == name]
    for key, wanted in ((None, everybody), (1, first), (2, second)):
        ((found,),) = values(database, sql.query(key))
        assert found == wanted if wanted is None else float(found) == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["Customers", "Revenue", "Orders", "Customer Share", "Average Order Value"])
def test_totals_and_rows_must_show_the_same(database, name):
    totals = measures(published(customers=2_000_000))
    for key in (None, 1, 2, 3):
        assert values(database, totals[name].sql.query(key)) == values(database, measures()[name].sql.query(key))


def test_every_measure_but_those_of_the_state_has_a_paired_sql():
    assert [m.name for m in measures().values() if m.sql is None] == ["Data as of", "Publication", SELF_CHECK]


def test_one_query_holds_them_all_and_reads_only_published_tables():
    found = list(measures(kpis=("margin_kpi",)).values())
    text = query(found, {name: f"view_of_{name}" for name in tables_of(found)})
    for measure in checked(found):
        assert f"'{measure.name}'" in text
    assert set(tables_of(found)) <= set(published().tables)
    assert "{" not in text
    assert query([], {}) is None


def restricted(**changed):
    return project(published(attributes=("country",)), options(rls_attribute="country", **changed)).model


def visible(database, condition):
    return [key for (key,) in values(database, f"SELECT customer_key FROM customers WHERE {condition} ORDER BY 1")]


def test_a_static_role_sees_the_customers_of_its_values(database):
    (role,) = restricted(rls_roles={"Germany": ("DE", "D'E")}).roles
    assert visible(database, role.sql) == [0, 1, 3, 6]
    assert role.filters["Customers"] == 'Customers[Country] IN { "DE", "D\'E" }'


def test_the_dynamic_role_looks_the_user_up(database):
    model = restricted(rls_users={"a@shop.example": ("FR", "AT"), "b@shop.example": ("DE",)})
    (role,) = model.roles
    assert role.name == DYNAMIC
    database.execute("CREATE TABLE user_access (user_name VARCHAR, value VARCHAR)")
    rows = [("a@shop.example", "FR"), ("a@shop.example", "AT"), ("b@shop.example", "DE")]
    database.executemany("INSERT INTO user_access VALUES (?, ?)", rows)
    for user, keys in (("a@shop.example", [2, 4, 5, 7]), ("b@shop.example", [0, 3, 6]), ("c@shop.example", [])):
        assert visible(database, role.sql.replace(":user_name", f"'{user}'")) == keys
    assert "USERPRINCIPALNAME ()" in role.filters["Customers"]
    assert '{"a@shop.example", "FR"}' in model.named("User Access").rows


def test_a_restricted_role_sees_no_table_of_totals():
    model = restricted(rls_roles={"Germany": ("DE",)}, rls_users={"a@shop.example": ("FR",)})
    related = {r.from_table for r in model.relationships if r.to_table == "Customers"}
    for role in model.roles:
        for table in model.tables:
            harmless = table.name in {
                "Customers",
                "Segments",
                "Previous Segments",
                "Dates",
                "Key Figures",
                "User Access",
            }
            assert harmless or table.name in related or role.filters[table.name] == "FALSE ()"
    assert model.named("Segments").field_of("customers") is None


def test_no_words_tell_a_restricted_role_of_all_customers():
    drawn = project(published(attributes=("country",)), options(rls_attribute="country", rls_roles={"a": ("DE",)}))
    assert all(drawn.model.named("Segments").field_of(name) is None for name in TOLD)
    assert ("column Segments Description", "it tells of all customers, and there are roles") in drawn.left_out
    told = b"".join(data for path, data in drawn.files.items() if "SemanticModel" in path or ".Report" in path)
    assert b"Thank them" in told
    assert b"They buy often" not in told


def test_an_attribute_that_is_not_published_gives_no_role_and_says_so():
    model = project(published(), options(rls_attribute="nowhere", rls_roles={"a": ("b",)})).model
    assert model.roles == ()
    assert ("row-level security", "customers have no attribute nowhere") in model.left_out


def test_there_are_thirty_questions_with_what_answers_them(database):
    drawn = project(published(), options())
    assert len(drawn.questions) == len({q.text for q in drawn.questions}) == 30
    assert len({q.measure for q in drawn.questions}) > 15
    for question in drawn.questions:
        assert question.text.endswith("?")
        assert question.measure in drawn.model.measures
    rows = [json.loads(line) for line in drawn.files["questions.jsonl"].decode().splitlines()]
    assert len(rows) == 30
    asked = next(r for r in rows if r["measure"] == "Customers" and r["filters"])
    assert asked["filters"] == {"Segments[Segment]": CARDS[0].name}
    assert asked["expected"] == 400.0
    assert values(database, asked["sql"]) == [(3,)]
    assert asked["dax"] == 'EVALUATE CALCULATETABLE ( ROW ( "Answer", [Customers] ), Segments[Segment Key] = 1 )'


def test_every_synonym_is_bound_to_something_visible():
    drawn = project(published(), options())
    text = drawn.files["SegEngine.SemanticModel/definition/cultures/en-US.tmdl"].decode()
    body = text[text.index("{") : text.rindex("}") + 1]
    content = json.loads(body)
    shown = {(t.name, f.name) for t in drawn.model.tables for f in t.fields if not f.hidden}
    shown |= {("Key Figures", m.name) for m in drawn.model.measures.values() if not m.hidden}
    for entity in content["Entities"].values():
        binding = entity["Definition"]["Binding"]
        if "ConceptualProperty" in binding:
            assert (binding["ConceptualEntity"], binding["ConceptualProperty"]) in shown
        else:
            assert not drawn.model.named(binding["ConceptualEntity"]).hidden
    assert len(content["Entities"]) > 40
    assert 'S-001 Spenders "de luxe": They buy often. Thank them' in content["CustomInstructions"]


def test_instructions_stay_within_what_copilot_reads():
    cards = tuple(CARDS[0].__class__(n, f"S-{n:03d}", "N" * 90, "D" * 300) for n in range(60))
    text = project(published(cards=cards), options()).files[
        "SegEngine.SemanticModel/definition/cultures/en-US.tmdl"
    ].decode()  # fmt: skip
    content = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert 5_000 < len(content["CustomInstructions"]) <= 10_000
