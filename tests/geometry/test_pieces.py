"""Pieces far from the heart are left out, and gaps in what should be one are remarked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from support.hearts import write_small_phantoms

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import STRUCTURES
from vecsetx.data.sources import LabelMapSource, MeshesSource
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.interfaces import remove_specks
from vecsetx.geometry.pieces import gaps, without_stray_pieces
from vecsetx.geometry.stray_surfaces import without_stray_surfaces
from vecsetx.geometry.voxelize import voxelize_surfaces
from vecsetx.sampling.quality.heart_quality import heart_quality
from vecsetx.sampling.sampler import SamplingSpec

SPACING_MM = 2.4
LV, AORTA = STRUCTURES.index("LV") + 1, STRUCTURES.index("Aorta") + 1
SPEC = SamplingSpec(2000, 2000, 2000)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> LabelMap:
    """A phantom in a scan that goes on 168 mm below it."""
    (path,) = write_small_phantoms(tmp_path_factory.mktemp("whole"), 1)
    label_map = read_label_map(path)
    affine = label_map.affine.copy()
    affine[:3, 3] = label_map.to_mm(np.array([0.0, 0, -70]))
    return LabelMap(np.pad(label_map.labels, ((0, 0), (0, 0), (70, 0))), affine)


def with_piece(label_map: LabelMap, label: int, below_mm: float, size: int = 6) -> LabelMap:
    """A cube of a structure straight below the heart's lowest voxel, so far from it."""
    i, j, k = min(np.argwhere(label_map.labels).tolist(), key=lambda voxel: voxel[2])
    labels = label_map.labels.copy()
    top = k - round(below_mm / SPACING_MM)
    half = size // 2
    labels[i - half : i + half, j - half : j + half, top + 1 - size : top + 1] = label
    return replace(label_map, labels=labels)


def test_a_piece_in_the_abdomen_is_named_and_left_out(whole, tmp_path: Path) -> None:
    made = with_piece(whole, LV, 96)
    place = whole.to_mm(np.argwhere(made.labels != whole.labels).mean(axis=0))
    shown = without_stray_pieces(made, STRUCTURES)
    np.testing.assert_array_equal(shown.labels, whole.labels)
    x, y, z = (f"{mm:.0f}" for mm in place)
    ml = 6**3 * SPACING_MM**3 / 1000
    told = (
        f"a piece of LV ({ml:.1f} ml at ({x}, {y}, {z}) mm) lies 96 mm from the rest of the "
        "heart: it is left out"
    )
    assert shown.remarks == (told,)
    write_label_map(made, tmp_path / "made.nii.gz")
    write_label_map(whole, tmp_path / "whole.nii.gz")
    found, expected = (
        LabelMapSource("a", tmp_path / f"{name}.nii.gz", label_set("default")).samples(
            STRUCTURES, SPEC, 0
        )
        for name in ("made", "whole")
    )
    assert found.info.remarks == (told,)
    assert found.info.volumes_ml == expected.info.volumes_ml
    assert found.info.frame == expected.info.frame
    np.testing.assert_array_equal(found.near.points_mm, expected.near.points_mm)


@pytest.mark.parametrize(("below_mm", "is_left_out"), [(24, False), (36, True)])
def test_only_what_is_more_than_30_mm_from_the_heart_is_left_out(
    whole, below_mm: float, is_left_out: bool
) -> None:
    made = with_piece(whole, LV, below_mm)
    shown = without_stray_pieces(made, STRUCTURES)
    assert (shown is made) != is_left_out
    assert len(shown.remarks) == is_left_out


def test_pieces_near_pieces_of_the_heart_belong_to_it(whole) -> None:
    chain = with_piece(with_piece(whole, LV, 26.4), LV, 26.4)
    assert without_stray_pieces(chain, STRUCTURES) is chain


