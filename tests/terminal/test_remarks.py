"""What files leave open or contradict is printed, once, with the hearts that it holds for."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.command_line import run
from support.evaluations import write_no_page
from support.hearts import write_small_phantoms
from support.here import work_here

from vecsetx import encode, load
from vecsetx.commands import prepare as preparing
from vecsetx.commands.evaluate import EvaluateOptions, evaluate
from vecsetx.data.dataset import DataSet
from vecsetx.evaluation.heart_remarks import as_sentence
from vecsetx.inference.encode import EncodeOptions
from vecsetx.terminal.remarks import print_remarks

GUESS = "the header gives no orientation (neither sform nor qform); its axes are taken to run left"
LEFT_OUT = "pieces of fewer than 30 voxels are left out: "  # of coarse vessels
MOVED = "sform and qform disagree by up to {} mm; the sform is used"


def printed(capsys: pytest.CaptureFixture[str], remarks: dict[str, tuple[str, ...]]) -> list[str]:
    print_remarks(remarks)
    return capsys.readouterr().out.splitlines()


def test_one_heart(capsys: pytest.CaptureFixture[str]) -> None:
    long = "a remark, " * 30 + "and no more"
    assert printed(capsys, {"case01": ("one [thing]", long)}) == [
        "case01: one [thing]",
        f"case01: {long}",
    ]
    assert printed(capsys, {}) == printed(capsys, {"case01": ()}) == []


def test_a_cohort_says_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    cohort = {f"case{n:02d}": (GUESS,) if n > 2 else () for n in range(15)}
    cohort["case07"] = ("RV and LV share 12 voxels; they were given to RV", GUESS)
    assert printed(capsys, cohort) == [
        f"12 hearts (case03, …): {GUESS}",
        "case07: RV and LV share 12 voxels; they were given to RV",
    ]


def test_figures_are_those_of_the_heart_named(capsys: pytest.CaptureFixture[str]) -> None:
    cohort = {"a": (MOVED.format("3.1"),), "b": (MOVED.format("2e+03"),), "c": ("by v2",)}
    cohort["d"] = ("by v3",)  # no figure but a name
    assert printed(capsys, cohort) == [
        f"2 hearts (a, …): {MOVED.format('3.1')} (in a)",
        "c: by v2",
        "d: by v3",
    ]
    twice = (MOVED.format(1), MOVED.format(2))
    assert printed(capsys, {"a": twice}) == [f"a: {MOVED.format(1)}", f"a: {MOVED.format(2)}"]


# --- the commands -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hearts without forms, one of them unscaled, and one with both forms, which disagree."""
    folder = tmp_path_factory.mktemp("cohort")
    maps = write_small_phantoms(tmp_path_factory.mktemp("maps"), 3)
    for name, path in zip(("a", "b", "c"), maps, strict=True):
        image = nib.load(path)
        labels = np.asarray(image.dataobj)[::2, ::2, ::2]  # coarse is enough
        changed = nib.Nifti1Image(labels[::-1], None)
        changed.header.set_zooms([4.8 if name == "a" else 1.0] * 3)
        if name == "c":
            affine = image.affine @ np.diag([2, 2, 2, 1])
            changed = nib.Nifti1Image(labels, affine)
            qform = affine.copy()
            qform[0, 3] += 7
            changed.set_qform(qform, code=1)
        nib.save(changed, folder / f"{name}.nii.gz")
    return folder


def lines_with(text: str, output: str) -> list[str]:
    return [line for line in output.splitlines() if text in line]


def test_prepare_prints_them(
    cohort: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    work_here(monkeypatch, preparing)
    words = ("prepare", cohort, "--out", tmp_path, "--points", 300, "--workers", 1)
    for _ in range(2):  # again where all samples are kept
        assert run(*words, monkeypatch=monkeypatch) == 0
        output = capsys.readouterr().out
        (guess,) = lines_with("guess", output)
        assert guess.startswith(f"2 hearts (a, …): {GUESS}")
        assert lines_with("disagree", output) == [f"c: {MOVED.format(7)}"]
        (lost,) = lines_with("the spacing is probably missing", output)
        assert lost.startswith("b: voxels are 1 mm wide")
    data = DataSet.read(tmp_path)
    moved, left_out = data.open(data.hearts[2]).info.remarks
    assert moved == MOVED.format(7)
    assert left_out.startswith(LEFT_OUT)


def test_reconstruct_and_evaluate_print_them(
    cohort: Path,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    few = ("--points", 200, "--latents", 16)
    words = (
        *("reconstruct", cohort / "c.nii.gz", "--model", trained_run),
        *("--out", tmp_path / "r", *few),
    )
    quick = ("--resolution", 24, "--refine", 0, "--no-page")
    assert run(*words, *quick, monkeypatch=monkeypatch) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"• {as_sentence(MOVED.format(7))}" in said
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert said.count(" • ") == len(summary["remarks"]) > len(summary["provenance"]["remarks"])
    assert all(f"• {remark['text']}" in said for remark in summary["remarks"])
    assert summary["provenance"]["remarks"][0] == MOVED.format(7)
    encode(load(trained_run), cohort / "c.nii.gz", refine=0)
    moved, left_out = caplog.messages
    assert moved == f"{cohort / 'c.nii.gz'}: {MOVED.format(7)}"
    assert left_out.startswith(f"{cohort / 'c.nii.gz'}: {LEFT_OUT}")
    # without meshes and page, which take seconds and print no remarks
    write_no_page(monkeypatch)
    options = EvaluateOptions(EncodeOptions(points=200, latents=16, refine=0), meshes=False)
    evaluate(trained_run, [cohort / "c.nii.gz"], tmp_path / "e", options)
    assert lines_with("disagree", capsys.readouterr().out) == [f"c: {MOVED.format(7)}"]
    # Under a training heart's name, which the files say, too, for whoever compares them.
    name = load(trained_run).provenance["hearts"][0]
    seen = shutil.copy(cohort / "c.nii.gz", tmp_path / f"{name}.nii.gz")
    scores = evaluate(trained_run, [Path(seen)], tmp_path / "seen", options).scores
    assert scores["remarks"][name][-1].startswith("has the name of a training heart, so its scores")
    assert scores["provenance"]["trained on among them"] == name


def test_files_that_cannot_be_read_leave_no_data_set(
    cohort: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A pair without its voxels, and fractions: a line each, and nothing is written."""
    work_here(monkeypatch, preparing)
    (tmp_path / "maps").mkdir()
    image = nib.load(cohort / "c.nii.gz")
    labels = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Pair(labels, image.affine), tmp_path / "maps" / "pair.img")
    (tmp_path / "maps" / "pair.img").unlink()
    mixed = labels + np.float32(0.37) * (labels == 3)
    nib.save(nib.Nifti1Image(mixed, image.affine), tmp_path / "maps" / "mixed.nii.gz")
    words = ("prepare", tmp_path / "maps", "--out", tmp_path / "data", "--workers", 1)
    assert run(*words, monkeypatch=monkeypatch) == 2
    shown = capsys.readouterr()
    told = " ".join((shown.out + shown.err).split())
    assert "its voxels are in pair.img, which is missing" in told
    assert "has values that are not whole numbers" in told
    assert not list((tmp_path / "data").rglob("*.safetensors"))
    assert not (tmp_path / "data" / "dataset.json").exists()
