"""A structure that is shown is drawn no further where the scan shows none of it."""

from dataclasses import replace

import numpy as np
import pytest
from support.analytic_fields import AnalyticField, any_of, ball, grid_about

from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.as_shown import TOLERANCE_MM, AsShown
from vecsetx.reconstruction.rasterize import rasterize

NAMES = ("LV", "Aorta", "PA")
NOWHERE = ball((900, 0, 0), 1)
LV, AORTA = ball((0, 0, 0), 12), ball((0, 0, 22), 8)
SHOWN = AnalyticField({"LV": LV, "Aorta": AORTA, "PA": NOWHERE})
GRID = grid_about((0, 0, 0), np.eye(3), 50)
POINTS = np.random.default_rng(0).uniform(-70, 70, (20_000, 3))


@pytest.fixture(scope="module")
def geometry() -> Geometry:
    return Geometry.of_label_map(rasterize(SHOWN, GRID), len(NAMES))


def test_what_lies_near_what_is_shown_stays_as_it_is(geometry: Geometry) -> None:
    wider = AnalyticField(
        {
            "LV": ball((0, 0, 0), 12 + TOLERANCE_MM - 1),
            "Aorta": ball((0, 0, 22), 8),
            "PA": ball((30, 0, 0), 9),
        }
    )
    before = wider.distances_mm(POINTS)
    after = AsShown(geometry)(POINTS, before.copy())
    np.testing.assert_array_equal(after, before)


def test_a_second_part_within_the_scan_goes_and_one_beyond_its_edge_stays(
    geometry: Geometry,
) -> None:
    within, beyond = ball((-30, 10, 0), 9), ball((0, 0, 64), 9)
    model = AnalyticField({"LV": LV, "Aorta": any_of(AORTA, within, beyond), "PA": any_of(within)})
    before = model.distances_mm(POINTS)
    after = AsShown(geometry)(POINTS, before.copy())
    aorta, found = NAMES.index("Aorta"), after < 0
    part = within(POINTS) < 0
    assert part.sum() > 20
    assert not found[part, aorta].any()
    # The distance to what is shown, less what is tolerated.
    away_mm = AORTA(POINTS[part])
    np.testing.assert_allclose(after[part, aorta], away_mm - TOLERANCE_MM, atol=0.5)
    # Of a structure that is not shown, nothing is known; nor of what lies beyond the edge.
    np.testing.assert_array_equal(found[part, NAMES.index("PA")], True)
    others = ~part
    np.testing.assert_array_equal(after[others], before[others])
    assert (before[beyond(POINTS) < 0, aorta] < 0).all()


def test_unknown_voxels_say_nothing(geometry: Geometry) -> None:
    within = ball((-30, 10, 0), 9)
    model = AnalyticField({"LV": LV, "Aorta": any_of(AORTA, within), "PA": NOWHERE})
    labels = geometry.label_map
    centers = np.stack(np.meshgrid(*map(np.arange, labels.shape), indexing="ij"), axis=-1)
    left = labels.to_mm(centers)[..., 0] < -15
    shown = replace(geometry, label_map=labels.with_unknown(left, "cropped"))
    before = model.distances_mm(POINTS)
    after = AsShown(shown)(POINTS, before.copy())
    np.testing.assert_array_equal(after, before)


def test_thick_parts_are_inside_however_far_their_surface_is() -> None:
    """The middle of a chamber is farther from its surface than what is tolerated."""
    big = AnalyticField({"LV": ball((0, 0, 0), 30)})
    geometry = Geometry.of_label_map(rasterize(big, GRID), 1)
    before = big.distances_mm(POINTS)
    np.testing.assert_array_equal(AsShown(geometry)(POINTS, before.copy()), before)
