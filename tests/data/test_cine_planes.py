"""Hearts shown as cine MRI shows them: contours in planes."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree
from support.hearts import write_small_phantoms
from support.runs import tensors_of
from support.shared import made_once

from vecsetx.anatomy.phantom import STRUCTURES
from vecsetx.data import partial as partial_module
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.cine.contour_points import on_planes
from vecsetx.data.cine.planes import Plane, random_planes
from vecsetx.data.cine.ventricle import LeftVentricle, Structures, left_ventricle
from vecsetx.data.dataset import DataSet
from vecsetx.data.draw import BatchSpec
from vecsetx.data.partial import ObservedPoints, PartialSpec, PartialView
from vecsetx.formats.label_maps import read_label_map
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.sampling.point_sampling import surface_points
from vecsetx.views.contours import contours_of
from vecsetx.views.slices import Slice

K = len(STRUCTURES)
SEEDS = st.integers(0, 2**32 - 1)
NUMBER = {name: index for index, name in enumerate(STRUCTURES)}
CINE = {
    "SAX": {"Myocardium", "LV", "RV"},
    "2CH": {"Myocardium", "LV", "LA"},
    "3CH": {"Myocardium", "LV", "RV", "LA", "Aorta"},
    "4CH": {"Myocardium", "LV", "RV", "LA", "RA"},
}
ALL = PartialSpec(planes=1.0, ramp=0)


class Heart:
    """A phantom, its surfaces and points on them."""

    def __init__(self, index: int) -> None:
        folder = made_once("cine-phantoms", lambda made: write_small_phantoms(made, 3))
        self.label_map = read_label_map(folder / f"phantom{index:02d}.nii.gz")
        self.geometry = Geometry.of_label_map(self.label_map, K)
        points_mm, structure, normals = surface_points(
            self.geometry, 40_000, 0.6, np.random.default_rng(index)
        )
        self.points = ObservedPoints(
            points_mm.astype(np.float32), structure, normals.astype(np.float32)
        )
        self.structures = Structures(STRUCTURES, self.geometry.areas_mm2(), self.geometry.cut)
        found = left_ventricle(self.points.points_mm, structure, self.structures)
        assert found is not None
        self.left: LeftVentricle = found

    def contour(self, name: str, plane: Plane) -> np.ndarray:
        """``[N, 2, 3]`` pieces of a structure's surface in a plane, by another program."""
        mesh = trimesh.Trimesh(*self.geometry.closed[NUMBER[name]], process=False)
        return trimesh.intersections.mesh_plane(mesh, plane.normal, plane.height_mm * plane.normal)

    def length_mm(self, name: str, plane: Plane) -> float:
        pieces = self.contour(name, plane)
        return float(np.linalg.norm(pieces[:, 1] - pieces[:, 0], axis=1).sum())


@cache
def heart(index: int = 0) -> Heart:
    return Heart(index)


def drawn(seed: int, index: int = 0, shift_mm: float = 0.0) -> list[Plane]:
    return random_planes(heart(index).left, STRUCTURES, shift_mm, np.random.default_rng(seed))


def shown(
    seed: int, spec: PartialSpec = ALL, count: int = 800
) -> tuple[ObservedPoints, list[Plane]]:
    """What the encoder receives, and the planes that were drawn for it."""
    planes: list[Plane] = []
    with pytest.MonkeyPatch.context() as patch:

        def kept(*args, **kwargs):
            planes.extend(random_planes(*args, **kwargs))
            return planes

        patch.setattr(partial_module, "random_planes", kept)
        one, generator = heart(), np.random.default_rng(seed)
        view = PartialView(spec, 1.0).decided(generator)
        part = view.observe(one.points, count, generator, one.structures)
    return part, planes


