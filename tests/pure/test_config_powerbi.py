"""The sections powerbi, report and kpis: what they take, and what is refused in plain words."""

from __future__ import annotations

import pytest

from segengine.config.colours import contrast
from tests.pure.configs import FOLDER, config, people, refused


def test_it_is_drawn_by_default_with_every_connector():
    section = config().powerbi
    assert section.enabled
    assert section.source == "any"
    assert section.max_customers == 1_000_000


def test_roles_name_values_of_an_attribute():
    section = config(
        tables=people(),
        powerbi={"rls_attribute": "country", "rls_roles": {"DACH": ["DE", "AT"]}, "rls_users": {"a@b.example": ["DE"]}},
    ).powerbi
    assert section.rls_roles == {"DACH": ("DE", "AT")}
    assert section.rls_users == {"a@b.example": ("DE",)}


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"rls_roles": {"a": ["b"]}}, "needs powerbi.rls_attribute"),
        ({"rls_attribute": "country"}, "neither powerbi.rls_roles nor powerbi.rls_users"),
        ({"rls_attribute": "contry", "rls_roles": {"a": ["b"]}}, "Did you mean country?"),
        ({"source": "excel"}, "powerbi.source"),
        ({"enabled": "perhaps"}, "powerbi.enabled"),
    ],
)
def test_what_does_not_fit_is_refused(section, told):
    assert told in refused(tables=people(), powerbi=section)


def test_colours_that_cannot_be_seen_are_refused_with_their_contrast():
    assert config(report={"brand": {"colours": ["#332288"]}}).report.brand.colours == ("#332288",)
    assert "has a contrast of 1.1 with white, and needs 3" in refused(report={"brand": {"colours": ["#FFFF00"]}})
    assert "must be a colour such as #332288" in refused(report={"brand": {"colours": ["red"]}})
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_the_logo_is_beside_the_configuration():
    assert config(report={"brand": {"logo": "logo.png"}}).report.brand.logo == str(FOLDER / "logo.png")


def test_key_figures_have_names_and_sql_of_their_own():
    assert config(kpis={"margin": "revenue * 0.3"}).kpis == {"margin": "revenue * 0.3"}
    assert "kpis.margin" in refused(kpis={"margin": "rand()"})
    assert "uses a protected attribute" in refused(tables=people(protected=["age"]), kpis={"margin": "age * 2"})
