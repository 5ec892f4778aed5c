"""Sizes that no heart has."""

import numpy as np
import pytest

from vecsetx.anatomy.size import HeartSize, check_spacing

SEVEN = ("Myocardium", "LA", "LV", "RA", "RV", "Aorta", "PA")


@pytest.mark.parametrize(
    ("extent_mm", "volume_ml", "structures"),
    [
        ((45, 40, 60), 28.0, SEVEN),  # a newborn's
        ((180, 190, 260), 2600.0, SEVEN),  # a dilated one
        ((20, 25, 30), 4.5, ["LV"]),  # of a newborn
        ((60, 60, 1.5), 2.2, ["LV", "Myocardium"]),  # a thin slab
        ((14, 12, 18), 0.8, ["LAA"]),
        ((80, 90, 90), 2.35, ["Coronary"]),
        ((90, 80, 300), 250.0, ["Aorta"]),
        ((60, 70, 0.9), None, ["LV"]),  # points of one slice
    ],
)
def test_hearts_and_their_parts(extent_mm, volume_ml, structures):
    size = HeartSize.of(np.array(extent_mm), volume_ml, structures)
    assert size.is_possible()
    for factor in (1e-6, 1e-3, 1e3, 1e6) if volume_ml is None or volume_ml < 4 else (0.1, 1e3):
        assert not size.scaled(factor).is_possible()


def test_nothing_that_is_not_a_number():
    assert not HeartSize.of(np.full(3, 100.0), np.nan, SEVEN).is_possible()
    assert not HeartSize.of(np.full(3, np.inf), np.inf, SEVEN).is_possible()


HEART = HeartSize.of(np.array([110, 120, 130]), 600.0, SEVEN)


@pytest.mark.parametrize("spacing_mm", [(0.02, 0.02, 0.02), (1.4, 1.4, 10), (20, 20, 20)])
def test_voxels_of_any_scanner(spacing_mm, tmp_path):
    check_spacing(HEART, np.array(spacing_mm, np.float32).astype(float), tmp_path)


def test_a_spacing_of_one_is_none(tmp_path):
    size = HEART.scaled(0.12)
    with pytest.raises(ValueError, match="of 1 × 1 × 1 mm, which stands for none: give the scan's"):
        check_spacing(size, np.ones(3), tmp_path)


@pytest.mark.parametrize("spacing_mm", [(0.5, 0.5, 0.001), (0.5, 0.5, 40)])
def test_voxels_of_none(spacing_mm, tmp_path):
    with pytest.raises(ValueError, match=r"measures 0\.02 to 20 mm along each axis; correct the"):
        check_spacing(HEART, np.array(spacing_mm), tmp_path)
