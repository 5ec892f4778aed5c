"""Voxels of which nothing is known: no surface, no loss and no score, whatever they hold."""

from pathlib import Path

import numpy as np
import pytest
from support.analytic_fields import AnalyticField, ball
from support.hearts import write_small_phantoms

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.phantom import STRUCTURES
from vecsetx.data.buffer import BatchBuffer
from vecsetx.data.draw import BatchSpec, draw_heart
from vecsetx.data.sources import LabelMapSource
from vecsetx.errors import InputError
from vecsetx.evaluation.heart_scores import score_label_maps
from vecsetx.evaluation.reconstruction_scores import Reconstruction, score_reconstruction
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.geometry.distance import signed_distances_mm
from vecsetx.geometry.heart_geometry import Segmentation
from vecsetx.geometry.view import cut_structures, known_mm
from vecsetx.sampling.sampler import SamplingSpec
from vecsetx.sampling.samples import SamplesFile, write_samples

IGNORING = LabelSet("mine", dict(enumerate(STRUCTURES, 1)), ignore=frozenset({99}))
SPEC = SamplingSpec(3000, 3000, 3000)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> LabelMapSource:
    """A phantom of which nobody looked at its lower third, and at a block in the LA."""
    folder = tmp_path_factory.mktemp("unknown")
    (path,) = write_small_phantoms(folder, 1)
    whole = read_label_map(path)
    labels = whole.labels.copy()
    labels[:, :, :20] = 99
    i, j, k = np.rint(np.argwhere(labels == 2).mean(axis=0)).astype(int)
    labels[i : i + 3, j : j + 3, k : k + 3] = 99
    write_label_map(LabelMap(labels, whole.affine), path)
    return LabelMapSource("a", path, IGNORING)


def in_unknown(points_mm: np.ndarray, label_map: LabelMap) -> np.ndarray:
    return LabelMap(label_map.unknown.astype(np.uint8), label_map.affine).at(points_mm) == 1


def test_what_touches_unknown_voxels_is_cut() -> None:
    labels, unknown = np.zeros((9, 9, 9), np.uint8), np.zeros((9, 9, 9), bool)
    labels[3, 3, 3], labels[6, 3, 3] = 1, 2
    unknown[4, 4, 4] = True  # shares a corner with the first
    assert cut_structures(LabelMap(labels, np.eye(4), unknown=unknown), 3).tolist() == [True, 0, 0]
    assert not cut_structures(LabelMap(labels, np.eye(4)), 3).any()


def test_nothing_is_known_of_any_structure_in_an_unknown_voxel() -> None:
    known = known_mm(np.array([-np.inf, -2, 3], np.float32), np.array([True, False]))
    assert known.tolist() == [[-np.inf, -np.inf], [-2, np.inf], [3, np.inf]]


def test_samples_have_no_surface_and_no_trust_in_unknown_voxels(source) -> None:
    label_map = source.segmentation(STRUCTURES).label_map
    samples = source.samples(STRUCTURES, SPEC, 0)
    assert {"LV", "RV", "Myocardium", "LA"} <= set(samples.info.cut) < set(STRUCTURES)
    assert not in_unknown(samples.surface.points_mm, label_map).any()
    for group in (samples.near, samples.volume):
        unknown = in_unknown(group.points_mm, label_map)
        assert unknown.any()
        assert not samples.info.trusted(group)[unknown].any()
        assert samples.info.trusted(group)[~unknown].mean() > 0.5


def test_what_is_trusted_holds_in_the_whole_heart(source, tmp_path: Path) -> None:
    (path,) = write_small_phantoms(tmp_path, 1)
    whole = LabelMapSource("a", path, IGNORING).segmentation(STRUCTURES).geometry()
    samples = source.samples(STRUCTURES, SPEC, 0)
    for group in (samples.near, samples.volume):
        true = signed_distances_mm(group.points_mm, whole.closed, whole.label_map, 16.0)
        names = [STRUCTURES.index(name) for name in samples.info.structures]
        wrong = np.abs(group.distances_mm - true[:, names])[samples.info.trusted(group)]
        assert np.quantile(wrong, 0.999) < 0.5  # smoothing rounds what is beside unknown voxels
        assert wrong.max() < 2.4


