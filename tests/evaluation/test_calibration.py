"""What standard deviations are worth: measured, told, drawn, and made right by a factor."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import igl
import numpy as np
import pytest
from support.analytic_fields import AnalyticField, ball
from support.descriptions import rewritten
from support.forked import forked
from support.killed import calibrate_until_killed, made_up_errors
from support.waiting import LONGEST_SECONDS
from typer.testing import CliRunner

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.cli import app
from vecsetx.cohort import calibrating as calibrating_hearts
from vecsetx.commands import calibrate as calibrating
from vecsetx.commands.calibrate import calibrate
from vecsetx.data.dataset import DataSet
from vecsetx.data.sources import source_of
from vecsetx.errors import InputError
from vecsetx.evaluation import hidden_structures
from vecsetx.evaluation.calibration import (
    EXPECTED,
    Calibration,
    VertexErrors,
    vertex_errors,
)
from vecsetx.inference.ensemble import Ensemble
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.inference.visibility import Visibility
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.report.calibration_page import error_by_sd_figure, reliability_diagram
from vecsetx.workers.heart_work import Records


def gaussian(count: int, told: float = 1.0, seed: int = 0) -> VertexErrors:
    """Errors whose standard deviations differ, and are told ``told`` times as large as they are."""
    generator = np.random.default_rng(seed)
    sd_mm = generator.lognormal(0, 0.5, count)
    return VertexErrors(np.abs(generator.normal(0, sd_mm)), told * sd_mm)


# Figures


def test_standard_deviations_that_are_right_need_no_factor() -> None:
    found = Calibration.of(gaussian(200_000))
    np.testing.assert_allclose(EXPECTED, [0.6827, 0.9545, 0.9973], atol=1e-4)
    np.testing.assert_allclose(found.within, EXPECTED, atol=0.003)
    np.testing.assert_allclose(found.observed, found.nominal, atol=0.005)
    assert found.factor == pytest.approx(1, abs=0.01)
    assert [one.vertices for one in found.bins] == [20_000] * 10
    for one in found.bins:
        assert one.error_mm == pytest.approx(one.sd_mm, rel=0.03)
    assert np.ptp([one.sd_mm for one in found.bins]) > 1
    assert found.mean_sd_mm == pytest.approx(np.exp(0.125), rel=0.01)
    assert found.rms_error_mm == pytest.approx(np.exp(0.25), rel=0.02)
    assert found.rank_correlation is not None
    assert 0.35 < found.rank_correlation < 0.5


@pytest.mark.parametrize(("told", "factor"), [(0.5, 2), (4.0, 0.25)])
def test_standard_deviations_that_are_wrong_are_made_right(told: float, factor: float) -> None:
    errors = gaussian(200_000, told)
    found = Calibration.of(errors)
    assert found.factor == pytest.approx(factor, rel=0.01)
    off = [one - other for one, other in zip(found.observed, found.nominal, strict=True)]
    assert min(np.abs(off[4:15])) > 0.05
    assert np.sign(off[9]) == np.sign(told - 1)  # too sure: fewer than promised
    made_right = Calibration.of(errors.scaled(found.factor))
    assert made_right.within[1] == pytest.approx(EXPECTED[1], abs=1e-4)
    assert made_right.factor == pytest.approx(1, abs=1e-9)


def test_what_is_the_same_everywhere_has_no_ranks() -> None:
    found = Calibration.of(VertexErrors(np.full(7, 2.0), np.full(7, 1.0)))
    assert found.within == (0.0, 1.0, 1.0)
    assert found.factor == pytest.approx(1)
    assert found.rank_correlation is None
    assert sum(one.vertices for one in found.bins) == 7
    with pytest.raises(InputError, match="no inferred surface"):
        Calibration.of(VertexErrors.joined([]))


# Errors of a surface


def sphere(radius_mm: float) -> Surface:
    vertices, faces = igl.icosahedron()
    for _ in range(4):
        vertices, faces = igl.loop(vertices, faces)
    vertices *= radius_mm / np.linalg.norm(vertices, axis=1, keepdims=True)
    return Surface(vertices.astype(np.float32), faces.astype(np.int64))


def test_errors_are_distances_to_the_truth_and_spreads_those_of_the_draws() -> None:
    made, truth = sphere(21.5), sphere(20)
    assert len(made.vertices_mm) > 2 * 500
    draws = tuple(
        AnalyticField({"LA": ball((90, 0, 0), 5), "LV": ball((0, 0, 0), r)}) for r in (20.5, 23.5)
    )
    ensemble = Ensemble(draws, np.zeros((2, 2), dtype=bool), factor=2.0)
    errors = vertex_errors({1: (made, truth)}, ensemble, np.random.default_rng(0))
    assert len(errors.error_mm) == 500
    np.testing.assert_allclose(errors.error_mm, 1.5, atol=0.05)  # a sphere of flat faces
    np.testing.assert_allclose(errors.sd_mm, 2 * np.sqrt((1 + 4) / 2), rtol=1e-4)


def test_beyond_the_scan_nobody_knows_the_truth() -> None:
    labels = np.zeros((50, 50, 30), dtype=np.uint8)
    labels[5:45, 5:45, 10:] = 1
    affine = np.eye(4)
    affine[:3, 3] = [-25, -25, -25]
    scan = LabelMap(labels, affine)  # ends 2.5 mm above the origin
    visibility = Visibility(np.array([True]), np.array([True]), scan)
    made = sphere(20)
    lifted = Surface(made.vertices_mm * np.array([1, 1, 1.1], np.float32), made.faces)
    draws = (AnalyticField({"LV": ball((0, 0, 0), 20)}),)
    ensemble = Ensemble(draws, np.zeros((1, 1), dtype=bool))
    pair = {0: (lifted, made)}
    shown = vertex_errors(pair, ensemble, np.random.default_rng(0), known=visibility)
    every = vertex_errors(pair, ensemble, np.random.default_rng(0))
    assert len(every.error_mm) == 500
    assert every.error_mm.max() > 1.9
    above = lifted.vertices_mm[:, 2]
    assert 0 < len(shown.error_mm) <= (above < 2.5).sum()
    nothing = Visibility(np.array([True]), np.array([True]), LabelMap(labels[..., :3], affine))
    none = vertex_errors(pair, ensemble, np.random.default_rng(0), known=nothing)
    assert len(none.error_mm) == 0


# Pictures


def test_figures_show_what_was_found() -> None:
    found = {"uncalibrated": gaussian(1000, 0.5), "calibrated": gaussian(1000)}
    plain = {name: Calibration.of(errors).to_dict() for name, errors in found.items()}
    json.dumps(plain, allow_nan=False)
    curves = {trace["name"]: trace for trace in reliability_diagram(plain)["data"]}
    assert set(curves) == {"ideal", *found}
    for name in found:
        assert list(curves[name]["x"]) == list(plain[name]["nominal"])
        np.testing.assert_allclose(curves[name]["y"], plain[name]["observed"], atol=1e-4)
    drawn = {trace["name"]: trace for trace in error_by_sd_figure(plain)["data"]}
    for name in found:
        bins = plain[name]["bins"]
        np.testing.assert_allclose(drawn[name]["x"], [one["sd_mm"] for one in bins], atol=1e-4)
        np.testing.assert_allclose(drawn[name]["y"], [one["error_mm"] for one in bins], atol=1e-4)


# The command


@pytest.fixture
def run(trained_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained_run, tmp_path / "run")


def invoke(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_model_is_calibrated_and_its_factors_used(
    calibrated_run: Path, dataset: DataSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, said = calibrated_run / "run", " ".join((calibrated_run / "said.txt").read_text().split())
    file = run / "model" / "calibration.json"
    found = json.loads(file.read_text())
    assert "factors from 2 hearts" in said
    assert f"have the factor over all structures, {found['factor']:.3f}, in brackets" in said
    assert "on 1 test heart: 1 s.d." in said
    assert "3 of 3 hearts have names of training hearts" in said
    names = {heart.name for heart in dataset.of_split("train")}
    fitted, tested = set(found["hearts_fitted"]), set(found["hearts_tested"])
    assert fitted | tested == names
    assert not fitted & tested
    assert (len(fitted), found["hearts"], found["members"]) == (2, 2, 2)
    assert found["factor"] > 0
    assert found["factors"] == {}  # of two hearts no structure gets its own
    assert not any(one["own_factor"] for one in found["structures"].values())
    assert found["after"]["mean_sd_mm"] == pytest.approx(
        found["factor"] * found["before"]["mean_sd_mm"]
    )
    assert found["beyond"]["before"]["vertices"] > 100
    assert found["beyond"]["after"]["mean_sd_mm"] == pytest.approx(
        found["cut_factor"] * found["beyond"]["before"]["mean_sd_mm"]
    )
    assert "beyond a cut" in said
    assert set(found["structures"]) <= set(dataset.structures)
    assert all(one["hearts"] == 1 for one in found["structures"].values())
    page = (run / "model" / "calibration.html").read_text("utf-8")
    headings = ("Reliability diagram", "Beyond the field of view")
    assert all(words in page for words in [*names, *headings])
    assert found["few"]
    assert "few hearts: the factors are unreliable" in said
    assert "Few hearts: the factors are unreliable" in page
    assert "hiding structures in turn: 3/3" in said

    heart = dataset.hearts[0].source
    out = tmp_path / "out"
    output = invoke(
        *("reconstruct", heart, "--model", run),
        *("--out", out, "--ensemble", 2, "--hide", "LA", "--resolution", 32),
    )
    assert "uncalibrated" not in output
    draws = json.loads((out / "summary.json").read_text())["provenance"]["ensemble"]
    assert draws["calibration"]["factor"] == found["factor"]
    assert draws["calibration"]["hearts"] == 2
    assert draws["calibration"]["few"]
    assert "calibrated on few hearts" in caplog.text


def test_the_factor_of_one_half_is_tried_on_the_other(
    run: Path, dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second half's hearts tell half of their standard deviations, the first's a quarter."""
    told: dict[str, float] = {}
    hearts = dataset.of_split("train")
    first, second = calibrating._halves(hearts, 0, "data")
    told |= dict.fromkeys(first, 0.25) | dict.fromkeys(second, 0.5)
    monkeypatch.setattr(
        hidden_structures,
        "_errors_of",
        lambda heart, *_: {"LA": gaussian(50_000, told[heart.name])},
    )
    monkeypatch.setattr(
        hidden_structures,
        "_errors_beyond",
        lambda heart, *_: gaussian(50_000, told[heart.name] / 2),
    )
    found = calibrate(run, dataset.folder, "train", few=True).found
    assert found["cut_factor"] == pytest.approx(8, rel=0.02)
    np.testing.assert_allclose(
        found["beyond"]["before"]["within"], [0.197, 0.383, 0.547], atol=0.01
    )
    np.testing.assert_allclose(found["beyond"]["after"]["within"], [0.954, 1, 1], atol=0.01)
    assert found["factor"] == pytest.approx(4, rel=0.02)
    assert found["before"]["factor"] == pytest.approx(2, rel=0.02)
    np.testing.assert_allclose(found["before"]["within"], [0.383, 0.683, 0.866], atol=0.01)
    np.testing.assert_allclose(found["after"]["within"], [0.954, 1, 1], atol=0.01)
    assert found["structures"]["LA"]["within"] == tuple(found["after"]["within"])


