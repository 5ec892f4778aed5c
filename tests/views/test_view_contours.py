"""Contours of slices, against circles."""

import numpy as np
from scipy.spatial.transform import Rotation

from vecsetx.views.contours import contours_of
from vecsetx.views.slices import Slice

TURN = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
STEPS_MM = np.array([[1.0], [1.4]]) * TURN[:2]
MIDDLE = np.array([40.0, 30.0])


def disc(*radii_mm: float, shape: tuple[int, int] = (81, 61)) -> Slice:
    """Discs about pixel (40, 30), the k-th with label k and inside those before it."""
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    away_mm = np.linalg.norm((indices - MIDDLE) * [1.0, 1.4], axis=-1)
    labels = np.zeros(shape, np.uint8)
    for label, radius_mm in enumerate(radii_mm, start=1):
        labels[away_mm < radius_mm] = label
    known = np.ones(len(radii_mm), bool)
    return Slice("disc 1", 0, 1, labels, known, np.array([5.0, -7.0, 90.0]), STEPS_MM)


def test_the_contour_of_a_disc_is_its_circle() -> None:
    one = disc(25.0)
    found = contours_of([one])
    away_mm = np.linalg.norm(found.points_mm - one.to_mm(MIDDLE[None]), axis=1)
    assert np.abs(away_mm - 25).max() < 1.0
    assert abs(away_mm.mean() - 25) < 0.15
    np.testing.assert_allclose((found.points_mm - one.origin_mm) @ one.normal, 0, atol=1e-9)
    # All around, and about a point per millimetre.
    angles = np.sort(np.arctan2(*((found.points_mm - one.to_mm(MIDDLE[None])) @ TURN[:2].T).T))
    assert np.diff(angles, append=angles[0] + 2 * np.pi).max() < 2.0 / 25
    assert 2 * np.pi * 25 <= len(found.points_mm) <= 1.15 * 2 * np.pi * 25
    assert (found.structure == 0).all()
    assert (found.slice == 0).all()


def test_both_structures_have_the_border_that_they_share() -> None:
    one = disc(25.0, 15.0)
    found = contours_of([one, one])
    away_mm = np.linalg.norm(found.points_mm - one.to_mm(MIDDLE[None]), axis=1)
    for number in (0, 1):
        own = found.slice == number
        outer, inner = (own & (found.structure == k) for k in (0, 1))
        assert {*np.rint(away_mm[inner] / 5)} == {3}
        assert {*np.rint(away_mm[outer] / 5)} == {3, 5}


def test_an_outline_ends_where_the_image_does() -> None:
    one = disc(25.0, shape=(41, 61))  # half of it
    found = contours_of([one])
    pixels = (found.points_mm - one.origin_mm) @ np.linalg.pinv(STEPS_MM)
    away_mm = np.linalg.norm((pixels - MIDDLE) * [1.0, 1.4], axis=1)
    assert np.abs(away_mm - 25).max() < 1.0  # none along the straight edge
    assert abs(len(pixels) - np.pi * 25) < 12


def test_specks_and_empty_slices_have_no_contour() -> None:
    assert len(contours_of([]).points_mm) == 0
    assert len(contours_of([disc(0.5)]).points_mm) == 0