def test_two_pieces_far_away_are_left_out_together(whole) -> None:
    made = with_piece(with_piece(whole, LV, 60), AORTA, 12)
    shown = without_stray_pieces(made, STRUCTURES)
    np.testing.assert_array_equal(shown.labels, whole.labels)
    assert sorted(remark[:13] for remark in shown.remarks) == ["a piece of Ao", "a piece of LV"]


def test_the_largest_piece_of_a_structure_stays_wherever_it_is(whole) -> None:
    laa = STRUCTURES.index("LAA") + 1
    made = with_piece(whole.without([laa]), laa, 60)
    shown = without_stray_pieces(made, STRUCTURES)
    np.testing.assert_array_equal(shown.labels, made.labels)
    (remark,) = shown.remarks
    assert remark.startswith("the largest piece of LAA (3.0 ml at (")
    assert remark.endswith("lies 60 mm from the rest of the heart: it is kept, so look at it")


def test_specks_far_away_are_left_to_be_refilled(whole) -> None:
    made = with_piece(whole, LV, 60, size=2)
    assert without_stray_pieces(made, STRUCTURES) is made
    np.testing.assert_array_equal(remove_specks(made).labels, remove_specks(whole).labels)


# --- pieces of closed surfaces ----------------------------------------------------------------

Surfaces = dict[str, tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def surfaces(whole) -> Surfaces:
    """Structure → the phantom's closed surface."""
    closed = Geometry.of_label_map(whole, len(STRUCTURES)).closed
    return dict(zip(STRUCTURES, closed, strict=True))


def with_ball(
    surfaces: Surfaces, name: str, below_mm: float, radius_mm: float = 10, hollow: bool = False
) -> Surfaces:
    """A ball of a structure straight below the heart's lowest vertex, so far from it."""
    vertices, faces = surfaces[name]
    everywhere = np.concatenate([own for own, _ in surfaces.values()])
    lowest = everywhere[everywhere[:, 2].argmin()]
    ball = trimesh.creation.icosphere(radius=radius_mm)
    middle = lowest - [0, 0, below_mm + radius_mm]
    shells = [(ball.vertices + middle, ball.faces)]
    if hollow:
        shells.append((ball.vertices * 0.5 + middle, ball.faces[:, ::-1]))
    for more, its_faces in shells:
        faces = np.concatenate([faces, its_faces + len(vertices)])
        vertices = np.concatenate([vertices, more])
    return surfaces | {name: (vertices, faces)}


def cleared(surfaces: Surfaces) -> tuple[Surfaces, LabelMap]:
    closed, label_map = without_stray_surfaces(list(surfaces.values()), list(surfaces))
    return dict(zip(surfaces, closed, strict=True)), label_map


def assert_surfaces(found: Surfaces, expected: Surfaces) -> None:
    for name, (vertices, faces) in expected.items():
        np.testing.assert_array_equal(found[name][0], vertices)
        np.testing.assert_array_equal(found[name][1], faces)


@pytest.mark.parametrize("hollow", [False, True])
def test_a_ball_far_below_is_named_and_left_out(surfaces, hollow: bool) -> None:
    made = with_ball(surfaces, "LV", 100, hollow=hollow)
    found, label_map = cleared(made)
    assert_surfaces(found, surfaces)
    before = voxelize_surfaces(list(surfaces.values()))
    np.testing.assert_array_equal(label_map.labels, before.labels)
    np.testing.assert_array_equal(label_map.affine, before.affine)
    x, y, z = made["LV"][0][len(surfaces["LV"][0]) :].mean(axis=0)
    (remark,) = label_map.remarks
    ml = (1 - 0.5**3 * hollow) * 4 / 3 * np.pi
    assert float(remark.split("(")[1].split(" ml")[0]) == pytest.approx(ml, abs=0.1)
    place = np.array(remark.split("at (")[1].split(")")[0].split(","), float)
    np.testing.assert_allclose(place, [x, y, z], atol=0.7)  # whole mm
    away_mm = float(remark.split("lies ")[1].split(" mm")[0])
    assert away_mm == pytest.approx(100, abs=2.5)  # between centres of voxels of 0.8 mm
    assert remark.startswith("a piece of LV (")
    assert remark.endswith(" mm from the rest of the heart: it is left out")


@pytest.mark.parametrize(("below_mm", "is_left_out"), [(27, False), (33, True)])
def test_only_surfaces_more_than_30_mm_from_the_heart_are_left_out(
    surfaces, below_mm: float, is_left_out: bool
) -> None:
    made = with_ball(surfaces, "LV", below_mm)
    found, label_map = cleared(made)
    assert_surfaces(found, surfaces if is_left_out else made)
    assert len(label_map.remarks) == is_left_out


def test_the_largest_surface_of_a_structure_stays_wherever_it_is(surfaces) -> None:
    nothing = np.empty((0, 3)), np.empty((0, 3), np.int64)
    made = with_ball(surfaces | {"LAA": nothing}, "LAA", 60)
    found, label_map = cleared(made)
    assert_surfaces(found, made)
    (remark,) = label_map.remarks
    assert remark.startswith("the largest piece of LAA (4.")
    assert remark.endswith(" mm from the rest of the heart: it is kept, so look at it")
    both, label_map = cleared(with_ball(made, "LV", 20))  # 20 mm from the appendage
    assert_surfaces(both, made)
    assert len(label_map.remarks) == 2


def test_meshes_with_a_stray_ball_give_the_samples_of_those_without(
    surfaces, tmp_path: Path
) -> None:
    chosen = {name: surfaces[name] for name in ("LV", "LA", "Aorta")}
    samples = []
    for number, meshes in enumerate((chosen, with_ball(chosen, "LV", 150))):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, mesh in meshes.items():
            trimesh.Trimesh(*mesh, process=False).export(folder / f"{name}.stl")
        source = MeshesSource("a", folder, label_set("default"), space="ras")
        samples.append(source.samples(STRUCTURES, SPEC, 0))
    expected, found = samples
    assert [remark[:13] for remark in found.info.remarks] == ["a piece of LV"]
    assert expected.info.remarks == ()
    assert found.info.volumes_ml == expected.info.volumes_ml
    assert found.info.frame == expected.info.frame
    np.testing.assert_array_equal(found.near.points_mm, expected.near.points_mm)


# --- gaps -------------------------------------------------------------------------------------


def with_gap(label_map: LabelMap, label: int, voxels: int) -> LabelMap:
    """A heart in whose structure slices are missing, half-way between its ends."""
    slices = np.flatnonzero((label_map.labels == label).any(axis=(0, 1)))
    first = slices[len(slices) // 2] - voxels // 2
    labels = label_map.labels.copy()
    part = labels[:, :, first : first + voxels]
    part[part == label] = 0
    return replace(label_map, labels=labels)


def test_two_large_pieces_with_a_gap_are_remarked(whole, tmp_path: Path) -> None:
    made = with_gap(whole, LV, 4)
    (gap,) = gaps(made, STRUCTURES)
    kept_ml = np.count_nonzero(made.labels == LV) * SPACING_MM**3 / 1000
    assert gap.structure == "LV"
    assert sum(gap.volumes_ml) == pytest.approx(kept_ml)
    assert gap.volumes_ml[0] >= gap.volumes_ml[1] >= 0.1 * kept_ml
    assert gap.gap_mm == pytest.approx(4 * SPACING_MM, abs=0.01)
    larger, smaller = gap.volumes_ml
    told = (
        f"LV is in pieces of {larger:.1f} and {smaller:.1f} ml, 10 mm apart: a part between "
        "them may be missing"
    )
    write_label_map(made, tmp_path / "a.nii.gz")
    source = LabelMapSource("a", tmp_path / "a.nii.gz", label_set("default"))
    samples = source.samples(STRUCTURES, SPEC, 0)
    assert samples.info.remarks == (told,)
    quality = heart_quality(samples, STRUCTURES, STRUCTURES, None)
    assert told in quality.doubts


def test_pieces_that_both_reach_the_edge_or_unknown_voxels_may_be_one(whole) -> None:
    labels = np.zeros((30, 20, 20), np.uint8)
    labels[4:10, 5:15, 2:12], labels[16:22, 5:15, 2:12] = 1, 1
    apart = LabelMap(labels, np.eye(4))
    assert [gap.gap_mm for gap in gaps(apart, ("Aorta",))] == [6]
    at_edge = LabelMap(labels[:, :, :12], np.eye(4))  # as two legs below an arch out of view
    assert gaps(at_edge, ("Aorta",)) == []
    unknown = np.zeros(labels.shape, bool)
    unknown[:, :, :2] = True
    assert gaps(replace(apart, unknown=unknown), ("Aorta",)) == []
    one_at_edge = labels.copy()
    one_at_edge[4:10, 5:15, :2] = 1
    assert len(gaps(LabelMap(one_at_edge, np.eye(4)), ("Aorta",))) == 1


def test_small_distant_and_many_pieces_are_no_gap() -> None:
    labels = np.zeros((80, 20, 20), np.uint8)
    labels[4:14, 5:15, 5:15], labels[20:23, 6:11, 6:11] = 1, 1  # 7% of it
    assert gaps(LabelMap(labels, np.eye(4)), ("LV",)) == []
    labels[20:28, 6:11, 6:11] = 1
    assert len(gaps(LabelMap(labels, np.eye(4)), ("LV",))) == 1
    assert gaps(LabelMap(labels, np.eye(4)), ("PV",)) == []
    labels[20:28] = 0
    labels[55:65, 5:15, 5:15] = 1
    assert gaps(LabelMap(labels, np.eye(4)), ("LV",)) == []
    assert len(gaps(LabelMap(labels, np.diag([0.9, 1, 1, 1.0])), ("LV",))) == 1


def test_whole_phantoms_and_real_hearts_have_neither(tmp_path: Path) -> None:
    for path in write_small_phantoms(tmp_path, 2):
        label_map = read_label_map(path)
        assert without_stray_pieces(label_map, STRUCTURES) is label_map
        assert gaps(remove_specks(label_map), STRUCTURES) == []


def test_a_real_aorta_without_its_arch(real_hearts: Path) -> None:
    """As ``fragments.nii.gz`` of the shared cases."""
    known = label_set("default")
    path = real_hearts / "kcl" / "train" / "case01.nii.gz"
    whole = read_label_map(path).downsampled(3).to_structures(known, known.structures, "a")
    assert gaps(whole, known.structures) == []
    labels, slices = whole.labels.copy(), np.argwhere(whole.labels == AORTA)[:, 2]
    middle = (slices.min() + slices.max()) // 2
    part = labels[:, :, middle - 2 : middle + 3]
    part[part == AORTA] = 0
    (gap,) = gaps(replace(whole, labels=labels), known.structures)
    assert str(gap) == (
        "Aorta is in pieces of 24.9 and 16.4 ml, 9 mm apart: a part between them may be missing"
    )


def test_pieces_of_meshes_are_those_of_their_surfaces() -> None:
    """Voxels would join what nearly touches, and break or lose what is thin."""
    ball = trimesh.creation.icosphere(radius=20.0)
    thin = trimesh.creation.cylinder(radius=0.05, segment=[[-30.0, 0, 30], [40, 25, 45]])
    near = ball.copy().apply_translation([40.1, 0, 0])
    cavity = trimesh.creation.icosphere(radius=10.0)
    cavity.invert()
    one = trimesh.util.concatenate([ball, cavity])
    two = trimesh.util.concatenate([one, near])
    none = (np.empty((0, 3)), np.empty((0, 3), np.int64))
    closed = [(np.asarray(m.vertices), np.asarray(m.faces)) for m in (thin, one, two)]
    assert Geometry.of_surfaces([*closed, none]).pieces().tolist() == [1, 1, 2, 0]
