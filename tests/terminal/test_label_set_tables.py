"""``vecsetx labels``: what it prints is what label maps are read by, and what the docs say."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.command_line import run
from support.hearts import write_small_phantoms
from support.here import work_here

from vecsetx.anatomy.label_sets import (
    LabelSet,
    label_set,
    label_set_names,
    label_set_purpose,
)
from vecsetx.commands import prepare as preparing
from vecsetx.data.dataset import DataSet
from vecsetx.terminal.label_set_tables import label_set_yaml
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


@pytest.mark.parametrize("name", label_set_names())
def test_what_is_printed_is_a_file_by_which_hearts_are_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``labels NAME > FILE``, then ``--labels FILE``, on a narrow terminal, too."""
    monkeypatch.setattr(console, "_width", 40)
    assert run("labels", name.upper(), monkeypatch=monkeypatch) == 0
    file, named = tmp_path / f"{name}.yaml", label_set(name)
    file.write_text(capsys.readouterr().out)
    assert label_set(str(file)) == named
    assert label_set_purpose(name) in file.read_text()
    labels = np.zeros((4, 4, 16 * len(named.ids)), np.uint16)
    for place, number in enumerate(named.ids):
        labels[1:3, 1:3, 16 * place + 1 : 16 * place + 15] = number
    nib.save(nib.Nifti1Image(labels, np.diag([5.0, 5.0, 1.0, 1.0])), tmp_path / "heart.nii.gz")
    words = ("inspect", tmp_path / "heart.nii.gz", "--trust-names", "--json")
    assert run(*words, "--labels", file, monkeypatch=monkeypatch) == 0
    (entry,) = json.loads(capsys.readouterr().out)["result"]["hearts"]
    assert entry["label_set"] == name
    ids = {structure: named.id_of(structure) for structure in named.structures}
    assert {n: found["id"] for n, found in entry["structures"].items()} == ids


def test_the_yaml_says_all_that_a_label_set_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(label_set_yaml(MINE))
    assert run("labels", file, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert told.endswith("\n" + file.read_text())
    assert "  1: Coronary  # Coronary arteries\n" in told
    (tmp_path / "again.yaml").write_text(told)
    assert replace(label_set(str(tmp_path / "again.yaml")), name="mine") == MINE


def test_a_heart_is_prepared_by_a_redirected_label_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work_here(monkeypatch, preparing)
    (heart,) = write_small_phantoms(tmp_path / "maps", 1)
    assert run("labels", "default", monkeypatch=monkeypatch) == 0
    (tmp_path / "mine.yaml").write_text(capsys.readouterr().out)
    words = ("prepare", heart, "--out", tmp_path / "data", "--labels", tmp_path / "mine.yaml")
    assert run(*words, "--points", 50, monkeypatch=monkeypatch) == 0
    (kept,) = DataSet.read(tmp_path / "data").label_sets.values()
    assert kept == label_set("default").to_dict() | {"name": "mine"}


def test_an_unknown_label_set_is_suggested_for(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("labels", "mwhs", monkeypatch=monkeypatch) == 2
    assert "did you mean mmwhs" in capfd.readouterr().err
