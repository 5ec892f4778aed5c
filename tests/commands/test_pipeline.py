"""The commands end to end, on small phantoms and with bad input."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh
from support.command_line import run
from support.evaluations import write_no_page
from support.hearts import write_small_phantoms
from support.shared import made_once
from typer.testing import CliRunner

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.cli import app
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.dataset import DataSet
from vecsetx.formats.label_maps import read_label_map, write_label_map

SMALL = [
    "model.width=32",
    "model.latents=64",
    "model.layers=1",
    "batch.points=512",
    "batch.near=128",
    "training.steps=40",
    "training.precision=fp32",
]


@pytest.fixture(scope="module")
def workplace() -> Path:
    """A folder with label maps, a data set made of them, and a model trained on it."""
    return made_once("workplace", set_up)


def set_up(folder: Path) -> None:
    write_small_phantoms(folder / "labels", 4)
    runner = CliRunner()
    for words in (
        ["prepare", folder / "labels", "--out", folder / "data", "--points", 2000],
        ["check", folder / "data"],
        ["train", folder / "data", "--out", folder / "run", *SMALL],
    ):
        result = runner.invoke(app, list(map(str, words)), catch_exceptions=False)
        assert result.exit_code == 0, result.output


def test_check_writes_its_pages(workplace: Path) -> None:
    found = json.loads((workplace / "data" / "check" / "check.json").read_text())
    assert found["state"] == "fit"
    assert len(found["hearts"]) == 4
    assert (workplace / "data" / "check" / "check.html").exists()


def test_a_broken_samples_file_fails_the_check(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = shutil.copytree(workplace / "data", tmp_path / "data")
    (data / "hearts" / "phantom01.safetensors").write_bytes(b"broken")
    assert run("check", data, monkeypatch=monkeypatch) == 1
    found = json.loads((data / "check" / "check.json").read_text())
    unfit = [heart["name"] for heart in found["hearts"] if heart["state"] == "unfit"]
    assert (unfit, found["state"]) == (["phantom01"], "unfit")


def test_evaluate_scores_unseen_hearts_on_their_own_grid(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("evaluate", workplace / "data", "--model", workplace / "run", "--out", tmp_path)
    assert run(*words, monkeypatch=monkeypatch) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    unseen = DataSet.read(workplace / "data").of_split("val")
    assert list(scores["hearts"]) == [heart.name for heart in unseen]
    assert set(scores["summary"]["structures"]) == {
        *("Myocardium", "LA", "LV", "RA", "RV"),
        *("Aorta", "PA", "LAA", "Coronary", "PV"),
    }
    rows = (tmp_path / "scores.csv").read_text().splitlines()
    assert len(rows) == 1 + 10 * len(unseen)
    assert (tmp_path / "report.html").stat().st_size > 1e6


def test_scores_are_those_of_the_label_map_that_reconstruct_writes(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score on the page is the one anybody can recompute from the files."""
    write_no_page(monkeypatch)  # its scores are those of scores.json
    heart = DataSet.read(workplace / "data").of_split("val")[0]
    run(
        *("evaluate", heart.source, "--model", workplace / "run"),
        *("--out", tmp_path / "e", "--keep-specks"),
        monkeypatch=monkeypatch,
    )
    words = ("reconstruct", heart.source, "--model", workplace / "run", "--out", tmp_path / "r")
    # Each finds specks on a grid of its own.
    options = ("--resolution", 48, "--keep-specks", "--no-page")
    assert run(*words, *options, monkeypatch=monkeypatch) == 0
    truth, made = nib.load(heart.source), nib.load(tmp_path / "r" / "labels.nii.gz")
    np.testing.assert_array_equal(truth.affine, made.affine)
    a, b = np.asarray(truth.dataobj) == 3, np.asarray(made.dataobj) == 3
    dice = 2 * (a & b).sum() / (a.sum() + b.sum())
    scores = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert scores["hearts"][heart.name]["LV"]["dice"] == pytest.approx(dice, abs=1e-9)
    scene = trimesh.load(tmp_path / "r" / "heart.glb")
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    present = {name for name, entry in summary["structures"].items() if entry["area_mm2"] > 0}
    assert set(scene.geometry) == present
    assert all((tmp_path / "r" / f"{name}.vtp").exists() for name in present)


