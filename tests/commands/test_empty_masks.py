"""Hearts of masks: what they annotate, what is absent, and what nobody knows."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.command_line import run
from support.evaluations import write_no_page
from support.hearts import write_small_phantoms
from support.here import work_here
from support.runs import untrained

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands import prepare as preparing
from vecsetx.commands.prepare import PrepareOptions, prepare
from vecsetx.data.dataset import DataSet
from vecsetx.data.sources import source_of
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.sampling.sampler import SamplingSpec

OPTIONS = PrepareOptions(sampling=SamplingSpec(300, 300, 300), workers=1)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    work_here(monkeypatch, preparing)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_phantoms(tmp_path_factory.mktemp("maps"), 1)[0]


def write_two_hearts(folder: Path, phantom: Path) -> Path:
    """``p0`` with LV, RV and LA, and ``p1`` with LV and an empty mask of RV."""
    heart = read_label_map(phantom).downsampled(2)
    for number, names in enumerate((("LV", "RV", "LA"), ("LV", "RV"))):
        for name in names:
            label = label_set("default").id_of(name)
            mask = (heart.labels == label).astype(np.uint8) * (name != "RV" or number == 0)
            mask = np.roll(mask, number, axis=0)
            write_label_map(LabelMap(mask, heart.affine), folder / f"p{number}" / f"{name}.nii.gz")
    return folder


def test_one_file_per_structure_says_what_is_annotated(phantom: Path, tmp_path: Path) -> None:
    """Of a structure without a file nothing is known, nor of one with an empty mask."""
    masks = write_two_hearts(tmp_path / "masks", phantom)
    data, failed = prepare([masks], tmp_path / "data", OPTIONS)
    assert not failed
    assert [set(heart.annotated) for heart in data.hearts] == [{"LV", "RV", "LA"}, {"LV"}]
    assert [bool(data.open(heart).info.remarks) for heart in data.hearts] == [False, True]
    # What was not to be learned is not annotated either, though it has a mask.
    only, _ = prepare([masks], tmp_path / "left", replace(OPTIONS, structures=("LA", "LV")))
    assert only.structures == ("LA", "LV")
    assert [heart.annotated for heart in only.hearts] == [("LA", "LV"), ("LV",)]


def test_an_empty_mask_is_an_absent_structure_where_the_user_says_so(
    phantom: Path, tmp_path: Path
) -> None:
    masks, out = write_two_hearts(tmp_path / "masks", phantom), tmp_path / "data"
    for absent, annotated, remarked in (((), {"LV"}, True), (("RV",), {"LV", "RV"}, False)):
        data, failed = prepare([masks], out, replace(OPTIONS, label_set=None, absent=absent))
        assert not failed
        full, empty = data.hearts
        assert set(full.annotated) == {"LV", "RV", "LA"}
        assert set(empty.annotated) == annotated
        assert set(data.open(empty).info.structures) == {"LV"}
        remarks = data.open(empty).info.remarks
        assert any("empty masks: RV; segmentation may" in line for line in remarks) == remarked
        read = source_of(data, empty).segmentation(("LV", "RV")).label_map
        assert bool(read.remarks) == remarked
    files = {file: file.stat().st_mtime_ns for file in (out / "hearts").iterdir()}
    prepare([masks], out, replace(OPTIONS, label_set=None, absent=("RV",)))
    assert {file: file.stat().st_mtime_ns for file in files} == files  # nothing was sampled again


def test_absent_structures_on_the_command_line(
    phantom: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    masks, data = write_two_hearts(tmp_path / "masks", phantom), tmp_path / "data"
    words = ("prepare", masks, "--out", data, "--points", 300, "--workers", 1, "--absent")
    for absent, line in (("RW", "unknown structure 'RW'"), ("LA", "--absent LA: not among --str")):
        assert run(*words, absent, "--structures", "LV,RV", monkeypatch=monkeypatch) != 0
        assert line in " ".join(capsys.readouterr().err.split())
        assert not data.exists()
    assert run(*words, "right_ventricle", monkeypatch=monkeypatch) == 0
    told = capsys.readouterr()
    assert "structures LA, LV, RV" in " ".join(told.out.split())
    assert "no heart has" not in told.err  # the masks say what is annotated
    assert DataSet.read(data).hearts[1].annotated == ("LV", "RV")


def test_scores_of_a_structure_with_an_empty_mask(
    phantom: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_no_page(monkeypatch)
    masks = write_two_hearts(tmp_path / "masks", phantom)
    seen = {"hearts": [], "data": "", "steps": 0, "seed": 0}
    replace(untrained(("LV", "RV", "PA")), provenance=seen).save_pretrained(tmp_path / "model")
    words = (
        *("evaluate", masks / "p1", "--model", tmp_path / "model"),
        *("--no-meshes", "--out", tmp_path / "out"),
    )
    for absent, known in (((), False), (("--absent", "RV,PA"), True)):
        assert run(*words, *absent, monkeypatch=monkeypatch) == 0
        scores = json.loads((tmp_path / "out" / "scores.json").read_text())["hearts"]["p1"]
        assert scores["LV"]["state"] in ("found", "missed")
        assert (scores["RV"]["state"] in ("absent", "invented")) == known
        assert (scores["RV"]["state"] == "not annotated") != known
        assert scores["PA"]["state"] == "not annotated"  # it has no mask
    data, _ = prepare([masks], tmp_path / "data", OPTIONS)
    words = ("evaluate", data.folder, "--model", tmp_path / "model", "--out", tmp_path / "of_data")
    capsys.readouterr()
    assert run(*words, "--absent", "RV", monkeypatch=monkeypatch) != 0
    assert "give --absent to vecsetx prepare" in " ".join(capsys.readouterr().err.split())