@pytest.mark.parametrize("index", range(3))
def test_the_long_axis_runs_from_the_mitral_valve_to_the_apex(index: int) -> None:
    """The valve is where voxels of LV and LA touch, the apex LV's voxel farthest from it."""
    one = heart(index)
    left, atrium, right = (one.label_map.labels == NUMBER[n] + 1 for n in ("LV", "LA", "RV"))
    to_mm = one.label_map.to_mm
    valve = to_mm(np.argwhere(left & binary_dilation(atrium, iterations=2)).astype(float)).mean(0)
    inside = to_mm(np.argwhere(left).astype(float))
    apex = inside[np.linalg.norm(inside - valve, axis=1).argmax()]
    along, septal, anterior = one.left.axes
    np.testing.assert_allclose(one.left.axes @ one.left.axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(along, septal), anterior, atol=1e-12)
    axis = (valve - apex) / np.linalg.norm(valve - apex)
    assert np.degrees(np.arccos(axis @ along)) < 6
    assert np.linalg.norm(one.left.base_mm - valve) < 4
    to_right = to_mm(np.argwhere(right).astype(float)).mean(axis=0) - one.left.base_mm
    assert abs(to_right @ anterior) < 4 < 20 < to_right @ septal
    # The pulmonary trunk lies in front of the right ventricle.
    trunk = to_mm(np.argwhere(one.label_map.labels == NUMBER["PA"] + 1).astype(float)).mean(axis=0)
    assert (trunk - one.left.base_mm) @ anterior > 10


def spacing_of(heights: np.ndarray) -> float | None:
    """The spacing of 6 to 12 mm of which all steps are multiples, as slices may be missing."""
    steps = np.diff(heights)
    for parts in range(1, 9):
        spacing = steps.min() / parts
        if 6 <= spacing <= 12 and np.abs(steps / spacing - np.rint(steps / spacing)).max() < 1e-6:
            return float(spacing)
    return None


@given(SEEDS)
@settings(max_examples=60)
def test_planes_lie_as_cine_mri_takes_them(seed: int) -> None:
    planes, left = drawn(seed, shift_mm=2.0), heart().left
    along = left.axes[0]
    apex_mm = left.base_mm - np.ptp(left.points_mm @ along) * along
    for plane in planes:
        assert np.linalg.norm(plane.normal) == pytest.approx(1)
        assert abs(plane.shift_mm @ plane.normal) < 1e-12
        if plane.kind != "SAX":  # both ends of the axis lie in it
            np.testing.assert_allclose(
                [left.base_mm @ plane.normal, apex_mm @ plane.normal], plane.height_mm, atol=1e-9
            )
    kinds = [plane.kind for plane in planes if plane.kind != "SAX"]
    assert len(set(kinds)) == len(kinds) <= 3
    stack = [plane for plane in planes if plane.kind == "SAX"]
    assert len(stack) >= 2
    (normal,) = np.unique([plane.normal for plane in stack], axis=0)
    assert np.degrees(np.arccos(normal @ along)) < 15
    heights = np.array([plane.height_mm for plane in stack])
    of_left = left.points_mm @ normal
    assert of_left.min() <= heights[0] < heights[-1] <= of_left.max()
    assert spacing_of(heights) is not None


@cache
def many(count: int) -> list[list[Plane]]:
    generator = np.random.default_rng(0)
    return [random_planes(heart().left, STRUCTURES, 0.0, generator) for _ in range(count)]


QUARTERS = [0, 0.25, 0.5, 0.75, 1]


def test_a_stack_keeps_two_slices_however_short_the_ventricle() -> None:
    left = heart().left
    small = replace(left, points_mm=left.base_mm + 0.45 * (left.points_mm - left.base_mm))
    generator = np.random.default_rng(0)
    counts = [
        sum(plane.kind == "SAX" for plane in random_planes(small, STRUCTURES, 0.0, generator))
        for _ in range(200)
    ]
    assert min(counts) == 2


def test_spacing_tilt_and_missing_slices_vary_as_said() -> None:
    left = heart().left
    spacings, incomplete, tilts, phases = [], [], [], []
    for planes in many(2000):
        stack = [plane for plane in planes if plane.kind == "SAX"]
        heights = [plane.height_mm for plane in stack]
        of_left, steps = left.points_mm @ stack[0].normal, np.diff(heights)
        ends = (heights[0] - of_left.min(), of_left.max() - heights[-1])
        spacings.append(steps.min())
        incomplete.append(max(*ends, steps.max()) > min(steps.min(), 12) + 1e-6)
        phases.append(ends[0] / steps.min())
        tilts.append(np.degrees(left.axes[1:] @ stack[0].normal))
    whole = ~np.array(incomplete)
    full = np.array(spacings)[whole]
    phase = np.array(phases)[whole]
    np.testing.assert_allclose(np.quantile(phase, QUARTERS), QUARTERS, atol=0.05)
    np.testing.assert_allclose(np.quantile(full, [0, 0.5, 1]), [6, 9, 12], atol=0.4)
    assert np.mean(incomplete) == pytest.approx(0.28, abs=0.04)
    np.testing.assert_allclose(np.std(tilts, axis=0), 3, atol=0.3)


