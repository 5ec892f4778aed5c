"""The benchmark of completion, small: who is compared, on what, and by which rules."""

import re
from dataclasses import dataclass, replace
from io import StringIO

import completion
import cut_hearts
import numpy as np
import partial_hearts
import pytest
from baselines import CohortSpec
from rich.console import Console
from scipy import ndimage
from support.forked import forked
from support.runs import RECIPE
from support.shapes import ball_in_shell
from support.waiting import LONGEST_SECONDS

from vecsetx.commands.train import train_model
from vecsetx.data.dataset import DataSet
from vecsetx.data.partial import PartialSpec
from vecsetx.evaluation.cut import Cut, errors_beyond, oblique
from vecsetx.evaluation.overlap import overlaps
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.inference.ensemble import Ensemble
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.rasterize import rasterize


@pytest.fixture(scope="module")
def trained(dataset: DataSet, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Trained by a process of its own, where checking every shape does not take its time."""
    partial = PartialSpec(hide=0.8, cut=0.3, sparse=0.2, ramp=8)
    training = replace(RECIPE.training, steps=40, log_every=20, checkpoint_every=40)
    recipe = replace(RECIPE, partial=partial, training=training)
    run = tmp_path_factory.mktemp("partial") / "run"
    process = forked(train_model, dataset.folder, run, recipe)
    process.join(LONGEST_SECONDS)
    assert process.exitcode == 0
    return TrainedModel.from_pretrained(run)


@pytest.fixture(scope="module")
def hearts(dataset: DataSet):
    """The training hearts as the unseen ones: what a cohort that holds the heart must recognise."""
    known = partial_hearts.hearts_of("phantoms", dataset, 1, CohortSpec(spacing_mm=4.0))
    return replace(known, unseen=dataset.of_split("train")[:1])


@pytest.mark.slow
def test_a_cohort_that_holds_the_heart_knows_what_is_hidden(
    trained: TrainedModel, hearts, dataset: DataSet
) -> None:
    cases = [(hearts.unseen[0], hide) for hide in (("LV", "RA"), ("Aorta",))]
    found = partial_hearts.hiding(hearts, trained, iter(cases))
    observed = "model, observed structures"
    assert set(found["dice"]) == {"model", "nearest heart", "mean heart", observed}
    for contender in ("model", "nearest heart", "mean heart"):
        assert found["dice"][contender].keys() - {"mean", "main"} == {"LV", "RA", "Aorta"}
    nearest, mean = found["dice"]["nearest heart"], found["dice"]["mean heart"]
    assert min(nearest.values()) > 0.9  # itself, on a grid of 2 mm
    assert found["assd_mm"]["nearest heart"]["mean"] < 0.5
    assert nearest["mean"] > mean["mean"] > 0.4
    assert "Myocardium" in found["dice"][observed]

    structures = dataset.structures
    truth = hearts.truth(hearts.unseen[0], structures)
    part = Geometry.of_label_map(truth.without([structures.index("Aorta") + 1]), len(structures))
    field = CompletedField.of(encode_heart(part, trained, EncodeOptions()), part)
    score = overlaps(truth.labels, rasterize(field, truth).labels, len(structures))
    assert found["dice_keeping_observed"]["model"]["Aorta"] == score[structures.index("Aorta")].dice


@pytest.mark.slow
def test_a_cut_leaves_no_seam_and_is_scored_beyond_it(trained: TrainedModel, hearts) -> None:
    factor = SdFactor(1.0, {}, 2.0, 4, ("another",), "2026-01-31")
    found = cut_hearts.cut(hearts, trained, factor, times=1)
    assert found["cuts"] == 1
    assert found["uncertainty"]["vertices"] > 500
    assert 0 < found["uncertainty"]["mean_sd_mm"] < 10
    assert found["largest_seam_mm"] < 0.2
    assert found["dice"]["nearest heart"]["mean"] > 0.6  # voxels of 2.4 mm, turned
    assert set(found["dice"]) == {
        "model",
        "model, recycled and refined",
        "nearest heart",
        "mean heart",
    }


def test_how_sure_a_model_is_beyond_a_plane_by_hand(dataset: DataSet, hearts) -> None:
    """A model that knows the truth, and draws that are too large, or too small, by 2 mm."""
    structures = dataset.structures
    truth = hearts.truth(hearts.unseen[0], structures)
    case = Cut.at_random(truth, np.random.default_rng(1))
    shown = Geometry.of_label_map(case.left, len(structures))
    whole = Geometry.of_label_map(case.whole, len(structures))

    def off(by_mm: float) -> CompletedField:
        model = CompletedField.of(Elsewhere(structures), whole)
        return CompletedField.of(Off(model, by_mm), shown)

    none = np.zeros((2, len(structures)), dtype=bool)
    ensemble = Ensemble((off(2), off(-2)), none, exclusive=False)
    scored = cut_hearts.hidden_structures(case.hidden, case.whole, structures)
    generator = np.random.default_rng(0)
    found = errors_beyond(case, off(0), ensemble, scored, generator, 2.4)
    assert len(found.sd_mm) > 500
    assert np.median(found.error_mm) < 0.5  # meshed on a grid of 2.4 mm
    far = found.sd_mm[found.sd_mm > 1.9]  # beside the plane the draws are corrected
    assert len(far) > 100
    assert np.median(far) == pytest.approx(2, abs=0.2)
    assert found.sd_mm.max() < 5


@dataclass(frozen=True)
class Elsewhere:
    """A model that finds nothing, so that all is as observed."""

    structures: tuple[str, ...]
    reach_mm: float = 7.0

    def distances_mm(self, points_mm: np.ndarray) -> np.ndarray:
        return np.full((len(points_mm), len(self.structures)), self.reach_mm, np.float32)


@dataclass(frozen=True)
class Off:
    """A field whose structures are all larger by some mm."""

    field: CompletedField
    by_mm: float

    @property
    def structures(self) -> tuple[str, ...]:
        return self.field.structures

    @property
    def reach_mm(self) -> float:
        return self.field.reach_mm

    def distances_mm(self, points_mm: np.ndarray) -> np.ndarray:
        return self.field.distances_mm(points_mm) - np.float32(self.by_mm)


def test_branches_of_a_model_that_knows_the_truth(
    trained: TrainedModel, hearts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All branches are hidden and the model recycles; one heart does not annotate the LAA."""
    structures = trained.structures
    (heart,) = hearts.unseen
    truth = hearts.truth(heart, structures)
    whole = Geometry.of_label_map(truth, len(structures))

    def knows(geometry: Geometry, model: TrainedModel, options: EncodeOptions) -> CompletedField:
        hidden = [structures.index(name) for name in partial_hearts.GROWS_ON]
        assert not geometry.present()[hidden].any()
        assert geometry.present().sum() == len(structures) - len(hidden)
        assert options.recycle == 2
        return CompletedField.of(encode_heart(whole, trained, EncodeOptions(refine=0)), whole)

    monkeypatch.setattr(partial_hearts, "encode_heart", knows)
    found = partial_hearts.branches(hearts, trained, 2)
    assert set(found) == set(partial_hearts.GROWS_ON)
    assert 0 < found["Coronary"]["dice"] < 1  # thinner than its voxels of 2.4 mm
    for branch in (found["LAA"], found["PV"]):
        assert branch["share_of_hearts"] == branch["share_attached"] == 1
        assert branch["mean_ml"] == pytest.approx(branch["true_ml"], rel=0.1)
        assert branch["dice"] > 0.9
        assert branch["farthest_from_parent_mm"] == pytest.approx(2.4)

    less = truth.without([structures.index("LAA") + 1])
    monkeypatch.setattr(partial_hearts.Hearts, "truth", lambda *_: less)
    without = partial_hearts.branches(hearts, trained, 2)
    assert without["LAA"].keys() == found["LAA"].keys() - {"true_ml", "dice"}
    out = StringIO()
    by_times = {0: found, 2: without}
    completion.show_branches("phantoms", by_times, Console(file=out, width=200))
    assert "LAA (on LA)" in out.getvalue()


def test_columns_of_tables_have_one_order() -> None:
    out = StringIO()
    rows = {"one": {"PV": 0.25, "Septum": 0.5, "mean": 0.4}, "other": {"RA": 0.75, "LA": 0.125}}
    completion.show("Dice", rows, Console(file=out, width=200))
    heading, first, second = (
        line for line in out.getvalue().splitlines() if "0." in line or "LA" in line
    )
    assert re.findall(r"\w+", heading) == ["LA", "RA", "PV", "Septum", "mean"]
    assert re.findall(r"[\d.]+|–", first) == ["–", "–", "0.250", "0.500", "0.400"]
    assert re.findall(r"[\d.]+|–", second) == ["0.125", "0.750", "–", "–", "–"]


def test_a_turned_heart_is_the_same_heart() -> None:
    label_map = ball_in_shell()
    turned = oblique(label_map, np.random.default_rng(0), 0.5)
    for label in (1, 2):
        voxels = np.argwhere(label_map.labels == label).astype(float)
        there = np.argwhere(turned.labels == label).astype(float)
        assert np.allclose(
            label_map.to_mm(voxels).mean(axis=0), turned.to_mm(there).mean(axis=0), atol=0.3
        )
        sizes = [len(v) * m.voxel_volume_mm3 for v, m in ((voxels, label_map), (there, turned))]
        assert sizes[1] == pytest.approx(sizes[0], rel=0.03)


def test_what_is_beyond_a_plane_is_gone_and_the_rest_stays_in_place() -> None:
    label_map = ball_in_shell()
    case = Cut(label_map, 7)
    left, hidden = case.left, case.hidden
    assert np.array_equal(left.labels, label_map.labels[7:])
    assert np.allclose(left.to_mm(np.zeros((1, 3))), label_map.to_mm(np.array([[7.0, 0, 0]])))
    assert np.array_equal(hidden.labels[:7], label_map.labels[:7])
    assert not hidden.labels[7:].any()
    structures = ("LV", "RV")
    shares = [(hidden.labels == k).sum() / (label_map.labels == k).sum() for k in (1, 2)]
    found = cut_hearts.hidden_structures(hidden, label_map, structures)
    wanted = [n for n, s in zip(structures, shares, strict=True) if s > cut_hearts.SHARE_BEYOND]
    assert found == wanted


def test_what_is_attached_by_hand() -> None:
    """A piece of 8 voxels beside a wall, and one of 24 that is 7 mm away from it."""
    own, wall = np.zeros((2, 12, 8, 8), dtype=bool)
    wall[0] = True
    own[1:3, :2, :2] = True
    own[7:10, 4:6, 4:8] = True
    away_mm = ndimage.distance_transform_edt(~wall)
    assert partial_hearts.attachment(own, away_mm, 1.0) == (1.0, 8 / 32)
    chain = np.zeros_like(own)
    chain[range(1, 7), range(1, 7), range(1, 7)] = True  # corner to corner
    assert partial_hearts.attachment(chain, away_mm, 1.0) == (1.0, 1.0)
    assert partial_hearts.attachment(own, away_mm, 7.0) == (1.0, 1.0)
    assert partial_hearts.attachment(np.zeros_like(own), away_mm, 1.0) == (np.inf, 0.0)
