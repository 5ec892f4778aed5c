"""The beating phantom: what changes over its cycle, and what does not."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import STRUCTURES, PhantomHeart
from vecsetx.anatomy.phantom.beating import (
    BeatingPhantom,
    contraction_at,
    end_systole_of,
    volumes_ml,
)
from vecsetx.data.sources import LabelMapSource
from vecsetx.geometry.connected import number_pieces


@cache
def beating(seed: int = 0) -> BeatingPhantom:
    return BeatingPhantom.random(np.random.default_rng([5, seed]))


@cache
def volumes(contraction: float) -> dict[str, float]:
    return volumes_ml(beating().at(contraction), 1.6)


def test_end_diastole_is_the_phantom_that_the_seed_gives() -> None:
    still = PhantomHeart.random(np.random.default_rng([5, 0]))
    assert beating().at(0.0) == still


@pytest.mark.parametrize("frames", [2, 3, 8, 25])
def test_the_cycle_goes_to_end_systole_and_back_smoothly(frames: int) -> None:
    at = np.array([contraction_at(frame, frames) for frame in range(frames)])
    systole = end_systole_of(frames)
    assert at[0] == 0
    assert at[systole] == pytest.approx(1)
    assert at.argmax() == systole
    assert (np.diff(at[: systole + 1]) > 0).all()
    assert (np.diff([*at[systole:], 0]) < 0).all()
    if frames == 25:
        assert np.abs(np.diff([*at, *at], n=2)).max() < 0.06  # no sudden change of speed


def test_ventricles_empty_atria_fill_and_the_muscle_keeps_its_volume() -> None:
    rest, half, end = (volumes(contraction) for contraction in (0.0, 0.5, 1.0))
    for name in ("LV", "RV"):
        assert rest[name] > half[name] > end[name]
        assert 0.35 < 1 - end[name] / rest[name] < 0.7
    for name in ("LA", "RA"):
        assert rest[name] < half[name] < end[name]
    for one in (half, end):
        assert one["Myocardium"] == pytest.approx(rest["Myocardium"], rel=0.01)
        assert one["Aorta"] == pytest.approx(rest["Aorta"], rel=0.01)
    assert beating().at(1.0).parameters.wall_mm > 1.2 * beating().rest.wall_mm


def test_true_volumes_do_not_depend_on_the_voxels() -> None:
    fine, coarse = volumes_ml(beating().at(0.0), 1.2), volumes(0.0)
    for name in ("LV", "RV", "LA", "RA", "Myocardium"):
        assert coarse[name] == pytest.approx(fine[name], rel=0.006)


def test_at_end_systole_it_is_a_heart_of_whole_structures() -> None:
    label_map = beating().at(1.0).voxelize(80, 1.7)
    for name in ("LV", "RV", "LA", "RA", "Myocardium", "Aorta", "PA"):
        inside = label_map.labels == STRUCTURES.index(name) + 1
        pieces, count = number_pieces(inside)
        largest = np.bincount(pieces.ravel())[1:].max()
        assert count >= 1
        assert largest > 0.999 * inside.sum()
    source = LabelMapSource("heart", Path("heart"), label_set("default"), stored=label_map)
    assert source.segmentation(STRUCTURES).label_map.remarks == ()  # anatomy agrees with the names
