from dataclasses import replace

import numpy as np
import pytest
from baselines import (
    Cohort,
    CohortSpec,
    DistanceGrid,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from skimage.transform import SimilarityTransform
from support.analytic_fields import ASYMMETRIC, ball, tube
from support.shapes import grid_affine, voxelized

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.phantom import PhantomHeart
from vecsetx.errors import InputError
from vecsetx.evaluation.alignment import LabelledSurface, align
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.sampler import observe

STRUCTURES = ("Myocardium", "LV", "LA", "Aorta")
ARMS, BALL, SMALL, VESSEL = range(4)
BALL_AT, SMALL_AT = (-20.0, 14.0, 6.0), (16.0, 22.0, -12.0)
SPEC = CohortSpec(surface_points=6000)


def shapes(ball_mm: float, small_mm: float, vessel_mm: float) -> list:
    """A heart without any symmetry, differing from others in the sizes of its parts."""
    return [
        ASYMMETRIC,
        ball(BALL_AT, ball_mm),
        ball(SMALL_AT, small_mm),
        tube((0.0, -20.0, 8.0), (24.0, -14.0, 30.0), vessel_mm),
    ]


def label_map(parts: list, shown: tuple[int, ...] = (0, 1, 2, 3)) -> LabelMap:
    def distances(points_mm):
        every = [part(points_mm) if k in shown else 99 for k, part in enumerate(parts)]
        return np.stack(np.broadcast_arrays(*every), axis=-1)

    affine = grid_affine((70, 70, 70), (1.25,) * 3, Rotation.identity(), "")
    affine[:3, 3] -= [30, -20, 10]  # about the origin
    return voxelized(distances, (70, 70, 70), affine)


HEARTS = [shapes(10, 8, 4), shapes(13, 5, 6), shapes(8, 11, 5)]


def observed(heart: LabelMap, count: int = 4000) -> Observation:
    return observe(Geometry.of_label_map(heart, 4), count, 80.0, seed=3)


def moved(observation: Observation, by: SimilarityTransform) -> Observation:
    return replace(observation, points_mm=by(observation.points_mm).astype(np.float32))


def only(observation: Observation, kept: np.ndarray) -> Observation:
    return replace(
        observation,
        points_mm=observation.points_mm[kept],
        structure=observation.structure[kept],
        normals=None,
    )


def similarity(scale: float, turn_degrees: float, seed: int) -> SimilarityTransform:
    generator = np.random.default_rng(seed)
    axis = generator.normal(size=3)
    turn = Rotation.from_rotvec(np.deg2rad(turn_degrees) * axis / np.linalg.norm(axis))
    matrix = np.eye(4)
    matrix[:3, :3] = scale * turn.as_matrix()
    matrix[:3, 3] = generator.normal(size=3) * 50
    return SimilarityTransform(matrix)


MOVES = [similarity(1.25, 20, 0), similarity(0.8, 25, 1), similarity(1.1, 30, 2)]


@pytest.fixture(scope="module")
def maps() -> list[LabelMap]:
    return [label_map(parts) for parts in HEARTS]


@pytest.fixture(scope="module")
def cohort(maps) -> Cohort:
    return Cohort.of(((heart, STRUCTURES) for heart in maps), STRUCTURES, SPEC)


@pytest.mark.parametrize(("index", "move"), list(enumerate(MOVES)))
def test_a_heart_of_the_cohort_comes_back_wherever_it_lies(cohort, maps, index, move):
    whole = observed(maps[index])
    aligned = cohort.aligned(moved(whole, move))

    best = aligned.hearts[0]
    assert best.heart is cohort.hearts[index]
    assert best.misfit_mm < 0.5
    assert aligned.hearts[1].misfit_mm > 2 * best.misfit_mm
    there_mm = move(whole.points_mm)
    assert np.linalg.norm(best.transform(whole.points_mm) - there_mm, axis=1).max() < 1
    assert best.transform.scale == pytest.approx(move.scale, rel=0.01)

    distances = aligned.nearest().distances_mm(there_mm)
    assert np.abs(distances[np.arange(len(there_mm)), whole.structure]).max() < SPEC.spacing_mm


def test_distances_are_true_millimetres_of_the_moved_heart(cohort, maps):
    move = MOVES[0]
    field = cohort.aligned(moved(observed(maps[0]), move)).nearest()

    assert isinstance(field, DistanceField)
    assert field.structures == STRUCTURES
    assert SPEC.reach_mm < field.reach_mm < 1.01 * move.scale * SPEC.reach_mm
    points_mm = np.random.default_rng(0).uniform(-60, 60, (5000, 3))
    found = field.distances_mm(move(points_mm))
    assert found.dtype == np.float32
    for k in (BALL, SMALL):  # whose distances are exact inside too
        true = move.scale * HEARTS[0][k](points_mm)
        near = np.abs(true) < 0.95 * field.reach_mm
        assert near.sum() > 200
        assert np.abs(found[near, k] - true[near]).mean() < 0.3
        assert np.abs(found[near, k] - true[near]).max() < 1.2  # at the balls' centres
        far = true > field.reach_mm + 1
        np.testing.assert_allclose(found[far, k], field.reach_mm)


@pytest.mark.parametrize("shown", [(ARMS, BALL), (BALL, VESSEL)])
def test_two_structures_tell_where_the_others_are(cohort, maps, shown):
    whole, move = observed(maps[1]), similarity(1.15, 15, 4)
    aligned = cohort.aligned(moved(only(whole, np.isin(whole.structure, shown)), move))

    assert aligned.hearts[0].heart is cohort.hearts[1]
    assert_surfaces_lie(aligned.nearest(), whole, move)


@pytest.mark.parametrize("normal", [(1, 0, 0), (0, -1, 0.4), (-0.6, 0, 1)])
def test_half_a_heart_tells_where_the_other_half_is(cohort, maps, normal):
    whole, move = observed(maps[2]), similarity(0.9, 15, 5)
    along = whole.points_mm @ np.array(normal)
    aligned = cohort.aligned(moved(only(whole, along > np.median(along)), move))

    assert aligned.hearts[0].heart is cohort.hearts[2]
    assert_surfaces_lie(aligned.nearest(), whole, move)


def assert_surfaces_lie(field, whole: Observation, move: SimilarityTransform) -> None:
    """All of the heart's surfaces, those unseen too, are within the grids' spacing."""
    distances = field.distances_mm(move(whole.points_mm))
    own = np.abs(distances[np.arange(len(whole.structure)), whole.structure])
    for k in range(4):
        assert own[whole.structure == k].mean() < 0.5 * SPEC.spacing_mm, STRUCTURES[k]
    assert own.max() < 1.5 * SPEC.spacing_mm


def test_a_mirrored_heart_is_not_mirrored_back(cohort, maps):
    whole = observed(maps[0])
    mirrored = replace(whole, points_mm=whole.points_mm * np.float32([-1, 1, 1]))
    hearts = cohort.aligned(mirrored).hearts
    assert all(np.linalg.det(heart.transform.params[:3, :3]) > 0 for heart in hearts)
    assert hearts[0].misfit_mm > 5 * cohort.aligned(whole).hearts[0].misfit_mm


def test_points_that_only_a_mirror_could_match_get_a_proper_rotation():
    generator = np.random.default_rng(0)
    points_mm = generator.normal(size=(12, 3)) * [30, 20, 10]
    labels = np.arange(12)  # every match is known, so that the best map is the mirror
    transform = align(LabelledSurface.of(points_mm, labels), points_mm * [1, 1, -1], labels)
    assert np.linalg.det(transform.params[:3, :3]) > 0


@given(st.floats(0.5, 2), st.floats(0, 180), st.integers(0, 99))
def test_points_match_their_own_structure_only(scale, turn_degrees, seed):
    """With a structure per point every match is right, however far the heart is turned."""
    points_mm = np.random.default_rng(seed).normal(size=(12, 3)) * 30
    labels, move = np.arange(12), similarity(scale, turn_degrees, seed)
    transform = align(LabelledSurface.of(points_mm, labels), move(points_mm), labels)
    np.testing.assert_allclose(transform.params, move.params, atol=1e-6)


def test_the_mean_of_balls_of_10_and_14_mm_is_one_of_12():
    hearts = [label_map(shapes(radius, 8, 4)) for radius in (10, 14)]
    names = STRUCTURES
    cohort = Cohort.of([(heart, names) for heart in hearts], names, SPEC)
    around = only(everything := observed(hearts[0]), everything.structure != BALL)
    field = cohort.aligned(around).mean()

    way = np.random.default_rng(0).normal(size=(2000, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    for radius_mm in (9, 12, 15, 18):
        found = field.distances_mm(np.array(BALL_AT) + radius_mm * way)[:, BALL]
        np.testing.assert_allclose(found, radius_mm - 12, atol=0.4)
        # Two linear interpolations, each h²/12 · 2/r too large: 0.15 mm at 9 mm, 0.11 at 12.
        assert -0.02 < found.mean() - (radius_mm - 12) < 0.2

    # Who does not annotate the ball has no say; who annotates that there is none has one.
    without = label_map(shapes(10, 8, 4), shown=(ARMS, SMALL, VESSEL))
    silent = replace(
        cohort,
        hearts=(
            *cohort.hearts,
            *Cohort.of([(without, [n for n in names if n != "LV"])], names, SPEC).hearts,
        ),
    )
    absent = replace(
        cohort, hearts=(*cohort.hearts, *Cohort.of([(without, names)], names, SPEC).hearts)
    )
    on_ball_mm = np.array(BALL_AT) + 12 * way
    found = silent.aligned(around).mean().distances_mm(on_ball_mm)[:, BALL]
    np.testing.assert_allclose(found, 0, atol=0.4)
    found = absent.aligned(around).mean().distances_mm(on_ball_mm)[:, BALL]
    np.testing.assert_allclose(found, SPEC.reach_mm / 3, atol=0.5)


def test_structures_that_nobody_annotates_are_outside_everywhere(cohort, maps):
    names = (*STRUCTURES, "PV")
    partly = label_map(HEARTS[0], shown=(ARMS, BALL, SMALL))
    told = [(partly, STRUCTURES[:3]), (maps[1], STRUCTURES)]
    cohort = Cohort.of(told, names, SPEC)
    seen = observed(partly)
    aligned = cohort.aligned(seen)
    assert aligned.hearts[0].heart is cohort.hearts[0]
    points_mm = np.random.default_rng(0).uniform(-40, 40, (3000, 3))
    for field in (aligned.nearest(), aligned.mean()):
        np.testing.assert_array_equal(
            field.distances_mm(points_mm)[:, 4], np.float32(field.reach_mm)
        )
        # The nearest heart does not annotate the vessel: the other's stands in.
        inside = field.distances_mm(np.array([[12.0, -17.0, 19.0]]))[0, VESSEL]
        assert inside < -3


def test_a_heart_without_an_observed_structure_is_aligned_by_the_others(maps):
    partly = label_map(HEARTS[0], shown=(ARMS, BALL, SMALL))
    cohort = Cohort.of([(partly, STRUCTURES)], STRUCTURES, SPEC)
    whole, move = observed(maps[0]), similarity(1.2, 20, 6)
    heart = cohort.aligned(moved(whole, move)).hearts[0]
    there_mm = move(whole.points_mm)
    assert np.linalg.norm(heart.transform(whole.points_mm) - there_mm, axis=1).max() < 1
    lacking = np.mean(whole.structure == VESSEL)
    assert heart.misfit_mm == pytest.approx(SPEC.reach_mm * lacking, abs=0.5)


@pytest.mark.slow
def test_a_phantom_comes_back_as_a_label_map():
    names = tuple(PhantomHeart.random(np.random.default_rng(0)).shapes)
    phantoms = [
        PhantomHeart.random(np.random.default_rng([7, index])).voxelize(44, 3.0) for index in (0, 1)
    ]
    cohort = Cohort.of([(heart, names) for heart in phantoms], names, CohortSpec(spacing_mm=3.0))
    seen = observe(Geometry.of_label_map(phantoms[1], len(names)), 4000, 80.0, seed=0)
    seen = only(seen, np.isin(seen.structure, [names.index("LV"), names.index("RV")]))
    labels = rasterize(cohort.aligned(seen).nearest(), phantoms[1]).labels
    for k, name in enumerate(names, start=1):
        if name in ("Myocardium", "LA", "LV", "RA", "RV"):
            both = (labels == k) & (phantoms[1].labels == k)
            dice = 2 * both.sum() / ((labels == k).sum() + (phantoms[1].labels == k).sum())
            assert dice > 0.93, name


def test_grids_hold_the_distance_to_the_surface_without_half_a_voxel(cohort):
    """A transform of voxel centres would be half a voxel too large on both sides."""
    grid = cohort.hearts[0].grids[BALL]
    assert isinstance(grid, DistanceGrid)
    way = np.random.default_rng(1).normal(size=(500, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    steps = np.array([7.0, 9.0, 11.0, 13.0, 16.0])
    found = [grid.at(np.array(BALL_AT) + radius * way).mean() for radius in steps]
    np.testing.assert_allclose(found, steps - 10, atol=0.25)


def test_what_cannot_be_aligned_is_said(maps):
    ball_only = label_map(HEARTS[0], shown=(BALL,))
    cohort = Cohort.of([(ball_only, STRUCTURES)], STRUCTURES, SPEC)
    whole = observed(maps[0])
    with pytest.raises(InputError, match=r"has any of what is observed \(LA, Aorta\)"):
        cohort.aligned(only(whole, np.isin(whole.structure, [SMALL, VESSEL])))
    nothing = only(whole, np.zeros(len(whole.structure), bool))
    with pytest.raises(InputError, match="nothing"):
        cohort.aligned(nothing)
    one = only(whole, np.flatnonzero(whole.structure == BALL)[:1])
    with pytest.raises(InputError, match="show more of its surface"):
        cohort.aligned(one)


def test_a_cohort_needs_hearts_that_are_what_is_said_of_them(maps):
    with pytest.raises(InputError, match="at least one heart"):
        Cohort.of([], STRUCTURES)
    with pytest.raises(InputError, match="LA is in the label map but not among"):
        Cohort.of([(maps[0], ("Myocardium", "LV", "Aorta"))], STRUCTURES)
    empty = LabelMap(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    with pytest.raises(InputError, match="none of Myocardium"):
        Cohort.of([(empty, STRUCTURES)], STRUCTURES)