@pytest.fixture
def nothing_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no plane cut a structure."""
    monkeypatch.setattr(hidden_structures, "_errors_beyond", lambda *_: VertexErrors.joined([]))


@pytest.mark.usefixtures("nothing_cut")
def test_each_structure_has_its_own_factor_if_enough_hearts_show_it(
    run: Path, dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The LA's draws tell a half, the LV's a quarter, of what they should; the RV is rare."""
    hearts = dataset.of_split("train")
    first, _ = calibrating._halves(hearts, 0, "data")
    told = {"LA": gaussian(20_000, 0.5), "LV": gaussian(20_000, 0.25, 1)}
    none = VertexErrors.joined([])

    def errors_of(heart, *_) -> dict[str, VertexErrors]:
        rare = gaussian(20_000) if heart.name != first[0] else none  # missed in one of two
        return told | {"RV": rare}

    monkeypatch.setattr(hidden_structures, "_errors_of", errors_of)
    monkeypatch.setattr(calibrating, "LEAST_HEARTS", 2)
    found = calibrate(run, dataset.folder, "train", few=True).found
    assert set(found["factors"]) == {"LA", "LV"}
    assert found["factors"]["LA"] == pytest.approx(2, rel=0.02)
    assert found["factors"]["LV"] == pytest.approx(4, rel=0.02)
    assert 2 < found["factor"] < 4
    of_structures = found["structures"]
    assert [of_structures[name]["own_factor"] for name in ("LA", "LV", "RV")] == [True, True, False]
    assert of_structures["RV"]["factor"] == found["factor"]
    for name in ("LA", "LV"):
        np.testing.assert_allclose(of_structures[name]["within"], EXPECTED, atol=0.01)
    assert of_structures["RV"]["within"][1] > 0.999
    monkeypatch.setattr(calibrating, "LEAST_HEARTS", 3)
    assert calibrate(run, dataset.folder, "train", few=True).found["factors"] == {}
    file = run / "model" / "calibration.json"
    read = SdFactor.read(run, TrainedModel.from_pretrained(run))
    assert read is not None
    assert read.each(["RV", "LA"]).tolist() == [json.loads(file.read_text())["factor"]] * 2
    cut = np.array([False, True])
    assert (read.cut_factor, found["beyond"]) == (None, None)
    assert read.each(["RV", "LA"], cut).tolist() == read.each(["RV", "LA"]).tolist()
    known = replace(read, cut_factor=5.0)
    assert known.each(["RV", "LA"], cut).tolist() == [read.factor, 5.0]


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("factor", 1e308),
        ("factor", 1e-300),
        ("factor", True),
        ("factor", "1.5"),
        ("cut_factor", -1.0),
        ("factors", {"LA": 1e9}),
        ("factors", {"<b>": 1.5}),
        ("members", 10**30),
        ("members", 0),
        ("few", "no"),
    ],
)
def test_factors_that_none_can_be_are_refused(
    trained_run: Path, tmp_path: Path, entry: str, value: Any
) -> None:
    trained = TrainedModel.from_pretrained(trained_run)
    factor = SdFactor(1.5, {"LA": 2.0, "LV": 3.0}, None, 8, ("a",), "2026-01-31")
    file = factor.write(tmp_path, trained, {})
    assert SdFactor.read(None, trained, file) == factor
    with rewritten(file, "sha256") as content:
        content[entry] = value
    with pytest.raises(InputError, match=rf"calibration\.json: damaged: {entry}"):
        SdFactor.read(None, trained, file)


