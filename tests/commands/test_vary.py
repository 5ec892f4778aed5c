"""``vecsetx vary``: variants of the training hearts alone, in a data set that training takes."""

import json
import shutil
from pathlib import Path

import pytest
from support.command_line import run
from support.here import work_here

from vecsetx.commands import vary as varying
from vecsetx.data.dataset import DataSet


@pytest.fixture
def data(dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    work_here(monkeypatch, varying)
    return Path(shutil.copytree(dataset.folder, tmp_path / "data"))


def only_one_trains(data: Path) -> None:
    content = json.loads((data / "dataset.json").read_text())
    for heart in [heart for heart in content["hearts"] if heart["split"] == "train"][1:]:
        heart["split"] = "val"
    (data / "dataset.json").write_text(json.dumps(content))


def test_training_hearts_get_variants_and_others_none(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("vary", data, "--count", 1, "--workers", 1, monkeypatch=monkeypatch) == 0
    captured = capsys.readouterr()
    said = captured.out + captured.err
    dataset = DataSet.read(data)
    train = dataset.of_split("train")
    assert 0 < len(train) < len(dataset.hearts)
    for heart in dataset.hearts:
        assert heart.variants == (heart.split == "train")
        assert len(dataset.open_variants(heart)) == heart.variants
    assert f"{data}: {len(train)} variants of {len(train)} training hearts" in said
    assert f"next: vecsetx train {data} --out run/" in said


def test_of_more_variants_those_that_are_there_stay(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_one_trains(data)
    (heart,) = DataSet.read(data).of_split("train")
    assert run("vary", data, "--count", 1, "--workers", 1, monkeypatch=monkeypatch) == 0
    first = data / heart.variant_file(1)
    stamp = first.stat().st_mtime_ns
    assert run("vary", data, "--count", 2, "--workers", 1, monkeypatch=monkeypatch) == 0
    assert first.stat().st_mtime_ns == stamp
    assert {heart.variants for heart in DataSet.read(data).of_split("train")} == {2}


def test_a_heart_whose_file_is_gone_fails_alone(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((data / "dataset.json").read_text())
    lost = next(heart for heart in content["hearts"] if heart["split"] == "train")
    lost["source"] = str(data / "gone.nii.gz")
    (data / "dataset.json").write_text(json.dumps(content))
    assert run("vary", data, "--count", 1, "--workers", 1, monkeypatch=monkeypatch) == 1
    assert "gone.nii.gz" in capsys.readouterr().err
    variants = {heart.name: heart.variants for heart in DataSet.read(data).of_split("train")}
    assert variants.pop(lost["name"]) == 0
    assert set(variants.values()) == {1}


@pytest.mark.parametrize("count", [-1, 1001, 10**9])
def test_a_number_of_variants_that_nobody_means_is_refused(
    count: int,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = json.loads((data / "dataset.json").read_text())
    content["hearts"][0]["variants"] = count
    (data / "dataset.json").write_text(json.dumps(content))
    assert run("info", data, monkeypatch=monkeypatch) == 1
    assert "dataset.json: damaged (hearts" in capsys.readouterr().err
