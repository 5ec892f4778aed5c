"""Specks are taken out of meshes and label maps, and nothing else is."""

from dataclasses import dataclass

import numpy as np
import pytest
from support.analytic_fields import OBLIQUE, AnalyticField, Distance, any_of, ball, grid_about, tube

from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import evaluate_exclusive, evaluate_overlapping
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.specks import LEAST_ML, LEAST_VESSEL_ML, find_specks, without_specks
from vecsetx.reconstruction.surfaces import octree_surfaces, overlapping_surfaces

LARGE = {
    "LV": ball((0, 0, 0), 14),
    "RV": ball((0, 34, 0), 12),
    "Coronary": tube((-20, -10, 20), (20, 10, 20), 2),
}
SPECKS = {
    "LV": any_of(ball((0, 45, 0), 3.5), ball((-30, 0, 0), 3)),  # one partly within the RV
    "RV": ball((30, 0, 0), 3.5),
    "Coronary": ball((25, 30, 25), 1.4),
}
BRANCH = ball((-25, -30, 25), 2.2)
"""Of the coronaries: 0.045 ml, which is small for a chamber alone."""

GRIDS = {
    "straight": grid_about((0, 10, 0), np.eye(3) * 0.8, 42),
    "oblique, mirrored, anisotropic": grid_about(
        (0, 10, 0), OBLIQUE @ np.diag([0.8, -0.9, 1.1]), 48
    ),
}


def field(*parts: dict[str, Distance]) -> AnalyticField:
    shapes = {name: [part[name] for part in parts if name in part] for name in LARGE}
    return AnalyticField({name: any_of(*found) for name, found in shapes.items()})


CLEAN = field(LARGE, {"Coronary": BRANCH})
SPECKLED = field(LARGE, {"Coronary": BRANCH}, SPECKS)


@dataclass(frozen=True)
class Observed:
    """What lies within 2 mm of these places is supported; structures that end where observed."""

    places_mm: tuple[tuple[float, float, float], ...] = ()
    ending: tuple[int, ...] = ()

    def __call__(self, points_mm: np.ndarray, structure: int) -> np.ndarray:
        found = np.zeros(len(points_mm), dtype=bool)
        for place_mm in self.places_mm:
            found |= np.linalg.norm(points_mm - place_mm, axis=1) < 2
        return found

    def ends(self, structure: int) -> bool:
        return structure in self.ending


nowhere = Observed()


def near(place_mm: tuple[float, float, float]) -> Observed:
    return Observed((place_mm,))


@pytest.fixture(params=GRIDS.values(), ids=GRIDS.keys())
def grid(request: pytest.FixtureRequest) -> Grid:
    return request.param


def test_what_is_left_is_the_field_without_specks_to_the_voxel(grid: Grid) -> None:
    octree = evaluate_exclusive(SPECKLED, grid)
    specks = find_specks(octree, nowhere)
    cleaned = without_specks(octree, SPECKLED, specks)
    np.testing.assert_array_equal(cleaned.labels, evaluate_exclusive(CLEAN, grid).labels)
    # The same as evaluating everything again, distances next to the walls included.
    again = evaluate_exclusive(specks.field(SPECKLED), grid)
    np.testing.assert_array_equal(cleaned.labels, again.labels)
    for name, surface in octree_surfaces(again).items():
        found = octree_surfaces(cleaned)[name]
        np.testing.assert_array_equal(found.vertices_mm, surface.vertices_mm)
        np.testing.assert_array_equal(found.faces, surface.faces)
    other = grid_about((0, 10, 0), np.eye(3) * 0.55, 42)
    expected = rasterize(CLEAN, other).labels
    np.testing.assert_array_equal(rasterize(specks.field(SPECKLED), other).labels, expected)


def test_overlapping_structures_lose_the_same(grid: Grid) -> None:
    octree = evaluate_overlapping(SPECKLED, grid)
    cleaned = without_specks(octree, SPECKLED, find_specks(octree, nowhere))
    np.testing.assert_array_equal(cleaned.sides, evaluate_overlapping(CLEAN, grid).sides)
    surfaces = overlapping_surfaces(cleaned)
    assert surfaces["LV"].volume_mm3 == pytest.approx(4 / 3 * np.pi * 14**3, rel=0.01)
    assert all(surface.watertight for surface in surfaces.values())


def test_specks_are_counted(grid: Grid) -> None:
    specks = find_specks(evaluate_exclusive(SPECKLED, grid), nowhere)
    assert specks.pieces == {"LV": 1, "RV": 1, "Coronary": 2}
    assert specks.removed == {"LV": 2, "RV": 1, "Coronary": 1}
    assert specks.removed_ml["RV"] == pytest.approx(4 / 3 * np.pi * 3.5**3 / 1000, rel=0.05)


def test_a_structure_that_ends_where_it_is_observed_has_no_other_pieces(grid: Grid) -> None:
    """However large they are; a piece that something supports, and other structures, stay."""
    pieces = field(
        {"LV": ball((0, 0, 0), 14), "RV": ball((0, 34, 0), 9)},
        {"LV": ball((28, 0, -8), 8), "RV": ball((-28, 0, 8), 8)},
        {"LV": ball((-30, 0, -22), 5), "Coronary": BRANCH},
    )
    octree = evaluate_exclusive(pieces, grid)
    specks = find_specks(octree, Observed(((-30, 0, -22),), ending=(0,)))
    assert specks.removed == {"LV": 1}
    assert specks.pieces == {"LV": 2, "RV": 2, "Coronary": 1}
    assert specks.removed_ml["LV"] == pytest.approx(4 / 3 * np.pi * 8**3 / 1000, rel=0.05)
    assert find_specks(octree, nowhere).removed == {}
    branches = find_specks(evaluate_exclusive(CLEAN, grid), Observed(ending=(0, 1, 2)))
    assert branches.removed == {}  # coronary arteries are several


def test_what_something_observed_supports_stays(grid: Grid) -> None:
    octree = evaluate_exclusive(SPECKLED, grid)
    specks = find_specks(octree, near((30, 0, 0)))
    assert specks.removed == {"LV": 2, "Coronary": 1}
    kept = find_specks(octree)
    assert kept.removed == {}
    assert kept.pieces == {"LV": 3, "RV": 2, "Coronary": 3}
    assert without_specks(octree, SPECKLED, kept) is octree
    assert kept.field(SPECKLED) is SPECKLED


def test_the_largest_piece_stays_however_small_and_the_volume_decides_of_the_others() -> None:
    grid = GRIDS["straight"]
    tiny = AnalyticField({"LA": any_of(ball((0, 0, 0), 3), ball((20, 0, 0), 2)), "PV": BRANCH})
    specks = find_specks(evaluate_exclusive(tiny, grid), nowhere)
    assert specks.pieces == {"LA": 1, "PV": 1}
    assert specks.removed == {"LA": 1}
    for name, least_ml in (("LA", LEAST_ML), ("PV", LEAST_VESSEL_ML)):
        radius_mm = (3 / 4 / np.pi * 1000 * least_ml) ** (1 / 3)
        for factor, number in ((0.9, 1), (1.1, 0)):
            second = ball((25, 0, 0), factor * radius_mm)
            two = AnalyticField({name: any_of(ball((0, 0, 0), 10), second)})
            fine = grid_about((10, 0, 0), np.eye(3) * 0.4, 32)
            assert (
                find_specks(evaluate_exclusive(two, fine), nowhere).removed.get(name, 0) == number
            )
