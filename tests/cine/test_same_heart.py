"""Which frames show another heart than most."""

import numpy as np
import pytest
from support.beats import NAMES, beating, label_map_at

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.cine import same_heart
from vecsetx.cine.same_heart import unlike_the_others
from vecsetx.errors import InputError

STRANGER = label_map_at(20, 20, moved_mm=34)


def numbered(frames: list[LabelMap]) -> dict[int, np.ndarray]:
    ids = {1: 1, 3: 2, 5: 3}  # of the default label set
    own = [np.select([one.labels == k for k in ids], list(ids.values()), 0) for one in frames]
    return {number: labels.astype(np.uint8) for number, labels in enumerate(own, start=1)}


def test_a_beating_heart_is_one_heart() -> None:
    assert unlike_the_others(numbered(beating()), NAMES, "a.nii") == {}
    assert unlike_the_others(numbered(beating()[:1]), NAMES, "a.nii") == {}


@pytest.mark.parametrize("place", range(5))
def test_the_stranger_is_found_wherever_it_is(place: int) -> None:
    frames = beating()
    frames.insert(place, STRANGER)
    found = unlike_the_others(numbered(frames), NAMES, "a.nii")
    assert list(found) == [place + 1]
    assert "another heart" in found[place + 1]


def test_large_maps_are_compared_on_fewer_voxels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same_heart, "_MOST_VALUES", 60_000)
    assert list(unlike_the_others(numbered([*beating(), STRANGER]), NAMES, "a.nii")) == [5]


def test_without_ventricle_or_wall_all_structures_count() -> None:
    frames = numbered([*beating(), STRANGER])
    only_rv = {number: np.where(one == 3, one, 0) for number, one in frames.items()}
    assert list(unlike_the_others(only_rv, NAMES, "a.nii")) == [5]
    no_wall = {number: np.where(one == 1, 0, one) for number, one in frames.items()}
    assert list(unlike_the_others(no_wall, NAMES, "a.nii")) == [5]


def test_figures_are_those_that_speak_against_a_frame() -> None:
    mirrored = numbered([*beating(), label_map_at(20, 20, moved_mm=34)])
    counts = [np.count_nonzero(one == 1) for one in mirrored.values()]
    percent = 100 * counts[4] / np.median(counts[:4])
    said = unlike_the_others(mirrored, NAMES, "a.nii")[5]
    assert said.endswith(f"; muscle: {percent:.0f}% of theirs)")
    no_wall = {number: np.where(one == 1, 0, one) for number, one in mirrored.items()}
    assert "muscle" not in unlike_the_others(no_wall, NAMES, "a.nii")[5]
    with pytest.raises(InputError) as refused:  # as much muscle in another place
        unlike_the_others({1: mirrored[2], 2: mirrored[5]}, NAMES, "a.nii")
    assert "with a Dice of 0." in str(refused.value)
    assert "muscle" not in str(refused.value)


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ([beating()[0], STRANGER], "In frames 1 and 2"),
        ([beating()[0], label_map_at(24, 20, muscle=0.4)], r"muscle of one has 2\.[3-7] times"),
        ([*beating()[:2], STRANGER, STRANGER], "show no common heart"),
    ],
)
def test_no_majority_is_no_heart(frames: list[LabelMap], told: str) -> None:
    with pytest.raises(InputError, match=told):
        unlike_the_others(numbered(frames), NAMES, "a.nii")


def test_a_stranger_in_the_same_place_is_found_among_many_frames() -> None:
    radii = 20.5 + 3.5 * np.cos(np.linspace(0, 2 * np.pi, 8, endpoint=False))
    frames = [label_map_at(radius, 20) for radius in radii]
    assert unlike_the_others(numbered(frames), NAMES, "a.nii") == {}
    for place in range(8):
        with_stranger = [*frames]
        with_stranger[place] = label_map_at(radii[place], 20, moved_mm=14)
        dice = same_heart._compared(list(numbered(with_stranger).values()), NAMES)[0]
        assert dice.min() > same_heart._LEAST_DICE  # alike by itself
        assert list(unlike_the_others(numbered(with_stranger), NAMES, "a.nii")) == [place + 1]