def test_a_batch_has_no_loss_in_unknown_voxels_also_of_absent_structures(source, tmp_path) -> None:
    label_map = source.segmentation(STRUCTURES).label_map
    write_samples(source.samples(STRUCTURES, SPEC, 0), tmp_path / "a.safetensors")
    file = SamplesFile(tmp_path / "a.safetensors")
    names = (*file.info.structures, "IVC")  # annotated, and absent
    spec = BatchSpec(hearts=1, points=200, surface=200, near=400, volume=400)
    buffer = BatchBuffer.empty(1, 200, 200, 400, 400, len(names)).heart(0)
    draw_heart(file, names, names, spec, None, np.random.default_rng(0), buffer)
    queries = buffer.points[spec.points :]
    unknown = in_unknown(file.info.frame.to_mm(queries), label_map)
    assert unknown.sum() > 20
    assert (buffer.known[unknown] == -np.inf).all()
    assert (buffer.known[~unknown][:, -1] == np.inf).all()


def test_a_scan_of_which_nothing_is_known_around_the_heart_is_refused(tmp_path: Path) -> None:
    (path,) = write_small_phantoms(tmp_path, 1)
    whole = read_label_map(path)
    labels = np.where(whole.labels > 0, whole.labels, 99)
    labels[::4] = 99
    write_label_map(LabelMap(labels.astype(np.uint8), whole.affine), path)
    with pytest.raises(InputError, match=r"phantom00.*: a scan of .* shows no surface"):
        LabelMapSource("a", path, IGNORING).samples(STRUCTURES, SPEC, 0)


def two_balls() -> tuple[AnalyticField, LabelMap]:
    """A field, and a truth in which the lower part of both balls is unknown."""
    field = AnalyticField({"LV": ball((10, 20, 20), 8), "RV": ball((27, 20, 20), 7)})
    inside = np.argwhere(np.ones((36, 40, 40), bool)).astype(float)
    labels = (field.distances_mm(inside) < 0) @ [1, 2]
    labels = labels.reshape(36, 40, 40).astype(np.uint8)
    unknown = np.zeros(labels.shape, bool)
    unknown[:, :, :18] = True
    whole = LabelMap(labels, np.eye(4))
    return field, whole.with_unknown(unknown, "not looked at")


def test_scores_leave_unknown_voxels_out_as_if_the_grid_ended_there() -> None:
    field, truth = two_balls()
    names, ends = ("LV", "RV"), np.eye(4)
    ends[2, 3] = 18
    shorter = LabelMap(np.ascontiguousarray(truth.labels[:, :, 18:]), ends)
    found, expected = (
        score_reconstruction("a", Reconstruction(Segmentation(Path("a"), names, m), field), names)
        for m in (truth, shorter)
    )
    for row, same in zip(found, expected, strict=True):
        assert row.values == pytest.approx(same.values, rel=1e-5)
        assert row.values["dice"] == row.values["nsd"] == 1
        ml = np.count_nonzero(truth.labels == 1 + names.index(row.structure)) / 1000
        assert row.values["truth_ml"] == row.values["prediction_ml"] == pytest.approx(ml)
        assert row.values["mesh_nsd"] > 0.99


def test_what_a_prediction_has_in_unknown_voxels_does_not_count() -> None:
    _, truth = two_balls()
    labels = truth.labels.copy()
    labels[truth.unknown] = 1 + (np.arange(truth.unknown.sum()) % 2)
    rows = score_label_maps("a", truth, LabelMap(labels, np.eye(4)), ("LV", "RV"), ("LV", "RV"))
    assert [row.values["dice"] for row in rows] == [1, 1]
    assert [row.values["hd95_mm"] for row in rows] == [0, 0]