def test_factors_that_were_exchanged_are_noticed(trained_run: Path, tmp_path: Path) -> None:
    trained = TrainedModel.from_pretrained(trained_run)
    factor = SdFactor(1.5, {"LA": 2.0, "LV": 3.0}, None, 8, ("a",), "2026-01-31")
    file = factor.write(tmp_path, trained, {})
    content = json.loads(file.read_text())
    content["factors"] = {"LA": 3.0, "LV": 2.0}
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="damaged: its hash differs; run vecsetx calibrate again"):
        SdFactor.read(None, trained, file)


def test_patients_stay_in_one_half_and_seeds_choose_others(dataset: DataSet) -> None:
    hearts = [
        replace(dataset.hearts[0], name=f"{patient}{scan}", patient=f"p{patient}")
        for patient in range(9)
        for scan in "ab"
    ]
    first, second = calibrating._halves(hearts, 0, "data")
    assert (len(first), len(second)) == (10, 8)
    assert not {name[0] for name in first} & {name[0] for name in second}
    assert calibrating._halves(hearts[::-1], 0, "data")[0] == first[::-1]
    assert set(calibrating._halves(hearts, 1, "data")[0]) != set(first)


def test_one_patient_is_too_few(run: Path, dataset: DataSet) -> None:
    for few in (True, False):  # the option is of no use
        with pytest.raises(InputError, match=r"split 'val' has 1 patient with .* at least two"):
            calibrate(run, dataset.folder, few=few)
    assert not (run / "model" / "calibration.json").exists()


