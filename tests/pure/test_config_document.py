"""What a file must look like: keys, YAML, encodings, and secrets that come from the environment."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from segengine.config import document, json_schema, load, parse
from segengine.config.problems import PATTERNS, sections
from segengine.errors import ConfigError
from tests.pure.configs import FOLDER, MINIMAL, TABLES, lines, people, refused

# Keys


@given(st.data())
def test_a_mistyped_key_is_refused_with_the_nearest_known_one(data: st.DataObject) -> None:
    places = [(path, name) for path, part in sections() for name in part.model_fields if len(name) > 3]
    path, name = data.draw(st.sampled_from(places))
    position = data.draw(st.integers(1, len(name) - 2))
    swapped = name[:position] + name[position + 1] + name[position] + name[position + 2 :]
    wrong = data.draw(st.sampled_from([name[:position] + name[position + 1 :], swapped, name + "x", name.upper()]))
    known = dict(sections())[path].model_fields
    if wrong in known:
        return
    values = copy.deepcopy({**MINIMAL, "tables": people()})
    section: Any = values
    for key in path:
        section = section.setdefault(str(key), {})
    section[wrong] = "1"
    message = refused(yaml.safe_dump(values))
    assert f"{wrong} is not a known key" in message
    assert f"Did you mean {name}?" in message


def test_a_mistyped_column_is_refused_with_the_nearest_known_one() -> None:
    columns = {"customer_id": "id", "orderd_at": "at", "amount": "price"}
    assert "Did you mean ordered_at?" in refused(tables=lines(columns=columns))


def test_a_key_in_the_wrong_section_is_sent_to_the_right_one() -> None:
    assert "It belongs under segments." in refused(min_share=0.1)
    assert "It belongs at the top." in refused(segments={"currency": "EUR"})


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("name: a\nsegments: {k: 3}\nname: b\n", "'name' is there twice: on lines 1 and 3", 3),
        ("name: a\nsegments:\n  k: 3\n  seed: 1\n  k: 4\n", "'segments.k' is there twice: on lines 3 and 5", 5),
        ("name: !!python/object/apply:os.system ['true']\n", "Tags (!)", 1),
        ("name: !!python/name:os.system\n", "Tags (!)", 1),
        ("name: !secret x\n", "Tags (!)", 1),
        ("a: &x [1]\nb: *x\n", "Anchors (&)", 1),
        ("a: &x [*x]\n", "Anchors (&)", 1),
        ("name: a\n---\nname: b\n", "more than one document", 2),
        ("name: a\n? [b]\n: c\n", "A key must be text", 2),
        ("name: a\n~: c\n", "A key must be text", 2),
        ("name: a\n\tk: 3\n", "not YAML", 2),
        ("name: 'a\n", "not YAML", 2),
        ("name: [a\n", "not YAML", 2),
        ("name: a\x00b\n", "U+0000", 1),
        ("- a\n- b\n", "is a mapping", 1),
        ("just text\n", "is a mapping", 1),
        ("name: " + "[" * 500 + "\n", "nested deeper", 1),
        ("name: a\n<<: {k: 3}\n", "<< is not a known key", 2),
        ('name: "\\ud800"\n', "shop.yaml", 1),
    ],
)
@pytest.mark.parametrize("loader", [yaml.SafeLoader, document.LOADER], ids=["python", "fastest"])
def test_what_is_no_plain_yaml_is_refused_with_its_line(
    monkeypatch: pytest.MonkeyPatch, loader: Any, text: str, says: str, line: int
) -> None:
    monkeypatch.setattr(document, "LOADER", loader)
    message = refused(text)
    assert says in message and "shop.yaml" in message
    assert f"line {line}" in message


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "~", "---\n"])
def test_an_empty_file_is_said_to_be_empty(text: str) -> None:
    assert "is empty" in refused(text)


def test_a_billion_laughs_are_refused_at_once() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert "Anchors" in refused("l0: &l0 [x]\n" + levels)


def test_large_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text("# " + "ä" * 200_000)
    with pytest.raises(ConfigError, match="larger than 256 KiB"):
        load(file)


@pytest.mark.parametrize(
    ("data", "says"), [(b"name: caf\xe9\n", "not UTF-8"), ("name: a".encode("utf-16"), "not UTF-8")]
)
def test_other_encodings_are_refused_with_the_byte(tmp_path: Path, data: bytes, says: str) -> None:
    file = tmp_path / "shop.yaml"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=says) as caught:
        load(file)
    assert "line 1, byte" in str(caught.value)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + yaml.safe_dump(MINIMAL).replace("\n", "\r\n").encode())
    assert load(file).name == "shop"


def test_missing_files_and_folders_are_config_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such configuration"):
        load(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load("a\0b")


def test_keys_cannot_forge_lines_of_a_message() -> None:
    message = refused(yaml.safe_dump({**MINIMAL, "a\nFound: nothing\x1b[31m": 1}))
    assert "\x1b" not in message
    assert "\nFound: nothing" not in message


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    try:
        parse(text, folder=FOLDER, environ={})
    except ConfigError as error:
        assert str(error)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.datetimes(),
    st.text(max_size=20),
    st.just("${env:X}"),
)
NODES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
)


def patterns(schema: Any) -> set[str]:
    """Every pattern that a JSON schema asks texts to match."""
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    own = {schema["pattern"]} if isinstance(schema, dict) and isinstance(schema.get("pattern"), str) else set()
    return own.union(*map(patterns, parts))


def test_every_pattern_has_a_sentence_and_a_variable_that_cannot_be_one_is_told():
    assert patterns(json_schema()) == set(PATTERNS)
    with pytest.raises(ConfigError) as told:
        parse(yaml.safe_dump({**MINIMAL, "privacy": {"salt_env": "0-9"}}), folder=FOLDER)
    assert "privacy.salt_env" in str(told.value)
    assert "must be the name of an environment variable" in str(told.value)


@given(st.data())
def test_any_value_under_any_key_is_a_configuration_or_a_config_error(data: st.DataObject) -> None:
    places = [(*path, name) for path, part in sections() for name in part.model_fields]
    values = copy.deepcopy({**MINIMAL, "tables": people()})
    for path in data.draw(st.lists(st.sampled_from(places), max_size=3)):
        section: Any = values
        for key in path[:-1]:
            section = section.setdefault(str(key), {}) if isinstance(section, dict) else {}
        if isinstance(section, dict):
            section[path[-1]] = data.draw(NODES)
    try:
        parse(yaml.safe_dump(values, allow_unicode=True), folder=FOLDER, environ={"X": "hunter2-secret"})
    except ConfigError as error:
        assert "hunter2-secret" not in str(error)


# Secrets


def test_environment_variables_are_put_in_and_never_shown() -> None:
    tables = {
        "transactions": {
            **TABLES["transactions"],
            "path": "s3a://${env:BUCKET}/x",
            "ignore_customers": ["${env:HOUSE}"],
        }
    }
    values = {**MINIMAL, "tables": tables, "segments": {"seed": "${env:SEED}"}}
    environ = {"BUCKET": "hidden-bucket", "HOUSE": "hidden-id", "SEED": "424242"}
    it = parse(yaml.safe_dump(values), folder=FOLDER, environ=environ)
    assert it.tables.transactions is not None
    assert it.tables.transactions.path == "s3a://hidden-bucket/x"
    assert it.tables.transactions.ignore_customers == ("hidden-id",)
    assert it.segments.seed == 424242
    shown = [repr(it), str(it), repr(it.tables.transactions), it.model_dump_json(), str(it.model_dump())]
    for text in shown:
        assert "hidden" not in text and "424242" not in text
    assert "${env:BUCKET}" in shown[0] and "${env:SEED}" in shown[3]
    assert it.redact("cannot read s3a://hidden-bucket/x") == "cannot read s3a://${env:BUCKET}/x"
    other = parse(yaml.safe_dump(values), folder=FOLDER, environ={**environ, "BUCKET": "another"})
    assert other.fingerprint() == it.fingerprint()


def test_a_secret_in_a_list_of_attributes_is_not_shown_either() -> None:
    values = {**MINIMAL, "tables": people(attributes=["plan", "${env:A}", {"score": "${env:B} + 1"}])}
    it = parse(yaml.safe_dump(values), folder=FOLDER, environ={"A": "hidden_a", "B": "hidden_b"})
    assert it.tables.customers is not None
    assert it.tables.customers.attributes == {"plan": "plan", "hidden_a": "hidden_a", "score": "hidden_b + 1"}
    assert "hidden" not in repr(it) + it.model_dump_json()


def test_a_missing_variable_is_named_with_its_line() -> None:
    message = refused(name="${env:SHOP_NAME}")
    assert "SHOP_NAME is not set" in message and "line 1, name" in message


def test_a_wrong_value_from_the_environment_is_not_echoed() -> None:
    message = refused(environ={"K": "hunter2"}, segments={"k": "${env:K}"}, timezone="${env:K}")
    assert "hunter2" not in message
    assert message.count("${env:K}") == 2


@pytest.mark.parametrize("text", ["${HOME}", "${env:}", "${env:1A}", "${env:A", "${file:/etc/passwd}"])
def test_other_references_are_refused(text: str) -> None:
    assert "A reference is written ${env:NAME}." in refused(name=text)


def test_a_value_is_neither_expanded_twice_nor_read_as_yaml() -> None:
    values = yaml.safe_dump({**MINIMAL, "tables": lines(ignore_customers=["${env:A}", "$${env:A}", "$5"])})
    it = parse(values, folder=FOLDER, environ={"A": "${env:B}: [1"})
    assert it.tables.transactions is not None
    assert it.tables.transactions.ignore_customers == ("${env:B}: [1", "${env:A}", "$5")
