"""Vessels that are cut back, and borders that move, on label maps whose answer is known."""

import numpy as np
import pytest
from scipy import ndimage

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.variation.borders import shift_border, thin_wall
from vecsetx.variation.vessels import cut_back

VENTRICLE, VESSEL, OTHER = 1, 2, 3
AFFINE = np.diag([1.0, 0.5, 2.0, 1.0])


def block(affine: np.ndarray = AFFINE) -> LabelMap:
    """A ventricle with a straight vessel of 60 mm along the second axis, and a block beside it."""
    labels = np.zeros((30, 160, 20), dtype=np.uint8)
    labels[5:25, 5:35, 3:17] = VENTRICLE
    labels[11:19, 35:155, 8:12] = VESSEL
    labels[22:25, 40:150, 8:12] = OTHER
    return LabelMap(labels, affine)


@pytest.mark.parametrize("seed", range(6))
def test_a_vessel_ends_at_a_plane_and_hangs_on_its_root(seed: int) -> None:
    before = block()
    after = cut_back(before, VESSEL, VENTRICLE, 0.0, np.random.default_rng(seed))
    changed = before.labels != after.labels
    assert (before.labels[changed] == VESSEL).all()
    assert (after.labels[changed] == 0).all()
    lengths = (after.labels == VESSEL).sum(axis=1)[11:19, 8:12]
    # A cross-section of a straight vessel: every line of voxels along it is equally long, or so.
    assert lengths.max() - lengths.min() <= 3
    assert 0 < lengths.max() < 120
    assert (after.labels[11:19, 35 : 35 + lengths.min(), 8:12] == VESSEL).all()


def test_a_tilted_cut_is_no_cross_section() -> None:
    spread = []
    for seed in range(6):
        after = cut_back(block(), VESSEL, VENTRICLE, 40.0, np.random.default_rng(seed))
        lengths = (after.labels == VESSEL).sum(axis=1)[11:19, 8:12]
        spread.append(int(lengths.max() - lengths.min()))
    assert max(spread) > 6


def test_what_hangs_on_nothing_or_is_absent_stays() -> None:
    alone = block().without([VENTRICLE])
    for vessel, root in ((VESSEL, VENTRICLE), (9, VENTRICLE), (OTHER, VENTRICLE)):
        after = cut_back(alone, vessel, root, 10.0, np.random.default_rng(0))
        np.testing.assert_array_equal(after.labels, alone.labels)


@pytest.mark.parametrize(("by_mm", "voxels"), [(0.4, 0), (1.0, 2), (3.2, 6)])
def test_a_border_moves_by_a_distance_in_mm(by_mm: float, voxels: int) -> None:
    before = block()
    after = shift_border(before, VENTRICLE, VESSEL, by_mm)
    assert (after.labels[11:19, 35 : 35 + voxels, 8:12] == VENTRICLE).all()
    assert (after.labels[11:19, 35 + voxels : 155, 8:12] == VESSEL).all()
    changed = before.labels != after.labels
    assert changed.sum() == voxels * 8 * 4


def test_a_wall_is_what_faces_the_background() -> None:
    before = block()
    after = thin_wall(before, VESSEL, 1.0)
    distance_mm = ndimage.distance_transform_edt(before.labels != 0, sampling=before.spacing_mm)
    expected = np.where((before.labels == VESSEL) & (distance_mm <= 1.0), 0, before.labels)
    np.testing.assert_array_equal(after.labels, expected)
    assert (after.labels[14, 36, 8:12] == VESSEL).any()


def test_structures_that_are_absent_have_no_border() -> None:
    before = block()
    for after in (shift_border(before, 7, VESSEL, 3.0), shift_border(before, VESSEL, 7, 3.0)):
        assert after is before
