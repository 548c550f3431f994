"""What segengine/tables declares holds together, and docs/tables.md says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from segengine.tables import TABLES, Table, minor_unit, reference


def test_the_reference_in_docs_is_current(repository: Path) -> None:
    assert (repository / "docs" / "tables.md").read_text() == reference.as_markdown()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_has_its_key_its_replaced_columns_and_the_publication(table: Table) -> None:
    names = table.column_names
    assert len({name.lower() for name in names}) == len(names)
    assert set(table.key) <= set(names)
    assert set(table.replaced_by) <= set(names)
    assert (bool(table.replaced_by) or table.whole) == table.cumulative
    assert "publication_id" in names
    assert not [c.name for c in table.columns if c.nullable and c.name in (*table.key, *table.replaced_by)]


def test_every_table_column_and_kind_is_explained_in_the_reference() -> None:
    text = reference.as_markdown()
    for table in TABLES:
        assert f"## {table.name}\n" in text
        for column in table.columns:
            assert column.text
            assert f"| `{column.name}` | {reference.KIND_TEXT[column.kind]} |" in text


def test_names_are_such_that_delta_and_bi_tools_take_them() -> None:
    for table in TABLES:
        assert all(name.isidentifier() and name == name.lower() for name in (table.name, *table.column_names))


@pytest.mark.parametrize(("currency", "digits"), [("EUR", 2), ("jpy", 0), ("KWD", 3), ("CLF", 4), ("XYZ", 2)])
def test_money_is_shown_at_the_currencys_minor_unit(currency: str, digits: int) -> None:
    assert minor_unit(currency) == digits
