"""Lengths and radii of vessels that are known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.tubes import arc, flat_tube

from vecsetx.measures.centerlines import along, branches_of
from vecsetx.measures.solid import measure_solid
from vecsetx.measures.triangles import Triangles
from vecsetx.measures.vessels import VESSEL, measure_vessel

TURN = Rotation.random(rng=3).as_matrix()
STRAIGHT = np.outer(np.linspace(0, 1, 60), [0.0, 0.0, 1.0])


def measured(tube: Triangles) -> dict:
    turned = Triangles(tube.vertices_mm @ TURN.T + [20, -70, 300], tube.faces)
    volume_ml = measure_solid(turned.vertices_mm, turned.faces)["volume_ml"].value
    found = measure_vessel(turned, volume_ml)
    assert tuple(found) == VESSEL
    return found


@pytest.mark.parametrize(
    ("line_mm", "radius_mm"),
    [(60 * STRAIGHT, 6.0), (70 * STRAIGHT, 13.0), (100 * STRAIGHT, 1.5)]
    + [(arc(30, 180), 5.0), (arc(40, 150), 12.0), (arc(25, 120), 1.5)],
    ids=["straight", "short and wide", "thin", "bent", "bent and wide", "bent and thin"],
)
def test_a_tube_to_one_percent(line_mm: np.ndarray, radius_mm: float) -> None:
    found = measured(flat_tube(line_mm, radius_mm))
    assert found["length_mm"].value == pytest.approx(along(line_mm)[-1], rel=0.01)
    for name in VESSEL[1:]:
        assert found[name].value == pytest.approx(radius_mm, rel=0.01), name


def test_a_ball_and_a_disc_are_no_tubes() -> None:
    disc = flat_tube(10 * STRAIGHT, 15.0)
    for number in measured(disc).values():
        assert not number.known
        assert number.reason.startswith("it is no tube")


def test_branches_are_found_and_bumps_are_not() -> None:
    """A trunk of 60 mm, two branches of different widths, and a bump."""
    spacing_mm = 0.5
    grid = np.stack(np.meshgrid(*[np.arange(-12, 72, spacing_mm)] * 3, indexing="ij"), axis=-1)

    def capsule(start, end, radius):
        way = np.subtract(end, start, dtype=float)
        share = np.clip((grid - start) @ way / (way @ way), 0, 1)
        return np.linalg.norm(grid - start - share[..., None] * way, axis=-1) < radius

    axes = [((0, 0, 0), (0, 0, 60)), ((0, 0, 20), (30, 0, 40)), ((0, 0, 45), (0, 25, 45))]
    radii = (4, 2.5, 1.5)
    inside = capsule((0, -4, 30), (0, -5, 30), 2)
    for axis, radius in zip(axes, radii, strict=True):
        inside |= capsule(*axis, radius)
    found = branches_of(inside, spacing_mm, np.full(3, -12.0))
    # The main one leads from tip to tip, through a part of the trunk.
    assert [branch.begins_in_parent for branch in found] == [False, True, True]
    # Round ends reach a radius farther than their centreline's points.
    true_mm = 60 + np.hypot(30, 20) + 25 + 2 * 4 + 2.5 + 1.5
    total_mm = sum(branch.length_mm for branch in found)
    assert total_mm == pytest.approx(true_mm, rel=0.05)  # at forks, ways are cut short or round
    for branch in found:
        ways = [_to_segment(branch.points_mm, *axis) for axis in axes]
        # Ends reach beyond an axis, and curves round a fork's corner within its width.
        assert np.min(ways, axis=0).max() < 4.5
        assert np.quantile(np.min(ways, axis=0), 0.7) < 0.5


def _to_segment(points, start, end):
    way = np.subtract(end, start, dtype=float)
    share = np.clip((points - start) @ way / (way @ way), 0, 1)
    return np.linalg.norm(points - start - share[:, None] * way, axis=1)


def test_pieces_have_centrelines_of_their_own_and_specks_none() -> None:
    inside = np.zeros((60, 30, 30), dtype=bool)
    inside[3:57, 3:9, 3:9] = True
    inside[3:57, 20:26, 20:26] = True
    inside[30, 14, 14] = True
    found = branches_of(inside, 1.0, np.zeros(3))
    assert [branch.begins_in_parent for branch in found] == [False, False]
    np.testing.assert_allclose([branch.length_mm for branch in found], 54, rtol=0.02)


def test_single_voxels_have_no_centreline() -> None:
    inside = np.zeros((9, 9, 9), dtype=bool)
    inside[2, 2, 2] = inside[6, 6, 6] = inside[6, 6, 7] = True
    assert branches_of(inside, 1.0, np.zeros(3)) == []
    assert branches_of(np.zeros((3, 3, 3), dtype=bool), 1.0, np.zeros(3)) == []