@pytest.mark.usefixtures("nothing_cut")
def test_what_is_missed_is_counted(
    run: Path, dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = VertexErrors.joined([])
    monkeypatch.setattr(
        hidden_structures, "_errors_of", lambda *_: {"LA": gaussian(100), "Coronary": none}
    )
    found = calibrate(run, dataset.folder, "train", few=True).found["structures"]
    assert (found["LA"]["missed"], found["Coronary"]["missed"]) == (0, 1)
    assert found["Coronary"]["within"] is None
    monkeypatch.setattr(hidden_structures, "_errors_of", lambda *_: {"Coronary": none})
    with pytest.raises(InputError, match="no inferred surface"):
        calibrate(run, dataset.folder, "train", few=True)


def test_each_annotated_structure_is_hidden_in_turn(
    run: Path, dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hidden_structures, "SPACING_MM", 5.0)
    trained = TrainedModel.from_pretrained(run)
    heart = dataset.hearts[0]
    whole = source_of(dataset, heart).segmentation(trained.structures).geometry()
    found = hidden_structures._errors_of(heart, whole, trained, 2, 0)
    assert set(found) == set(dataset.structures)
    some = replace(heart, annotated=("LA", "LV"))
    fewer = hidden_structures._errors_of(some, whole, trained, 2, 0)
    assert set(fewer) == {"LA", "LV"}
    np.testing.assert_array_equal(fewer["LV"].error_mm, found["LV"].error_mm)
    np.testing.assert_array_equal(fewer["LV"].sd_mm, found["LV"].sd_mm)
    large = [errors for errors in found.values() if len(errors.sd_mm)]
    assert len(large) >= 5
    assert all(errors.sd_mm.min() > 0 for errors in large)


# Too few hearts, and a calibration that is stopped


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Errors need no time; receives the names of the hearts that are measured."""
    names: list[str] = []

    def errors_of(heart, *_) -> dict[str, VertexErrors]:
        names.append(heart.name)
        return made_up_errors(heart)

    monkeypatch.setattr(hidden_structures, "_errors_of", errors_of)
    monkeypatch.setattr(
        hidden_structures, "_errors_beyond", lambda heart, *_: made_up_errors(heart)["LA"]
    )
    return names


def test_few_hearts_are_refused_unless_asked_for(
    run: Path,
    dataset: DataSet,
    made_up: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Before the model is read, which takes time: this one cannot be.
    (tmp_path / "model.json").write_text("no JSON")
    with pytest.raises(InputError, match=r"split 'train' has 3 hearts .* at least 8: .* --few"):
        calibrate(tmp_path, dataset.folder, "train")
    assert made_up == []
    assert not (run / "model" / "calibration.json").exists()
    monkeypatch.setattr(calibrating, "ENOUGH_HEARTS", 3)
    assert not calibrate(run, dataset.folder, "train").found["few"]
    page = (run / "model" / "calibration.html").read_text("utf-8")
    assert "unreliable" not in page


def test_hearts_that_fail_do_not_count(
    run: Path, dataset: DataSet, made_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = calibrating._halves(dataset.of_split("train"), 0, "")
    measurement = calibrating_hearts.measure_heart

    def failing(dataset, heart, *others):
        if heart.name == first[0]:
            raise InputError("gone")
        return measurement(dataset, heart, *others)

    monkeypatch.setattr(calibrating_hearts, "measure_heart", failing)
    monkeypatch.setattr(calibrating, "ENOUGH_HEARTS", 3)
    with pytest.raises(InputError, match=r"has 2 hearts that could be measured(?s:.*): gone"):
        calibrate(run, dataset.folder, "train")
    calibrated = calibrate(run, dataset.folder, "train", few=True)
    assert calibrated.found["few"]
    assert list(calibrated.failed) == [first[0]]
    assert len(made_up) == 2  # the second call measures none again


def test_a_killed_calibration_goes_on_and_ends_alike(
    run: Path, dataset: DataSet, made_up: list[str], tmp_path: Path
) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    process = forked(calibrate_until_killed, run, dataset.folder, 2)
    process.join(LONGEST_SECONDS)
    assert process.exitcode == -signal.SIGKILL
    assert not (run / "model" / "calibration.json").exists()
    resumed = calibrate(run, dataset.folder, "train", few=True).found
    assert made_up == [dataset.of_split("train")[2].name]
    whole = calibrate(other, dataset.folder, "train", few=True).found
    assert resumed | {"date": ""} == whole | {"date": ""}
    kept = run / "model" / "calibration-unfinished"
    assert not kept.exists()
    made_up.clear()
    kept.mkdir()
    (kept / "own.txt").write_text("of the user")
    calibrate(run, dataset.folder, "train", few=True)
    assert len(made_up) == 3  # a complete calibration leaves nothing
    assert [file.name for file in kept.iterdir()] == ["own.txt"]


@pytest.mark.parametrize("change", [{"seed": 1}, {"members": 3}, "damaged"], ids=str)
def test_measurements_of_another_calibration_are_not_used(
    change, run: Path, dataset: DataSet, made_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Records, "remove", lambda *_: None)
        calibrate(run, dataset.folder, "train", few=True)
    made_up.clear()
    options = {}
    if change == "damaged":
        for file in (run / "model" / "calibration-unfinished").iterdir():
            file.write_text(file.read_text()[:-100])
    else:
        options = change
    calibrate(run, dataset.folder, "train", few=True, **options)
    assert len(made_up) == 3


def test_remarks_on_the_hearts_are_printed(
    run: Path, dataset: DataSet, made_up: list[str], monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    measurement = calibrating_hearts.measure_heart
    monkeypatch.setattr(
        calibrating_hearts,
        "measure_heart",
        lambda *given: replace(measurement(*given), remarks=("the file has no orientation",)),
    )
    calibrate(run, dataset.folder, "train", few=True)
    name = dataset.of_split("train")[0].name
    assert f"3 hearts ({name}, …): the file has no orientation" in capsys.readouterr().out
