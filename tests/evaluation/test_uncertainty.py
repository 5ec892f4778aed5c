"""``evaluate --ensemble``: the uncertainty that a model states, compared with the truth."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.analytic_fields import AnalyticField, grid_about, heart

from vecsetx.anatomy.frame import Frame
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.evaluate import EvaluateOptions, evaluate
from vecsetx.errors import InputError
from vecsetx.evaluation import uncertainty
from vecsetx.evaluation.calibration import Calibration, VertexErrors, summarize_structures
from vecsetx.evaluation.reconstruction_scores import Reconstruction
from vecsetx.evaluation.scores import Score, summarize
from vecsetx.evaluation.uncertainty import EnsembleScoring
from vecsetx.geometry.heart_geometry import Geometry, Segmentation
from vecsetx.inference.ensemble import Ensemble
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.model.saved import TrainedModel
from vecsetx.model.vecset import ModelSpec
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.report.page import Report, write_report
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.tables import print_uncertainty

LABELS = label_set("default")
NAMES = LABELS.structures
GRID = grid_about((0, 0, 10), np.eye(3) * 2.0, 100)
MIDDLE = Frame((0.0, 0.0, 10.0))
FACTORS = SdFactor(2.0, {"RA": 3.0}, 4.0, 8, ("c", "d"), "2026-01-31")


def grown(by_mm: float) -> AnalyticField:
    """The heart with every structure larger by so much."""
    return AnalyticField(
        {
            name: lambda points, shape=shape: shape(points) - by_mm
            for name, shape in heart().shapes.items()
        }
    )


@pytest.fixture(scope="module")
def truth() -> LabelMap:
    return rasterize(heart(), GRID)


@pytest.fixture(scope="module")
def whole(truth: LabelMap) -> Reconstruction:
    return Reconstruction(Segmentation(Path("a.nii.gz"), NAMES, truth), heart())


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    network = ModelSpec(latents=16, width=32, heads=4, layers=1).build(10).eval()
    return TrainedModel(network, NAMES, LABELS, 80.0, 0.1, 256, {})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """TrainingBatches that are too large by 1 and by 2 mm; how they were asked for."""
    calls: list[tuple[int, int]] = []

    def draw(
        shown: Any, trained: Any, count: int, seed: int, factor: Any, domain: Frame
    ) -> Ensemble:
        assert domain == MIDDLE
        calls.append((count, seed))
        nothing = np.zeros((2, len(NAMES)), dtype=bool)
        return Ensemble((grown(1), grown(2)), nothing, factor, exclusive=False)

    monkeypatch.setattr(uncertainty, "encode_ensemble", draw)
    return calls


def test_errors_are_those_of_what_was_hidden_and_there(
    whole: Reconstruction, trained: TrainedModel, asked: list[tuple[int, int]]
) -> None:
    """The reconstruction is the truth; the draws say √((1 + 4) / 2) mm, times the factors."""
    shown = Geometry.of_label_map(whole.truth, len(NAMES))
    made = {name: surface for name, surface in whole.surfaces.items() if name != "Aorta"}
    hidden = ["RA", "LV", "Aorta"]
    plain, factored = (
        EnsembleScoring(trained, 2, 5, factors).errors("a", whole, shown, made, hidden, MIDDLE)
        for factors in (None, FACTORS)
    )
    assert asked == [(2, 5)] * 2
    assert list(plain) == [name for name in NAMES if name in hidden]
    assert len(plain["Aorta"].sd_mm) == 0  # missed
    for name, factor in (("RA", 3), ("LV", 2)):
        assert len(plain[name].error_mm) == 500
        assert plain[name].error_mm.mean() < 0.3  # of a label map of 2 mm
        np.testing.assert_allclose(np.median(plain[name].sd_mm), np.sqrt(2.5), rtol=0.05)
        np.testing.assert_allclose(factored[name].sd_mm, factor * plain[name].sd_mm, rtol=1e-5)
        np.testing.assert_array_equal(factored[name].error_mm, plain[name].error_mm)


@pytest.mark.usefixtures("asked")
def test_what_the_truth_lacks_or_a_scan_cuts_off_is_not_held_against_it(
    truth: LabelMap, trained: TrainedModel
) -> None:
    labels = truth.without([NAMES.index("LAA") + 1]).labels.copy()
    upper = LabelMap(labels[:, :, 50:], truth.affine @ _moved(50))  # through the LV
    cut = Reconstruction(Segmentation(Path("a.nii.gz"), NAMES, upper), heart())
    shown = Geometry.of_label_map(upper, len(NAMES))
    full = Reconstruction(Segmentation(Path("a.nii.gz"), NAMES, truth), heart()).surfaces
    found = EnsembleScoring(trained, 2, 0, None).errors(
        "a", cut, shown, full, ["LAA", "LV"], MIDDLE
    )
    assert list(found) == ["LV"]
    assert 0 < found["LV"].error_mm.max() < 2  # the full LV goes on for far more beyond the scan
    beyond = full["LV"].vertices_mm[:, 2] < upper.to_mm(np.zeros((1, 3)))[0, 2]
    assert beyond.mean() > 0.2


def _moved(voxels: int) -> np.ndarray:
    shift = np.eye(4)
    shift[2, 3] = voxels
    return shift


HEARTS = [
    {"RA": VertexErrors(np.array([1.0, 3.0]), np.array([1.0, 1.0])), "PV": VertexErrors.joined([])},
    {"RA": VertexErrors(np.array([1.5, 0.5]), np.array([1.0, 1.0]))},
]


def test_what_is_told_is_of_all_hearts(trained: TrainedModel) -> None:
    told = EnsembleScoring(trained, 8, 0, FACTORS).summary(HEARTS)
    assert (told["members"], told["factors"]) == (8, FACTORS.to_dict())
    assert (
        told["all"]
        == Calibration.of(VertexErrors(np.array([1.0, 3.0, 1.5, 0.5]), np.ones(4))).to_dict()
    )
    assert told["all"]["within"] == (0.5, 0.75, 1.0)
    assert list(told["structures"]) == ["RA", "PV"]
    assert told["structures"] == summarize_structures(HEARTS, ["RA", "PV"])
    assert told["structures"]["RA"] == {
        "hearts": 2,
        "missed": 0,
        "within": (0.5, 0.75, 1.0),
        "mean_sd_mm": 1.0,
        "rms_error_mm": pytest.approx(np.sqrt((1 + 9 + 2.25 + 0.25) / 4)),
    }
    assert told["structures"]["PV"]["missed"] == told["structures"]["PV"]["hearts"] == 1
    assert told["structures"]["PV"]["within"] is None
    json.dumps(told, allow_nan=False)
    none = EnsembleScoring(trained, 8, 0, None).summary(
        [HEARTS[0] | {"RA": VertexErrors.joined([])}]
    )
    assert (none["factors"], none["all"]) == ("uncalibrated", None)


# Page and terminal


def written(tmp_path: Path, told: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    rows = [Score("a", "RA", "found", {"dice": 0.9, "iou": 0.8}, False)]
    scores = summarize(rows) | {"calibration": told}
    write_report(tmp_path / "report.html", Report("", scores, (), (), {"model": "run"}))
    page = (tmp_path / "report.html").read_text()
    data = page[page.index('id="data">') :].split(">", 1)[1].split("</script>", 1)[0]
    return page, json.loads(data)["plots"]


def test_the_page_shows_the_uncertainty(tmp_path: Path, trained: TrainedModel) -> None:
    told = EnsembleScoring(trained, 8, 0, FACTORS).summary(HEARTS)
    page, plots = written(tmp_path, told)
    section = page.split('id="uncertainty">')[1].split("</section>")[0]
    assert "fitted on 2 hearts, 2026-01-31" in section
    assert '<td class="number" data-value="0.75">75.0%</td>' in section
    assert "uncalibrated" not in section
    assert "The structure was not reconstructed." in section  # PV
    curve = plots["uncertainty-reliability"]["data"][1]
    assert curve["name"] == "calibrated"
    np.testing.assert_allclose(curve["y"], told["all"]["observed"], atol=1e-4)
    assert len(plots["uncertainty-error-by-sd"]["data"][1]["x"]) == 4


def test_the_page_says_what_is_uncalibrated_and_what_was_missed(
    tmp_path: Path, trained: TrainedModel
) -> None:
    page, plots = written(tmp_path, EnsembleScoring(trained, 8, 0, None).summary(HEARTS))
    assert "uncalibrated for this model; run vecsetx calibrate" in page
    assert plots["uncertainty-reliability"]["data"][1]["name"] == "uncalibrated"
    page, plots = written(
        tmp_path, EnsembleScoring(trained, 8, 0, None).summary([{"PV": HEARTS[0]["PV"]}])
    )
    assert not any(name.startswith("uncertainty") for name in plots)
    assert "<h2>Uncertainty</h2>" in page


def test_the_terminal_says_it_in_a_line(trained: TrainedModel) -> None:
    for factors, expected in (
        (FACTORS, "(calibrated)"),
        (replace(FACTORS, few=True), "(calibrated on few hearts, unreliable)"),
        (None, "(uncalibrated)"),
    ):
        with console.capture() as said:
            print_uncertainty(EnsembleScoring(trained, 8, 0, factors).summary(HEARTS))
        words = " ".join(said.get().split())
        assert expected in words
        assert "1 s.d. 50.0% (expected 68.3%); 2 s.d. 75.0% (expected 95.4%)" in words
    with console.capture() as said:
        print_uncertainty(EnsembleScoring(trained, 8, 0, None).summary([]))
    assert "none of the hidden structures was reconstructed" in " ".join(said.get().split())


def test_hearts_that_the_factors_were_measured_on_tell_nothing(
    trained: TrainedModel,
    whole: Reconstruction,
    truth: LabelMap,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scoring = EnsembleScoring(trained, 2, 0, FACTORS)
    shown = Geometry.of_label_map(truth.without([NAMES.index("RA") + 1]), 10)
    assert scoring.errors("c", whole, shown, whole.surfaces, ["RA"], MIDDLE) == {}
    assert scoring.errors("a", whole, shown, whole.surfaces, ["RA"], MIDDLE).keys() == {"RA"}
    scoring.check_hearts(["a", "b", "c"])
    assert caplog.messages == [
        "uncertainty is scored on 2 of 3 hearts; the others were used for calibration (c)"
    ]
    caplog.clear()
    scoring.check_hearts(["a", "b"])
    EnsembleScoring(trained, 2, 0, None).check_hearts(["c", "d"])
    assert caplog.messages == []
    with pytest.raises(InputError, match=r"all these hearts \(c, d\) were used for calibration"):
        scoring.check_hearts(["c", "d"])


def test_draws_of_nothing_hidden_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--ensemble 4: .* none are; add --hide-each, or --hide"):
        evaluate(tmp_path, [tmp_path], tmp_path / "out", EvaluateOptions(ensemble=4))
    assert not (tmp_path / "out").exists()
