"""JSON and YAML that anybody may have written."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vecsetx.plain_data import (
    YAML_CHARACTERS,
    PlainDataError,
    parse_json,
    parse_yaml,
    read_json,
    read_yaml,
)


def laughs(levels: int) -> str:
    """A YAML text of some lines that stands for 9 to the power of ``levels`` words."""
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    return "\n".join(lines)


ATTACKS = {
    "nested": "[" * 20000 + "]" * 20000,
    "nested, open": "[" * 20000,
    "nested tables": "".join(" " * depth + "a:\n" for depth in range(300)),
    "aliases": laughs(30),
    "itself": "&a [*a]",
    "many values": "[" + "1," * 30000 + "1]",
    "long": "x" * (YAML_CHARACTERS + 1),
    "code": "!!python/object/apply:os.system [true]",
    "twice": "a: 1\na: 2",
    "date": "a: 2026-99-99",
    "number": "a: " + "9" * 5000,
    "hexadecimal": "a: 0x" + "f" * 5000,
    "base 60": "a: 1" + ":10" * 5000,
    "base 60 with a point": "a: 1" + ":10" * 5000 + ".5",
    "tag": "a: !!timestamp x",
    "list as key": "? [a]\n: 1",
    "two texts": "a\n---\nb",
    "control": "a: \0",
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_hostile_yaml_is_refused(text: str) -> None:
    with pytest.raises(PlainDataError):
        parse_yaml(text)


@pytest.mark.parametrize(
    ("text", "told"),
    {
        "ids: {1: LV\nb: 3": "line 2, column 2: while parsing a flow mapping, did not find",
        "a: 'b": "line 1, column 6: while scanning a quoted scalar, found unexpected end",
        "a: 1\na: 2": "line 2, column 1: duplicate key 'a' in this table",
        "a: \0": "control characters are not allowed",
    }.items(),
)
def test_what_is_no_yaml_is_said_in_a_line(text: str, told: str) -> None:
    with pytest.raises(PlainDataError) as refused:
        parse_yaml(text)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_few_aliases_are_values_as_any() -> None:
    assert parse_yaml("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}")["d"] == {"b": 1, "e": 2}
    assert parse_yaml(laughs(4)) == yaml.safe_load(laughs(4))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_plain_data_come_back(data: object) -> None:
    assert parse_yaml(yaml.safe_dump(data)) == data
    assert parse_json(json.dumps(data)) == data


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_yaml, parse_json):
        with suppress(PlainDataError):  # no other error
            parse(text)


@pytest.mark.parametrize("text", ["[" * 100000, "9" * 5000, '{"a": 1, "a": 2}', "{", "\ud800"])
def test_hostile_json_is_refused(text: str) -> None:
    with pytest.raises(PlainDataError):
        parse_json(text)


def test_files_are_text_of_a_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}')  # with the byte order mark of editors on Windows
    assert read_json(file) == read_yaml(file) == {"a": 1}
    file.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(PlainDataError, match="UTF-8"):
        read_json(file)
    monkeypatch.setattr("vecsetx.plain_data.JSON_BYTES", 10)
    file.write_text('{"a": 12345}')
    with pytest.raises(PlainDataError, match="over 10 bytes"):
        read_json(file)
    with file.open("wb") as huge:
        huge.truncate(10**12)  # a sparse file: it takes no disk, but would take memory
    with pytest.raises(PlainDataError, match="over"):
        read_yaml(file)
