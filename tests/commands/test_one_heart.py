"""``vecsetx reconstruct --one-heart``: views become contours, and these a heart."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sliced_hearts import off_mm
from support.analytic_fields import AnalyticField
from support.cine import BODIES, NAMES, cine, sliced, true_shifts
from support.command_line import run
from support.one_heart import IDS, OPTIONS, predict_truth, saved_model, written

from vecsetx import load
from vecsetx.commands.reconstruct import reconstruct
from vecsetx.errors import InputError
from vecsetx.formats.points import read_points
from vecsetx.inference.sd_factor import SdFactor


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(tmp_path_factory)


@pytest.fixture(autouse=True)
def truth(monkeypatch: pytest.MonkeyPatch) -> None:
    predict_truth(monkeypatch)


def test_views_become_one_heart_and_a_second_run_does_nothing(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, out = written(tmp_path / "in", cine()[0]), tmp_path / "patient"
    assert reconstruct(model, paths, out, OPTIONS) == {}
    # 1. The shifts.
    table = json.loads((out / "views" / "shifts.json").read_text())
    slices = sliced(cine()[0])
    assert [row["slice"] for row in table["slices"]] == [one.number for one in slices]
    assert table["views"] == [str(path) for path in paths]
    found_mm = np.array([row["along_mm"] for row in table["slices"]])
    directions = np.array([row["directions"] for row in table["slices"]])
    np.testing.assert_allclose(directions, [one.directions for one in slices], atol=1e-5)
    assert off_mm(found_mm, true_shifts(slices, cine()[1])[:, :2], directions).mean() < 0.9
    # 2. The contours, at their places on the true surfaces.
    points = read_points(out / "views" / "contours.csv", NAMES, IDS)
    true_mm = AnalyticField(BODIES, 20.0).distances_mm(points.points_mm)
    own_mm = np.abs(true_mm[np.arange(len(true_mm)), points.structure])
    assert np.median(own_mm) < 0.8
    assert (out / "views" / "shifts.png").read_bytes().startswith(b"\x89PNG")
    # 3. The heart.
    summary = json.loads((out / "summary.json").read_text())
    assert summary["provenance"]["input"] == str(out.resolve() / "views" / "contours.csv")
    views = summary["provenance"]["views"]
    assert views == {key: table[key] for key in views}
    largest_mm = np.linalg.norm(found_mm, axis=1).max()
    assert views["largest_mm"] == pytest.approx(largest_mm)
    assert set(table["remarks"]) <= set(summary["provenance"]["remarks"])
    assert {f"{name}.vtp" for name in NAMES} < {path.name for path in out.iterdir()}
    # 4. Nothing is done twice.
    files = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert reconstruct(model, paths, out, OPTIONS) == {}
    assert "done already" in capsys.readouterr().out
    assert files == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    # 5. The same views elsewhere: the same heart, and another origin.
    moved = written(tmp_path / "moved", cine()[0])
    assert reconstruct(model, moved, out, OPTIONS) == {}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["provenance"]["views"]["views"] == [str(path) for path in moved]
    # 6. Without shifts, everything is done again.
    assert reconstruct(model, paths, out, replace(OPTIONS, shifts="none")) == {}
    table = json.loads((out / "views" / "shifts.json").read_text())
    assert {row["shift_mm"][0] for row in table["slices"]} == {0}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["provenance"]["views"]["largest_mm"] == 0
    still = read_points(out / "views" / "contours.csv", NAMES, IDS)
    assert not np.array_equal(still.points_mm, points.points_mm)


def test_another_heart_in_the_same_folder_leaves_nothing_of_the_views(
    model: Path, tmp_path: Path
) -> None:
    paths, out = written(tmp_path / "in", {"sax": cine()[0]["sax"]}), tmp_path / "out"
    assert reconstruct(model, paths, out, OPTIONS) == {}
    summary = json.loads((out / "summary.json").read_text())
    contours = out / "views" / "contours.csv"
    views = {f"views/{path.name}" for path in contours.parent.iterdir()}
    assert views == {"views/contours.csv", "views/shifts.json", "views/shifts.png"}
    assert views <= summary["files"].keys()
    # 1. The contours themselves as the heart: they are read, so they stay.
    alone, given = replace(OPTIONS, one_heart=False), contours.read_bytes()
    assert reconstruct(model, [contours], out, alone) == {}
    assert [path.name for path in contours.parent.iterdir()] == ["contours.csv"]
    assert contours.read_bytes() == given
    # 2. The views again, and then a heart that lies elsewhere. Files of others stay.
    assert reconstruct(model, paths, out, OPTIONS) == {}
    (out / "views" / "notes.txt").write_text("mine")
    (tmp_path / "heart.csv").write_bytes(given)
    assert reconstruct(model, [tmp_path / "heart.csv"], out, alone) == {}
    assert [path.name for path in (out / "views").iterdir()] == ["notes.txt"]
    summary = json.loads((out / "summary.json").read_text())
    assert not views & summary["files"].keys()


def test_a_single_stack_is_one_heart(model: Path, tmp_path: Path) -> None:
    paths = written(tmp_path / "in", {"sax": cine()[0]["sax"]})
    assert reconstruct(model, paths, tmp_path / "out", OPTIONS) == {}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert any("the model alone" in remark for remark in summary["provenance"]["remarks"])
    assert (tmp_path / "out" / "views" / "shifts.png").is_file()


def _factor_of(calibration: dict[str, Any]) -> SdFactor:
    return SdFactor(**{k: v for k, v in calibration.items() if k != "hearts"}, hearts_fitted=())


@pytest.mark.parametrize("slice_factor", [None, 8.0])
def test_structures_of_a_stack_have_the_factor_between_slices(
    slice_factor: float | None, model: Path, tmp_path: Path
) -> None:
    trained = load(model)
    factor = SdFactor(2.0, {"LV": 3.0}, None, 2, ("a",), "2026-01-31", slice_factor=slice_factor)
    (tmp_path / "factors").mkdir()
    file = factor.write(tmp_path / "factors", trained, {})
    paths, out = written(tmp_path / "in", cine()[0]), tmp_path / "out"
    options = replace(OPTIONS, ensemble=2, calibration=file)
    assert reconstruct(model, paths, out, options) == {}
    summary = json.loads((out / "summary.json").read_text())
    used = _factor_of(summary["provenance"]["ensemble"]["calibration"])
    own = [8.0, 2.0, 8.0, 2.0, 8.0] if slice_factor else [2.0, 2.0, 3.0, 2.0, 2.0]
    assert [used.of(name) for name in NAMES] == own
    remarks = summary["provenance"]["remarks"]
    assert any("not calibrated between slices" in remark for remark in remarks) == (
        slice_factor is None
    )


def test_two_patients_are_refused_and_nothing_is_written(model: Path, tmp_path: Path) -> None:
    own, other = cine()[0], cine(size=1.35, seed=1)[0]
    paths = written(tmp_path / "in", {**own, "sax": other["sax"]})
    with pytest.raises(InputError, match=r"(?s)sax\.nii\.gz.*give views of one patient"):
        reconstruct(model, paths, tmp_path / "out", OPTIONS)
    assert not [path for path in (tmp_path / "out").rglob("*.*") if path.suffix != ".lock"]


def test_files_of_others_are_not_replaced(model: Path, tmp_path: Path) -> None:
    paths = written(tmp_path / "in", cine()[0])
    (tmp_path / "views").mkdir()
    (tmp_path / "views" / "contours.csv").write_text("mine")
    with pytest.raises(InputError, match=r"contours\.csv: no earlier reconstruction wrote"):
        reconstruct(model, paths, tmp_path, OPTIONS)
    assert (tmp_path / "views" / "contours.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--shifts", "view"], "--shifts view: changes nothing without --one-heart"),
        (["--labels", "acdc,mnms"], "--labels acdc,mnms: only views of one heart have a label set"),
        (["--one-heart", "--labels", "acdc,mnms"], "--labels acdc,mnms: 2 label sets for 3 views"),
        (["--one-heart", "--labels", "acdc,nobody"], "unknown label set 'nobody'"),
        (["--one-heart", "--labels", "acdc,"], "unknown label set ''"),
        (["--one-heart", "--keep-observed"], "--keep-observed: slices have outlines"),
        (["--one-heart", "--units", "cm"], "--units cm: changes nothing for "),
        (["--one-heart", "--input-space", "ras"], "--input-space ras: changes nothing for "),
        (["--through-plane", "2"], "--through-plane 2: changes nothing without --one-heart"),
        (
            ["--one-heart", "--shifts", "none", "--through-plane", "1.5"],
            "--through-plane 1.5 and --shifts none: nothing is shifted",
        ),
        (["--one-heart", "--shifts", "beat"], "unknown value 'beat'"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    words: list[str],
    told: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths, out = written(tmp_path / "in", cine()[0]), tmp_path / "out"
    given = ["reconstruct", *paths, "--model", model, "--out", out, *words]
    assert run(*given, monkeypatch=monkeypatch) != 0
    said = capsys.readouterr()
    assert told in " ".join((said.out + said.err).replace("│", " ").split())
    assert not (out / "summary.json").exists()


def test_the_command_line_takes_views(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = written(tmp_path / "in", {"4ch": cine()[0]["4ch"], "2ch": cine()[0]["2ch"]})
    monkeypatch.chdir(tmp_path)
    words = ["--model", model, "--out", "out", "--one-heart", "--shifts", "VIEW", "--no-labels"]
    more = ["--no-page", "--resolution", 40, "--points", 200, "--labels", "default,Default"]
    assert run("reconstruct", *paths, *words, *more, monkeypatch=monkeypatch) == 0
    assert json.loads((tmp_path / "out" / "views" / "shifts.json").read_text())["shifts"] == "view"
