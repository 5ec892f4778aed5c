"""``vecsetx labels``: what it prints is what label maps are read by, and what the docs say."""

from pathlib import Path

import pytest
from support.command_line import run

from vecsetx.anatomy.label_sets import (
    LabelSet,
    label_set,
    label_set_names,
    label_set_purpose,
)
from vecsetx.commands.labels import label_set_yaml
from vecsetx.terminal.progress_bars import console

DOCS = Path(__file__).parents[2] / "docs" / "data.md"
MINE = LabelSet(
    "mine", {3: "LV", 1: "Coronary"}, frozenset({7}), False, frozenset({255}), frozenset({"a: b"})
)


@pytest.mark.parametrize("found", [*map(label_set, label_set_names()), MINE], ids=lambda s: s.name)
def test_the_yaml_is_the_label_set(found: LabelSet, tmp_path: Path) -> None:
    file = tmp_path / f"{found.name}.yaml"
    file.write_text(label_set_yaml(found))
    assert label_set(str(file)) == found


def test_the_docs_have_every_label_set() -> None:
    lines = DOCS.read_text().splitlines()
    first = lines.index("| Label set | Ids | Other ids | For |") + 2
    rows = [
        f"| `{found.name}` | {', '.join(f'{i} {name}' for i, name in found.ids.items())} | "
        f"{'background' if found.drop_others else 'an error'} | {label_set_purpose(found.name)} |"
        for found in map(label_set, label_set_names())
    ]
    assert lines[first : first + len(rows) + 1] == [*rows, ""]


@pytest.mark.parametrize("width", [80, 160])
def test_all_label_sets_are_listed(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "_width", width)
    assert run("labels", monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert "…" not in told
    rows = [line.split()[0] for line in told.splitlines() if line[:2].strip().isalpha()]
    assert rows == ["Label", *label_set_names(), "vecsetx"]
    for name in label_set_names():
        assert all(word.rstrip(",") in told for word in label_set_purpose(name).split())


def test_one_label_set_is_shown_with_all_that_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(label_set_yaml(MINE))
    assert run("labels", file, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in told.splitlines()]
    table = lines[lines.index("Id Meaning") + 2 : lines.index("others an error") + 1]
    assert table == [
        "1 Coronary (Coronary arteries)",
        "3 LV (Left ventricle)",
        "7 background (drop)",
        "a: b background (drop)",
        "255 unknown voxels (ignore)",
        "others an error",
    ]
    assert told.endswith("\n\n" + file.read_text())
    assert run("labels", "TotalSegmentator", monkeypatch=monkeypatch) == 0
    assert "others background (drop_others)" in " ".join(capsys.readouterr().out.split())


def test_an_unknown_label_set_is_suggested_for(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("labels", "mwhs", monkeypatch=monkeypatch) == 2
    assert "did you mean mmwhs" in capfd.readouterr().err