def test_long_axis_planes_vary_in_number_and_angle_as_said() -> None:
    along, septal, anterior = heart().left.axes
    drawn_planes = many(2000)
    counts = [sum(plane.kind != "SAX" for plane in planes) for planes in drawn_planes]
    np.testing.assert_allclose(np.bincount(counts) / 2000, 0.25, atol=0.04)
    for kind, usual in {"4CH": 160, "3CH": 40, "2CH": 100}.items():
        normals = [
            plane.normal for planes in drawn_planes for plane in planes if plane.kind == kind
        ]
        within = np.cross(along, normals)
        angles = np.degrees(np.arctan2(within @ anterior, within @ septal)) % 180
        assert len(angles) / 2000 == pytest.approx(0.5, abs=0.04)
        assert np.mean(angles) == pytest.approx(usual, abs=1)
        assert np.std(angles) == pytest.approx(5, abs=0.5)


def test_planes_show_what_label_maps_of_cine_mri_name_the_ventricles_or_all() -> None:
    found = []
    for planes in many(2000):
        shows = {plane.kind: {n for n, k in NUMBER.items() if plane.shows[k]} for plane in planes}
        if len(shows) == 1:  # the stack alone, of which two kinds are the same
            continue
        if shows == {kind: CINE[kind] for kind in shows}:
            found.append("usual")
        else:
            (same,) = {frozenset(names) for names in shows.values()}
            found.append({frozenset(CINE["SAX"]): "ventricles", frozenset(STRUCTURES): "all"}[same])
    shares = [found.count(one) / len(found) for one in ("usual", "ventricles", "all")]
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=0.04)


@pytest.mark.parametrize("index", range(3))
def test_long_axis_planes_cut_the_chambers_that_they_are_named_after(index: int) -> None:
    """Each for at least 9 cm; 2CH at most grazes the right heart."""
    cuts = {
        "4CH": {"LV", "LA", "RV", "RA"},
        "3CH": {"LV", "LA", "RV", "Aorta"},
        "2CH": {"LV", "LA"},
    }
    drawn_kinds, generator = set(), np.random.default_rng(0)
    for _ in range(25):
        for plane in random_planes(heart(index).left, STRUCTURES, 0.0, generator):
            if plane.kind == "SAX":
                continue
            drawn_kinds.add(plane.kind)
            lengths = {
                name: heart(index).length_mm(name, plane) for name in (*cuts["4CH"], "Aorta")
            }
            assert {name for name, mm in lengths.items() if mm > 90} == cuts[plane.kind]
    assert drawn_kinds == {*cuts}


def test_shifts_have_the_spread_that_is_asked_for_in_each_direction() -> None:
    along = heart().left.axes[0]
    shifts = {"SAX": [], "LAX": []}
    for seed in range(300):
        once, twice = drawn(seed, shift_mm=1.0), drawn(seed, shift_mm=2.0)
        for one, other in zip(once, twice, strict=True):
            np.testing.assert_allclose(other.shift_mm, 2 * one.shift_mm, rtol=1e-12)
            assert (other.kind, other.height_mm) == (one.kind, one.height_mm)
            if one.kind == "SAX":
                shifts["SAX"].append(one.shift_mm @ heart().left.axes[1:].T)
            else:
                across = np.cross(along, one.normal)
                shifts["LAX"].append([one.shift_mm @ along, one.shift_mm @ across])
    for found in shifts.values():
        np.testing.assert_allclose(np.std(found, axis=0), 1, atol=0.07)
        np.testing.assert_allclose(np.mean(found, axis=0), 0, atol=0.1)
        assert abs(np.corrcoef(np.transpose(found))[0, 1]) < 0.1


