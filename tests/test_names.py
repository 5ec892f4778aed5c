"""Names that become names of files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from vecsetx.names import Name, RelativePath, check_name, natural_key

UNSAFE = [
    "",
    ".",
    "..",
    "../../X",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:\\x",
    ".hidden",
    "-rf",
    "a\0b",
    "a\nb",
    "a\x1b[2Jb",
    "a\u2028b",
    "a\u202egnp",
    "a\udcffb",
    "é" * 101,
    "a" * 201,
]


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_names_are_refused_in_one_printable_line(name: str) -> None:
    with pytest.raises(ValueError, match="unsafe name") as refusal:
        check_name(name)
    assert str(refusal.value).isascii()
    assert str(refusal.value).isprintable()
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(name)


@pytest.mark.parametrize(
    "name", ["a", "Case 12 (ED)", "Müller", "心臓", "a.b-c_d", "é" * 100, "a,b;c"]
)
def test_safe_names_stay_as_they_are(name: str) -> None:
    assert check_name(name) == name


@given(st.text(max_size=30))
def test_what_is_accepted_names_a_file_in_the_folder(tmp_path_factory, name: str) -> None:
    try:
        check_name(name)
    except ValueError:
        return
    folder = tmp_path_factory.getbasetemp()
    file = folder / f"{name}.txt"
    assert file.parent == folder
    assert file.resolve().parent == folder.resolve()
    file.write_text("")  # the file system takes it
    assert file.name in {found.name for found in folder.iterdir()}
    file.unlink()


@pytest.mark.parametrize(
    "path", ["../a", "a/../../b", "/a", "\\a", "C:a", "..\\a", "a\0b", "", "a/.."]
)
def test_paths_stay_in_their_folder(path: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(RelativePath).validate_python(path)
    assert TypeAdapter(RelativePath).validate_python("hearts/a.safetensors")


def test_names_sort_as_people_count() -> None:
    names = ["case10", "case2b", "case2a", "case", "a3x10", "a3x9", "²", "7"]
    assert sorted(names, key=natural_key) == [
        "7", "a3x9", "a3x10", "case", "case2a", "case2b", "case10", "²",
    ]  # fmt: skip
