"""Frames whose left ventricle is labelled in part."""

from dataclasses import replace

import numpy as np
import pytest
from support.beats import IDS, NAMES, beating, label_map_at, without

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.cine import reach
from vecsetx.cine.reach import short_cavities

LV = IDS.id_of("LV")


def half(one: LabelMap) -> LabelMap:
    """Without the upper half of the LV's label."""
    labels, middle = one.labels.copy(), one.labels.shape[2] // 2
    labels[:, :, middle:][labels[:, :, middle:] == LV] = 0
    return replace(one, labels=labels)


def said(frames: list[LabelMap]) -> str:
    maps = {k: one.to_structures(IDS, NAMES, "") for k, one in enumerate(frames, start=1)}
    return short_cavities(maps, NAMES)


def test_a_beating_heart_is_labelled_whole() -> None:
    assert said(beating()) == said(beating()[:1]) == ""
    assert said([without(one, "LV") for one in beating()]) == ""
    assert said([without(one, "Myocardium") for one in beating()]) == ""


@pytest.mark.parametrize("most_voxels", [1_000_000, 8000])
@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_label_that_ends_in_the_middle_is_found(
    place: int, most_voxels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "_MOST_VOXELS", most_voxels)
    frames = beating()
    frames[place] = half(frames[place])
    assert f"ends too early: frame {place + 1} (" in said(frames)
    assert said(frames).count("frame ") == 1


def test_the_distance_is_that_to_the_nearest_voxel() -> None:
    one = half(label_map_at(20, 20))
    own = one.to_structures(IDS, NAMES, "")
    wall, cavity = (own.to_mm(np.argwhere(own.labels == k).astype(float)) for k in (1, 2))
    away_mm = [np.linalg.norm(cavity - point, axis=1).min() for point in wall]
    assert reach._away_mm(own, 1, 2) == pytest.approx(np.percentile(away_mm, 95))