def test_a_share_of_the_hearts_is_not_aligned() -> None:
    spec = replace(ALL, unaligned=0.4, shift_mm=0.0, unaligned_mm=5.0)
    moved = []
    for seed in range(60):
        _, planes = shown(seed, spec)
        lengths = [np.linalg.norm(plane.shift_mm) for plane in planes]
        assert max(lengths) == 0 or 2 < np.mean(lengths) < 14
        moved.append(max(lengths) > 0)
    assert np.mean(moved) == pytest.approx(0.4, abs=0.15)


@given(SEEDS)
@settings(max_examples=25)
def test_every_point_lies_on_a_contour_in_a_plane_and_has_no_normal(seed: int) -> None:
    """Contours are those of another program, moved as the plane was."""
    part, planes = shown(seed)
    assert len(part.points_mm) == len(part.structure) == 800
    assert part.points_mm.dtype == np.float32
    assert not part.normals.any()
    normals = np.stack([plane.normal for plane in planes])
    heights = np.array([plane.height_mm for plane in planes])
    off = np.abs(part.points_mm @ normals.T - heights)
    within = (off < 1e-4) & np.stack([plane.shows for plane in planes])[:, part.structure].T
    assert within.any(axis=1).all()
    # All but a few, where a surface runs nearly along the plane, lie on its contour.
    away = np.full(len(off), np.inf)
    for number, plane in enumerate(planes):
        for k in np.unique(part.structure[within[:, number]]):
            here = within[:, number] & (part.structure == k)
            pieces = heart().contour(STRUCTURES[k], plane)
            if len(pieces):
                fine = np.concatenate([pieces[:, 0] * (1 - w) + pieces[:, 1] * w for w in WAY])
                to = cKDTree(fine).query(part.points_mm[here] - plane.shift_mm)[0]
                away[here] = np.minimum(away[here], to)
    assert np.quantile(away, 0.9) < 0.3
    assert np.median(away) < 0.1


WAY = np.linspace(0, 1, 9)


def slice_at(one: Heart, number: int) -> tuple[Slice, Plane]:
    """A layer of a phantom's voxels as a view gives it, and as a plane."""
    affine = one.label_map.affine
    labels = one.label_map.labels[:, :, number]
    origin_mm = affine[:3, 3] + number * affine[:3, 2]
    view = Slice("sax 1", 0, 1, labels, np.ones(K, bool), origin_mm, affine[:3, :2].T)
    height_mm = float(view.normal @ origin_mm)
    return view, Plane("SAX", view.normal, height_mm, np.zeros(3), np.ones(K, bool))


def test_points_are_those_that_a_view_of_this_plane_gives() -> None:
    """As many of each structure as of a slice's contours, and at the same places."""
    one = heart(1)
    layers = range(16, 42, 5)
    views, planes = zip(*(slice_at(one, number) for number in layers), strict=True)
    contours = contours_of(views)
    points = one.points
    rows, at_mm = on_planes(
        points.points_mm,
        points.normals,
        points.structure,
        one.structures.areas_mm2,
        planes,
        1500,
    )
    structure = points.structure[rows]
    assert len(rows) == 1500
    expected = np.bincount(contours.structure, minlength=K) / len(contours.structure)
    found = np.bincount(structure, minlength=K) / len(rows)
    np.testing.assert_allclose(found, expected, atol=0.025)
    voxel_mm = float(one.label_map.spacing_mm.max())
    for k in np.flatnonzero(expected > 0.04):
        mine, theirs = at_mm[structure == k], contours.points_mm[contours.structure == k]
        assert np.quantile(cKDTree(theirs).query(mine)[0], 0.9) < voxel_mm / 2
        assert np.quantile(cKDTree(mine).query(theirs)[0], 0.9) < 2 * voxel_mm


