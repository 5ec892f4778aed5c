"""How well slices agree where they cross, against a slow twin."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter
from sliced_hearts import off_mm
from support.ball_slices import XY, XZ, of_ball
from support.cine import cine, sliced, true_shifts

from vecsetx.views.agreement import Agreement, relative_cost
from vecsetx.views.slices import Slice

WITHIN = np.array([10.0, 10.0, 0.0])


def share_at(one: Slice, structure: int, points_mm: np.ndarray) -> np.ndarray:
    """How much of a structure a slice shows at points, blurred by 3 mm; NaN beyond the image."""
    shown = (one.labels == structure + 1).astype(np.float32)
    blurred = gaussian_filter(shown, 3.0 / np.linalg.norm(one.steps_mm, axis=1), mode="nearest")
    axes = [np.arange(size) for size in shown.shape]
    pixels = (points_mm - one.origin_mm) @ np.linalg.pinv(one.steps_mm)
    return RegularGridInterpolator(axes, blurred, bounds_error=False)(pixels)


def slow(slices: list[Slice], number: int, shifts_mm: np.ndarray) -> float:
    """Squared differences of one slice from all others, crossing by crossing."""
    cost = 0.0
    for crossing in Agreement.of(slices).crossings:
        if number not in crossing.slices:
            continue
        first, second = crossing.slices
        points_mm = crossing.shifted_mm(shifts_mm[[first, second], 2])[::2]
        for structure in range(len(slices[0].known)):
            if slices[first].known[structure] and slices[second].known[structure]:
                one, other = (
                    share_at(slices[n], structure, points_mm - shifts_mm[n] @ slices[n].axes)
                    for n in (first, second)
                )
                cost += 2.0 * float(np.nansum((one - other) ** 2))
    return cost


@pytest.mark.parametrize("number", [0, 4, 9, 10, 11])
def test_costs_are_those_of_a_slow_twin(number: int) -> None:
    slices, generator = sliced(cine()[0]), np.random.default_rng(number)
    for small in (4, 11):  # images that end within the heart
        one = slices[small]
        origin_mm = one.to_mm(np.array([[60.0, 55.0]]))[0]
        slices[small] = replace(one, labels=one.labels[60:, 55:], origin_mm=origin_mm)
    shifts_mm = generator.uniform(-5, 5, (12, 3))
    tried = generator.uniform(-9, 9, (4, 3))
    tried[1, 2] = tried[0, 2]
    found = Agreement.of(slices)._costs(np.array([number]), tried, shifts_mm)
    expected = []
    for shift_mm in tried:
        moved_mm = shifts_mm.copy()
        moved_mm[number] = shift_mm
        expected.append(slow(slices, number, moved_mm))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_a_shift_is_found_to_a_fraction_of_a_pixel() -> None:
    slices = [of_ball(XY, (0, 0, 0)), of_ball(XZ, (0, 0, 0), (-3.25, 0, 1.5))]
    # All of it is in the second slice's file, and the preference for small shifts halves it.
    found_mm = Agreement.of(slices).start(np.arange(2), WITHIN)
    between_mm = found_mm[1] @ slices[1].axes - found_mm[0] @ slices[0].axes
    assert between_mm[0] == pytest.approx(3.25, abs=0.3)
    assert (found_mm[:, 2] == 0).all()


def test_structures_that_one_view_lacks_are_background_there() -> None:
    one, other = of_ball(XY, (0, 0, 0)), of_ball(XZ, (0, 0, 0), (3, 0, 0))
    shows_two = replace(other, labels=2 * other.labels, known=np.array([False, True]))
    tried = np.array([[0.0, 0, 0], [3, 0, 0], [0, 5, 0]])
    costs = Agreement.of([one, shows_two])._costs(np.array([1]), tried, np.zeros((2, 3)))
    assert (costs == 0).all()
    costs = Agreement.of([one, other])._costs(np.array([1]), tried, np.zeros((2, 3)))
    assert costs[0] > 0.5


def test_settled_shifts_stay_near_and_agree_better() -> None:
    views, shifts = cine()
    slices, holds = sliced(views), np.arange(12)
    true_mm, agreement = true_shifts(slices, shifts), Agreement.of(slices)
    start_mm = true_mm.copy()
    start_mm[:, :2] += np.random.default_rng(0).normal(0, 1.5, (12, 2))
    settled_mm = agreement.settled(holds, start_mm, WITHIN)
    assert np.abs(settled_mm - start_mm).max() <= 3.0
    directions = np.stack([one.directions for one in slices])
    left_mm = off_mm(settled_mm[:, :2], true_mm[:, :2], directions)
    assert left_mm.mean() < 0.6 * off_mm(start_mm[:, :2], true_mm[:, :2], directions).mean()


def test_shifts_cost_the_same_at_their_bounds() -> None:
    assert relative_cost(WITHIN).tolist() == [1, 1, 0]
    assert relative_cost(np.array([10.0, 10, 2])).tolist() == [1, 1, 25]
