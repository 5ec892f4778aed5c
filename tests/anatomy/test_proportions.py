"""Chambers that spread too far along one axis: a wrong spacing is noticed, and a heart is not."""

from dataclasses import replace

import numpy as np
import pytest

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.phantom import PhantomHeart
from vecsetx.anatomy.proportions import odd_proportions, odd_size

STRUCTURES = ("Myocardium", "LA", "LV", "RA", "RV", "Aorta", "PA")


@pytest.fixture(scope="module", params=range(3))
def heart(request: pytest.FixtureRequest) -> LabelMap:
    """A whole heart with background on all sides."""
    made = PhantomHeart.random(np.random.default_rng(request.param)).voxelize(40, 4.0)
    inside = np.where(made.labels <= len(STRUCTURES), made.labels, 0)
    return replace(made, labels=np.pad(inside, 2))


def along(heart: LabelMap, axis: int, factor: float) -> LabelMap:
    return replace(heart, affine=heart.affine @ np.diag(np.where(np.arange(4) == axis, factor, 1)))


def test_a_heart_has_usual_proportions(heart: LabelMap) -> None:
    assert odd_proportions(heart, STRUCTURES) == ()


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("factor", [3.0, 1 / 3])
def test_a_spacing_that_is_wrong_three_times_is_named(
    heart: LabelMap, axis: int, factor: float
) -> None:
    (remark,) = odd_proportions(along(heart, axis, factor), STRUCTURES)
    spacing = " × ".join(f"{4 * (factor if k == axis else 1):.3g}" for k in range(3))
    assert f"check the spacing of {spacing} mm" in remark
    if factor > 1:  # of a shorter axis, the two others may each be too long
        name = ("first", "second", "third")[axis]
        assert remark.startswith(f"the heart is stretched along the {name} axis (its chambers")
        assert "as far along it as across it, and at most 1.8 times in known hearts" in remark


def test_the_spread_does_not_depend_on_where_the_grid_lies(heart: LabelMap) -> None:
    turned = np.array([[0.6, -0.8, 0, 5], [0.8, 0.6, 0, -90], [0, 0, -1, 7], [0, 0, 0, 1.0]])
    odd = along(heart, 2, 3.0)
    moved = replace(odd, affine=turned @ odd.affine)
    assert odd_proportions(moved, STRUCTURES) == odd_proportions(odd, STRUCTURES) != ()


@pytest.mark.parametrize("axis", range(3))
def test_a_slab_is_thin_because_the_scan_ends(heart: LabelMap, axis: int) -> None:
    # The valves' slices, where both ventricles and an atrium are.
    middle = int(np.argwhere(heart.labels == 1 + STRUCTURES.index("LV"))[:, axis].mean())
    slab = heart.labels[(*[slice(None)] * axis, slice(middle - 4, middle + 4))]
    cut = replace(heart, labels=slab)
    assert odd_proportions(cut, STRUCTURES) == ()
    # As well where the scan goes on, and its labels do not.
    around = np.pad(slab, [(1, 1) if k == axis else (0, 0) for k in range(3)])
    assert odd_proportions(replace(heart, labels=around), STRUCTURES) == ()


@pytest.mark.parametrize("left", [("LV",), ("LV", "RV"), ("LV", "RV", "Myocardium"), ("LA", "RA")])
def test_some_chambers_alone_tell_nothing(heart: LabelMap, left: tuple[str, ...]) -> None:
    labels = [STRUCTURES.index(name) + 1 for name in left]
    some = np.where(np.isin(heart.labels, labels), heart.labels, 0)
    assert odd_proportions(along(replace(heart, labels=some), 0, 3.0), STRUCTURES) == ()


def test_an_empty_map_tells_nothing(heart: LabelMap) -> None:
    assert odd_proportions(replace(heart, labels=np.zeros_like(heart.labels)), STRUCTURES) == ()


def test_a_heart_too_large_along_every_axis_is_named(heart: LabelMap) -> None:
    chambers = np.isin(heart.labels, [1, 2, 3, 4, 5])
    ml = np.count_nonzero(chambers) * 4.0**3 / 1000
    for factor, alarms in ((0.5, 0), (1.0, 0), (0.99, 0), (1.01, 1)):
        if factor > 0.9:  # near the limit of 1500 ml
            factor *= (1500 / ml) ** (1 / 3) if factor != 1 else 1
        scaled = replace(heart, affine=heart.affine @ np.diag([factor, factor, factor, 1]))
        assert odd_proportions(scaled, STRUCTURES) == ()
        found = odd_size(scaled, STRUCTURES)
        assert len(found) == alarms
        spacing = " × ".join([f"{4 * factor:.3g}"] * 3)
        assert all(f"check the spacing of {spacing} mm" in remark for remark in found)