def test_a_point_moves_along_its_surface_to_where_that_is_nearest() -> None:
    """By hand: a surface at 30° to one plane, which is nearer, and at right angles to another."""
    normal = np.array([[0.0, -0.5, np.sqrt(0.75)]], np.float32)
    here = np.array([[1.0, 2.0, 3.0]], np.float32)
    flat, upright = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
    for flat_mm, upright_mm, expected in (
        (0.4, 0.7, [1.7, 2.0, 3.0]),  # 0.8 mm down the slope, 0.7 mm across
        (0.4, 0.9, [1.0, 2.0 + 0.4 * np.sqrt(3), 3.4]),
        (0.6, 1.1, None),
    ):
        planes = [
            Plane("SAX", flat, 3.0 + flat_mm, np.zeros(3), np.array([True])),
            Plane("4CH", upright, 1.0 + upright_mm, np.zeros(3), np.array([True])),
        ]
        for order in (planes, planes[::-1]):
            rows, at_mm = on_planes(here, normal, np.array([0]), np.array([9.0]), order, 5)
            assert len(rows) == (expected is not None)
            if expected is not None:
                np.testing.assert_allclose(at_mm[0], expected, atol=1e-5)


def test_no_planes_show_nothing() -> None:
    one, points = heart(), heart().points
    given = (points.points_mm, points.normals, points.structure, one.structures.areas_mm2)
    rows, at_mm = on_planes(*given, [], 100)
    assert (rows.shape, at_mm.shape) == ((0,), (0, 3))


def test_fewer_points_are_those_nearest_to_the_planes() -> None:
    one, points, planes = heart(), heart().points, drawn(3)
    given = (points.points_mm, points.normals, points.structure, one.structures.areas_mm2, planes)
    rows, at_mm = on_planes(*given, 10**6)
    fewer, fewer_mm = on_planes(*given, 300)
    assert len(fewer) == 300 < len(rows)
    assert (np.diff(rows) > 0).all()
    assert (np.diff(fewer) > 0).all()
    same = np.searchsorted(rows, fewer)
    assert np.array_equal(rows[same], fewer)
    assert np.array_equal(at_mm[same], fewer_mm)
    way = np.linalg.norm(at_mm - points.points_mm[rows], axis=1)
    assert way.max() < 1
    for k in np.unique(points.structure[fewer]):
        own, left_out = points.structure[rows] == k, ~np.isin(rows, fewer)
        if (own & left_out).any():
            assert way[own & ~left_out].max() <= way[own & left_out].min() + 1e-4


def test_few_points_are_repeated_and_too_few_show_the_heart_otherwise() -> None:
    one = heart()
    view = PartialView(ALL, 1.0, in_planes=True)
    some = one.points.first(3000)
    part = view.observe(some, 2000, np.random.default_rng(1), one.structures)
    different = len(np.unique(part.points_mm, axis=0))
    assert 64 <= different < 1000
    assert len(part.points_mm) == 2000
    assert np.array_equal(part.points_mm[:different], part.points_mm[different : 2 * different])
    few = one.points.first(150)
    part = view.observe(few, 50, np.random.default_rng(1), one.structures)
    assert np.array_equal(part.points_mm, few.points_mm[:50])
    assert np.array_equal(part.normals, few.normals[:50])


def lacking(name: str) -> Callable[[], tuple[ObservedPoints, Structures]]:
    def changed() -> tuple[ObservedPoints, Structures]:
        one = heart()
        left = one.points.structure != NUMBER[name]
        points = ObservedPoints(*(part[left] for part in _parts(one.points)))
        return points, one.structures

    return changed


def _parts(points: ObservedPoints) -> tuple[np.ndarray, ...]:
    return points.points_mm, points.structure, points.normals


def renamed() -> tuple[ObservedPoints, Structures]:
    names = tuple("PML" if name == "LV" else name for name in STRUCTURES)
    return heart().points, replace(heart().structures, names=names)


def cut() -> tuple[ObservedPoints, Structures]:
    is_cut = np.array([name == "LV" for name in STRUCTURES])
    return heart().points, replace(heart().structures, cut=is_cut)


def without_extent() -> tuple[ObservedPoints, Structures]:
    """LV is a point."""
    points_mm, structure, normals = (part.copy() for part in _parts(heart().points))
    points_mm[structure == NUMBER["LV"]] = points_mm[structure == NUMBER["LV"]][0]
    return ObservedPoints(points_mm, structure, normals), heart().structures


def huge() -> tuple[ObservedPoints, Structures]:
    """All coordinates are in another unit."""
    points_mm, structure, normals = _parts(heart().points)
    return ObservedPoints(points_mm * np.float32(1e6), structure, normals), heart().structures