def test_meshes_lie_where_the_scan_lies(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same heart elsewhere in the scanner: everything follows by as much, left stays left."""
    heart = DataSet.read(workplace / "data").of_split("val")[0]
    here = read_label_map(Path(heart.source))
    affine = here.affine.copy()
    affine[:3, 3] += [40, -70, 300]
    write_label_map(LabelMap(here.labels, affine), tmp_path / "moved.nii.gz")
    for name, source in (("here", heart.source), ("moved", tmp_path / "moved.nii.gz")):
        words = ("reconstruct", source, "--model", workplace / "run", "--out", tmp_path / name)
        quick = ("--resolution", 48, "--refine", 0, "--no-labels", "--no-page")
        options = (*quick, "--space", "ras", "--format", "ply")
        assert run(*words, *options, monkeypatch=monkeypatch) == 0
    for structure in ("LV", "RV"):
        a, b = (trimesh.load(tmp_path / name / f"{structure}.ply") for name in ("here", "moved"))
        assert np.abs(b.bounds - a.bounds - [40, -70, 300]).max() < 1.5


def test_a_second_prepare_keeps_what_is_current(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = shutil.copytree(workplace / "data", tmp_path / "data")
    words = ("prepare", workplace / "labels", "--out", data, "--points", 2000)
    files = sorted((data / "hearts").iterdir())
    before = [file.stat().st_mtime_ns for file in files]
    dataset = (data / "dataset.json").read_text()
    for options, status in (((), 0), (("--seed", 1), 2)):
        assert run(*words, *options, monkeypatch=monkeypatch) == status
        assert [file.stat().st_mtime_ns for file in files] == before
        assert (data / "dataset.json").read_text() == dataset


def test_hidden_structures_are_neither_seen_nor_excused(
    workplace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_no_page(monkeypatch)
    words = ("evaluate", workplace / "data", "--model", workplace / "run", "--out", tmp_path)
    hide = ("--hide", "laa,PV", "--recycle", 1)
    assert run(*words, *hide, monkeypatch=monkeypatch) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["provenance"]["hidden from the model"] == "LAA, PV"
    assert scores["provenance"]["recycled"] == "1 time"
    assert scores["summary"]["structures"]["LAA"]["dice"]["n"] == len(scores["hearts"])
    output = " ".join(capsys.readouterr().out.split())
    assert "the model was trained on whole hearts only" in output
    assert "is not to be trusted (LAA, PV)" in output
    assert "Not refined, as " in output


def test_what_a_model_is_sure_of_is_measured_used_and_checked(
    dataset: DataSet,
    trained_run: Path,
    calibrated_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """reconstruct --ensemble and evaluate --ensemble, before and after calibrate."""
    heart, model = dataset.of_split("val")[0], calibrated_run / "run"
    hidden = ("--hide", "RV,PV", "--ensemble", 2)

    def evaluated(model: Path, out: str) -> dict:
        words = (
            *("evaluate", dataset.folder, "--model", model),
            *("--out", tmp_path / out, "--no-meshes"),
        )
        assert run(*words, *hidden, monkeypatch=monkeypatch) == 0
        return json.loads((tmp_path / out / "scores.json").read_text())

    with pytest.MonkeyPatch.context() as patch:
        write_no_page(patch)
        before = evaluated(trained_run, "before")["calibration"]
    assert before["factors"] == "uncalibrated"
    factors = json.loads((model / "model" / "calibration.json").read_text())
    words = (
        *("reconstruct", heart.source, "--model", model),
        *("--out", tmp_path / "r", "--resolution", 48),
    )
    assert run(*words, *hidden, "--no-page", monkeypatch=monkeypatch) == 0
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    told = summary["provenance"]["ensemble"]["calibration"]
    kept = ("factor", "factors", "cut_factor", "members", "hearts", "date", "few")
    # Structures in slices have no factor of their own, as nobody measured it.
    assert told == {key: factors[key] for key in kept} | {"slice_factor": None}
    scores = evaluated(model, "after")
    after = scores["calibration"]
    assert after["factors"] == told
    assert told["few"]
    assert "calibrated on few hearts, unreliable" in capsys.readouterr().out
    assert set(after["structures"]) == {"RV", "PV"}
    rv_before, rv_after = (of["structures"]["RV"] for of in (before, after))
    assert rv_after["hearts"] == len(scores["hearts"])
    assert rv_after["rms_error_mm"] == rv_before["rms_error_mm"] > 0
    factor = factors["factors"].get("RV", factors["factor"])
    assert rv_after["mean_sd_mm"] == pytest.approx(factor * rv_before["mean_sd_mm"])
    # The same surface on another grid.
    summary_mm = summary["structures"]["RV"]["sd_mm"]["inferred"]["mean"]
    assert rv_after["mean_sd_mm"] == pytest.approx(summary_mm, rel=0.1)
    assert "<h2>Uncertainty</h2>" in (tmp_path / "after" / "report.html").read_text()


def test_a_data_set_is_scored_by_its_own_label_set(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same hearts under other ids have the same scores; what they lack is not scored."""
    write_no_page(monkeypatch)
    renumbered = {1: 205, 2: 420, 3: 500, 4: 550, 5: 600, 6: 820, 7: 850}
    lookup = np.zeros(11, np.uint16)
    lookup[list(renumbered)] = list(renumbered.values())
    maps = tmp_path / "maps"
    for name in ("phantom00.nii.gz", "phantom01.nii.gz"):
        ours = read_label_map(workplace / "labels" / name)
        write_label_map(LabelMap(lookup[ours.labels], ours.affine), maps / name)
    options = ("--labels", "mmwhs", "--points", 1000, "--val-share", 0.5)
    data, model = tmp_path / "data", workplace / "run"
    assert run("prepare", maps, "--out", data, *options, monkeypatch=monkeypatch) == 0
    scored = DataSet.read(data).of_split("val")[0].name
    ours = read_label_map(workplace / "labels" / f"{scored}.nii.gz")
    write_label_map(
        LabelMap(np.where(ours.labels > 7, 0, ours.labels), ours.affine), tmp_path / "ours.nii.gz"
    )
    for source, out in ((data, "theirs"), (tmp_path / "ours.nii.gz", "ours")):
        words = ("evaluate", source, "--model", model, "--out", tmp_path / out)
        assert run(*words, monkeypatch=monkeypatch) == 0
    theirs, ours_scored = (
        next(iter(json.loads((tmp_path / out / "scores.json").read_text())["hearts"].values()))
        for out in ("theirs", "ours")
    )
    for name in ("LV", "RV", "Myocardium"):
        assert theirs[name] == ours_scored[name]
    assert theirs["LAA"]["state"] == "not annotated"
    assert theirs["LAA"]["dice"] is None
    out = tmp_path / "meshes"
    words = (
        *("reconstruct", tmp_path / "maps" / "phantom00.nii.gz", "--model", model),
        *("--labels", "mmwhs"),
    )
    words = (*words, "--out", out, "--resolution", 32, "--no-page")
    assert run(*words, monkeypatch=monkeypatch) == 0
    # MM-WHS has no ids for the model's other structures, which get the model's own.
    ids = json.loads((out / "summary.json").read_text())["provenance"]["label_set"]["ids"]
    own = label_set("mmwhs").ids
    assert ids == {
        **{str(i): name for i, name in own.items()},
        "8": "LAA",
        "9": "Coronary",
        "10": "PV",
    }
    written = set(np.unique(read_label_map(out / "labels.nii.gz").labels))
    assert written <= {0, *own, 8, 9, 10}
    assert written & own.keys()


@pytest.mark.parametrize("command", ["reconstruct", "evaluate"])
def test_a_missing_input_is_told_before_the_model_is_read(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(WorkingModel, "of", lambda *_: pytest.fail("read the model first"))
    words = (command, tmp_path / "none.nii.gz", "--out", tmp_path / "out")
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert f"{tmp_path}/none.nii.gz: no such file or folder" in capsys.readouterr().err


def test_numbers_that_make_no_sense_end_with_status_2(
    workplace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    heart, model, out = workplace / "labels" / "phantom00.nii.gz", workplace / "run", ("--out", "x")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for words in (
        ("phantom", "x", "--count", 0),
        ("phantom", "x", "--seed", -1),
        ("prepare", heart, *out, "--workers", -1),
        ("prepare", heart, *out, "--val-share", 2),
        ("prepare", heart, "--out", "file"),
        ("reconstruct", heart, "--model", model, *out, "--points", 10, "--latents", 64),
        ("reconstruct", heart, "--model", model, *out, "--points", 0),
        ("train", workplace / "data", *out, "--stop-after", 0),
        ("train", workplace / "data", *out, "batch.near=99999"),
    ):
        assert run(*words, monkeypatch=monkeypatch) == 2, words
        assert "Traceback" not in capfd.readouterr().err
        assert not (tmp_path / "x").exists(), words


def _text_file(path: Path) -> None:
    path.write_text("not an image")


def _image(path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((8, 8, 8)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)


def _unknown_ids(path: Path) -> None:
    nib.save(nib.Nifti1Image(np.full((8, 8, 8), 77, np.uint8), np.eye(4)), path)


def _empty(path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 8), np.uint8), np.eye(4)), path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (None, "no such file"),
        (_text_file, "cannot be read"),
        (_image, "not whole numbers"),
        (_unknown_ids, "77"),
        (_empty, "empty"),
    ],
)
@pytest.mark.parametrize("command", ["prepare", "reconstruct", "evaluate"])
def test_bad_input_is_one_line_and_status_2(
    command: str,
    spoil: object,
    message: str,
    workplace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    bad = tmp_path / "bad.nii.gz"
    if callable(spoil):
        spoil(bad)
    model = [] if command == "prepare" else ["--model", workplace / "run"]
    words = (command, bad, *model, "--out", tmp_path / "out")
    assert run(*words, monkeypatch=monkeypatch) == 2
    error = capfd.readouterr().err
    assert message in error
    assert "bad.nii.gz" in error
    assert "Traceback" not in error
    left = [f for f in tmp_path.rglob("*") if f.is_file() and f != bad]
    assert left == []


def test_one_bad_heart_does_not_stop_the_others(
    workplace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    maps = tmp_path / "labels"
    write_small_phantoms(maps, 2)
    _empty(maps / "bad.nii.gz")
    words = ("prepare", maps, "--out", tmp_path / "data", "--points", 1000)
    assert run(*words, monkeypatch=monkeypatch) == 1
    assert "bad.nii.gz" in capfd.readouterr().err
    assert len(DataSet.read(tmp_path / "data").hearts) == 2
    words = (
        *("reconstruct", maps, "--model", workplace / "run"),
        *("--out", tmp_path / "r", "--resolution", 32),
    )
    assert run(*words, "--refine", 0, "--no-page", monkeypatch=monkeypatch) == 1
    made = sorted(f.name for f in (tmp_path / "r").glob("[!.]*"))
    assert made == ["manifest.json", "phantom00", "phantom01"]


def test_misspelt_names_are_answered_with_near_ones(
    workplace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    heart = workplace / "labels" / "phantom00.nii.gz"
    out = ("--out", tmp_path / "out")
    for words, hint in (
        (("prepare", heart, *out, "--labels", "defualt"), "did you mean default"),
        (("prepare", heart, *out, "--structures", "Aotra"), "did you mean Aorta"),
        (
            ("reconstruct", heart, "--model", workplace / "run", *out, "--hide", "coronry"),
            "Coronary",
        ),
        (("reconstruct", heart, "--model", workplace / "run", *out, "--space", "xyz"), "lps"),
        (("evaluate", heart, "--model", workplace / "run", *out, "--split", "tset"), "val"),
        (("train", workplace / "data", *out, "--preset", "tinny"), "tiny"),
        (("train", workplace / "data", *out, "model.widht=3"), "model.widht"),
    ):
        assert run(*words, monkeypatch=monkeypatch) == 2, words
        assert hint in capfd.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        *("labels", "phantom", "prepare", "check", "export", "plan", "train", "diagnose"),
        *("reconstruct", "evaluate", "calibrate", "compare", "info", "demo"),
    ],
)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"vecsetx {command}" in result.output
