"""Flat cuts inside a scan are found, and taken as its edge; what ends by itself is no cut."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.hearts import write_small_phantoms

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import STRUCTURES
from vecsetx.data.sources import LabelMapSource
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.geometry.flat_cuts import flat_cuts, unknown_beyond_cuts
from vecsetx.geometry.heart_geometry import Geometry, Segmentation
from vecsetx.geometry.view import edge_distances_mm
from vecsetx.sampling.sampler import SamplingSpec

DEFAULT = label_set("default")
SEVEN = STRUCTURES[:7]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> LabelMap:
    (path,) = write_small_phantoms(tmp_path_factory.mktemp("whole"), 1)
    return read_label_map(path)


def emptied(label_map: LabelMap, axis: int, outward: int, share: float = 0.3) -> LabelMap:
    """A heart segmented in a box that ends at a share of its extent."""
    side = label_map.bounding_box()[axis]
    removed = round(share * (side.stop - side.start))
    labels = label_map.labels.copy()
    slices = np.moveaxis(labels, axis, 0)
    slices[slice(0, side.start + removed) if outward < 0 else slice(side.stop - removed, None)] = 0
    return replace(label_map, labels=labels)


def without(label_map: LabelMap, *names: str) -> LabelMap:
    return label_map.without([STRUCTURES.index(name) + 1 for name in names])


@pytest.mark.parametrize("outward", [-1, 1])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cut_from_any_side_is_found_where_it_is(whole, axis, outward) -> None:
    made = emptied(whole, axis, outward)
    (found,) = flat_cuts(made, STRUCTURES)
    side = made.bounding_box()[axis]
    assert (found.axis, found.outward) == (axis, outward)
    assert found.index == (side.start if outward < 0 else side.stop - 1)
    plane = found.index + outward / 2
    assert made.to_indices(found.place_mm[None])[0, axis] == pytest.approx(plane)
    in_slice = np.take(made.labels, found.index, axis)
    assert {STRUCTURES.index(name) + 1 for name in found.structures} <= set(np.unique(in_slice))
    assert len(found.structures) > 1


def test_what_lies_beyond_a_cut_is_as_beyond_the_edge_of_the_scan(whole) -> None:
    made = emptied(whole, 2, -1)
    first = made.bounding_box()[2].start
    shown = Segmentation.of_scan(Path("a"), STRUCTURES, made).label_map
    unknown = np.zeros(whole.shape, bool)
    unknown[:, :, :first] = True
    np.testing.assert_array_equal(shown.unknown, unknown)
    np.testing.assert_array_equal(shown.labels, made.labels)
    # The same heart in a scan that ends at the plane.
    affine = whole.affine.copy()
    affine[:3, 3] = whole.to_mm(np.array([0.0, 0, first]))
    shorter = LabelMap(np.ascontiguousarray(made.labels[:, :, first:]), affine)
    one, other = (Geometry.of_label_map(m, len(STRUCTURES)) for m in (shown, shorter))
    np.testing.assert_array_equal(one.cut, other.cut)
    assert {STRUCTURES[k] for k in np.flatnonzero(one.cut)} >= {"Myocardium", "LV", "RV"}
    np.testing.assert_allclose(one.volumes_ml(), other.volumes_ml(), rtol=1e-9)
    points_mm = other.vertices_mm()
    found, expected = (edge_distances_mm(points_mm, m) for m in (shown, shorter))
    known = found > -np.inf
    np.testing.assert_allclose(found[known], expected[known], rtol=0, atol=1e-4)
    assert (expected[~known] < 0).all()


def test_the_remark_says_which_structures_end_where(whole, tmp_path: Path) -> None:
    """Also in a file whose axes run the other way, and read for two structures alone."""
    made = emptied(whole, 2, -1)
    affine = whole.affine.copy()
    affine[:3, 2] *= -1
    affine[:3, 3] = whole.to_mm(np.array([0.0, 0, whole.shape[2] - 1]))
    write_label_map(LabelMap(made.labels[:, :, ::-1], affine), tmp_path / "a.nii.gz")
    source = LabelMapSource("a", tmp_path / "a.nii.gz", DEFAULT)
    first = made.bounding_box()[2].start
    height_mm = whole.to_mm(np.array([0, 0, first - 0.5]))[2]
    for wanted in (STRUCTURES, ("LA", "Aorta")):
        (remark,) = source.segmentation(wanted).label_map.remarks
        assert f", {height_mm:.0f}) mm, the inferior end of the heart, inside the scan (M" in remark
        assert remark.startswith("several structures end on one plane at (")
        assert f"the {first / 56:.1%} of the voxels beyond it as unknown" in remark
    samples = source.samples(STRUCTURES, SamplingSpec(2000, 2000, 2000), 0)
    assert samples.info.remarks == (remark,)
    assert {"Myocardium", "LV", "RV"} <= set(samples.info.cut)
    assert samples.surface.points_mm[:, 2].min() > height_mm + 1.5 * 2.4


def test_a_box_cut_on_several_sides_with_specks_outside(whole) -> None:
    made = emptied(emptied(whole, 2, -1), 1, 1)
    for i in range(20, 40, 4):
        made.labels[i : i + 2, 28:30, 1:3] = 3
    shown = unknown_beyond_cuts(made, STRUCTURES)
    assert len(shown.remarks) == 2
    assert not shown.labels[shown.unknown].any()
    expected = emptied(emptied(whole, 2, -1), 1, 1).labels
    np.testing.assert_array_equal(shown.labels, expected)


@pytest.mark.parametrize("name", ["Aorta", "PA", "RA"])
def test_the_stump_of_one_structure_is_no_cut(whole, name: str) -> None:
    label = STRUCTURES.index(name) + 1
    labels = whole.labels.copy()
    others = replace(whole, labels=np.where(labels == label, 0, labels)).bounding_box()[2].stop
    if name == "RA":  # a structure that ends below all others, and flat
        labels[np.isin(labels, [STRUCTURES.index(n) + 1 for n in ("Aorta", "PA", "LA")])] = 0
        others = np.argwhere(labels == label)[:, 2].max() - 3
        labels[:, :, others:] = 0
        labels[(labels != label) & (np.arange(56) > others - 4)] = 0
    labels[:, :, others:] = 0
    made = replace(whole, labels=labels)
    assert flat_cuts(made, STRUCTURES) == []


def test_a_cavity_and_its_wall_alone_are_no_evidence(whole) -> None:
    made = emptied(without(whole, "RV", "RA", "Coronary"), 2, -1, 0.25)
    assert flat_cuts(made, STRUCTURES) == []


def test_ventricles_without_atria_may_end_at_their_valves(whole) -> None:
    made = emptied(without(whole, *set(STRUCTURES) - {"LV", "RV", "Myocardium"}), 2, 1)
    assert flat_cuts(made, STRUCTURES) == []
    made = emptied(without(whole, *set(STRUCTURES) - {"LA", "RA"}), 2, -1)
    assert flat_cuts(made, STRUCTURES) == []


def test_the_ends_of_a_stack_of_short_axis_slices_are_no_cut(whole) -> None:
    thick = LabelMap(whole.labels[:, :, ::4], whole.affine @ np.diag([1, 1, 4, 1]))
    for share in (0.2, 0.4):
        assert flat_cuts(emptied(thick, 2, -1, share), STRUCTURES) == []


def test_nothing_is_found_twice_nor_at_the_edge_of_the_scan(whole) -> None:
    shown = unknown_beyond_cuts(emptied(whole, 2, -1), STRUCTURES)
    assert unknown_beyond_cuts(shown, STRUCTURES) is shown
    first = shown.bounding_box()[2].start
    assert flat_cuts(LabelMap(shown.labels[:, :, first:], shown.affine), STRUCTURES) == []


def test_whole_phantoms_stay_as_they_are(tmp_path: Path) -> None:
    for path in write_small_phantoms(tmp_path, 4):
        label_map = read_label_map(path)
        shown = Segmentation.of_scan(path, STRUCTURES, label_map).label_map
        assert shown is label_map


def test_real_hearts_and_one_cut_in_a_box(real_hearts: Path) -> None:
    for name, labels, stride in (
        ("kcl/train/case01", "default", 3),
        ("kcl/val/case13", "default", 3),
        ("mmwhs/ct_train_1005", "mmwhs", 2),
        ("visible_human/female", "default", 3),
    ):
        known = label_set(labels)
        read = read_label_map(real_hearts / f"{name}.nii.gz").downsampled(stride)
        whole = read.to_structures(known, known.structures, name)
        assert Segmentation.of_scan(Path(name), known.structures, whole).label_map is whole
        if name == "kcl/train/case01":
            made = replace(whole, labels=whole.labels.copy())
            made.labels[:, :, : int(0.3 * whole.shape[2])] = 0
            (cut,) = flat_cuts(made, known.structures)
            assert set(cut.structures) == {"Myocardium", "LV", "RA", "RV"}