def without_sides() -> tuple[ObservedPoints, Structures]:
    """RV lies on LV's axis."""
    points_mm, structure, normals = (part.copy() for part in _parts(heart().points))
    points_mm[structure == NUMBER["RV"]] = heart().left.base_mm + 30 * heart().left.axes[0]
    return ObservedPoints(points_mm, structure, normals), heart().structures


DAMAGED = [without_extent, huge, without_sides]


@pytest.mark.parametrize("change", [*map(lacking, ("LV", "LA", "RV")), renamed, cut, *DAMAGED])
def test_hearts_without_planes_are_hidden_in_the_other_ways(change) -> None:
    points, structures = change()
    spec = PartialSpec(hide=0.8, cut=0.5, sparse=0.5, planes=1.0)
    for seed in range(5):
        part = PartialView(spec, 1.0, in_planes=True).observe(
            points, 500, np.random.default_rng(seed), structures
        )
        other = PartialView(spec, 1.0).observe(points.first(1500), 500, np.random.default_rng(seed))
        for one, expected in zip(_parts(part), _parts(other), strict=True):
            assert np.array_equal(one, expected)


@pytest.mark.parametrize("what", ["points", "normals", "infinite normals", "structure"])
def test_damage_is_left_to_whoever_reports_it(what: str) -> None:
    one = heart()
    points_mm, structure, normals = (part.copy() for part in _parts(one.points))
    if what == "points":
        points_mm[7] = np.nan
    elif what == "structure":
        structure[7] = K
    else:
        normals[7] = np.inf if "infinite" in what else np.nan
    damaged = ObservedPoints(points_mm, structure, normals)
    part = PartialView(ALL, 1.0, in_planes=True).observe(
        damaged, 500, np.random.default_rng(0), one.structures
    )
    assert np.array_equal(part.points_mm, points_mm[:500], equal_nan=True)


def test_no_number_is_drawn_unless_there_may_be_planes() -> None:
    """A seed gives the view that it gave before there were planes."""
    generator, untouched = np.random.default_rng(3), np.random.default_rng(3)
    view = PartialView(PartialSpec(hide=0.8, cut=0.5, sparse=0.5), 1.0)
    assert view.decided(generator) == view
    assert generator.random() == untouched.random()
    one = heart()
    before = view.observe(one.points, 300, np.random.default_rng(8))
    after = view.observe(one.points, 300, np.random.default_rng(8), one.structures)
    assert all(map(np.array_equal, _parts(before), _parts(after)))


def test_planes_come_as_often_as_asked_for_and_more_often_as_training_goes_on() -> None:
    spec = PartialSpec(planes=0.6, ramp=100)
    assert spec.hides
    for position, share in ((0, 0), (50, 0.3), (100, 0.6)):
        view = spec.at(position)
        assert view is not None
        generator = np.random.default_rng(position)
        decided = [view.decided(generator).in_planes for _ in range(2000)]
        assert np.mean(decided) == pytest.approx(share, abs=0.03)


SPEC = BatchSpec(hearts=3, points=64, surface=32, near=48, volume=40)


def batches(dataset: DataSet, partial: PartialSpec | None) -> TrainingBatches:
    return TrainingBatches(dataset, dataset.of_split("train"), SPEC, None, 3, partial)


def test_batches_show_planes_and_ask_for_the_whole_heart(dataset: DataSet) -> None:
    whole, partly = batches(dataset, None), batches(dataset, ALL)
    batch, again = partly.batch(0), batches(dataset, ALL).batch(0)
    for name, values in tensors_of(batch).items():
        assert torch.equal(values, tensors_of(again)[name]), name
    assert not batch.normals.any()
    assert not torch.equal(batch.points, partly.batch(1).points)
    assert batch.near.points.shape == whole.batch(0).near.points.shape
    for group in (batch.near, batch.volume):
        assert (group.known[torch.isfinite(group.distances)] > 0).any(dim=-1).all()
    # The frame is that of the contours.
    middle = (batch.points.amin(dim=1) + batch.points.amax(dim=1)) / 2
    assert middle.abs().max() < 1e-6
