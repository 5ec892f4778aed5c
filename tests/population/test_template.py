"""Anchors that mean the same place in every heart."""

import numpy as np
import pytest

from vecsetx.anatomy.frame import Frame
from vecsetx.population import template as templates
from vecsetx.population.template import MISSING, Template
from vecsetx.sampling.observation import Observation

SHELL, BALL = 0, 1


def heart(seed: int, stretch=(1.0, 1.0, 1.0), each: int = 500) -> Observation:
    """A shell of 4 mm with walls on both sides, and a ball beside it; its points are shuffled."""
    generator = np.random.default_rng(seed)
    way = generator.standard_normal((3 * each, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    radius = np.repeat([40.0, 36.0, 15.0], each)
    normals = way * np.repeat([1.0, -1.0, 1.0], each)[:, None]
    points = way * radius[:, None]
    points[2 * each :] += [70, 0, 0]
    structure = np.repeat([SHELL, SHELL, BALL], each)
    points, normals = points * stretch, normals / stretch
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    order = generator.permutation(3 * each)
    frame = Frame((20.0, 0.0, 0.0), 80.0)
    return Observation(
        points[order].astype(np.float32),
        structure[order].astype(np.int64),
        normals[order].astype(np.float32),
        frame,
    )


def shuffled(observation: Observation, seed: int) -> tuple[Observation, np.ndarray]:
    order = np.random.default_rng(seed).permutation(len(observation.points_mm))
    points, normals = observation.points_mm[order], observation.normals[order]
    return Observation(points, observation.structure[order], normals, observation.frame), order


@pytest.fixture(scope="module")
def template() -> Template:
    return Template.of(heart(0), 64)


def test_anchors_come_first_and_are_shared_by_structures(template: Template) -> None:
    assert template.anchors == 64
    assert np.bincount(template.structure[:64]).tolist() == [32, 32]
    assert len(np.unique(template.points, axis=0)) == len(template.points) == 1500


def test_of_the_same_points_in_another_order_each_finds_itself(
    template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they lie elsewhere and are larger, which changes no match."""
    monkeypatch.setattr(templates, "_SPREADINGS", 0)
    monkeypatch.setattr(templates, "_MATCHED", 1000)  # all points of the shell
    other, _ = shuffled(heart(0), 1)
    moved = Observation(1.3 * other.points_mm + 30, other.structure, other.normals, other.frame)
    for seen in (other, moved):
        found = template.carry(seen)
        back = other.frame.to_unit(other.points_mm[found])
        np.testing.assert_array_equal(back, template.points[:64])


@pytest.mark.parametrize("stretch", [(1, 1, 1), (1.2, 0.9, 1.0), (0.8, 0.8, 1.3)])
def test_anchors_go_where_their_place_goes(template: Template, stretch) -> None:
    other = heart(7, stretch)
    found = template.carry(other)
    assert len(np.unique(found)) == 64
    np.testing.assert_array_equal(other.structure[found], template.structure[:64])
    # On a stretched heart, a place is where it was, stretched. Anchors are 15 mm apart.
    frame = other.frame
    wanted = frame.to_mm(template.points[:64]) * stretch
    way_mm = np.linalg.norm(other.points_mm[found] - wanted, axis=1)
    assert np.median(way_mm) < 5
    # Inner and outer wall are 4 mm apart, but no anchor changes sides.
    shell = template.structure[:64] == SHELL
    outward = (template.normals[:64] * template.points[:64]).sum(axis=1) > 0
    now = (other.normals[found] * frame.to_unit(other.points_mm[found])).sum(axis=1) > 0
    np.testing.assert_array_equal(outward[shell], now[shell])


def test_a_structure_that_is_not_there_has_no_anchors(template: Template) -> None:
    whole = heart(3)
    shell = whole.structure == SHELL
    part = Observation(
        whole.points_mm[shell], whole.structure[shell], whole.normals[shell], whole.frame
    )
    found = template.carry(part)
    assert (found[template.structure[:64] == BALL] == MISSING).all()
    assert (found[template.structure[:64] == SHELL] != MISSING).all()


def test_points_without_normals_are_refused(template: Template) -> None:
    whole = heart(3)
    bare = Observation(whole.points_mm, whole.structure, None, whole.frame)
    with pytest.raises(ValueError, match="need normals"):
        template.carry(bare)


def test_spreading_leaves_smaller_gaps(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest distance of any surface point from the nearest anchor of its structure."""
    other = heart(7, (0.7, 0.7, 1.5))

    def gap_mm() -> float:
        found = template.carry(other)
        gaps = []
        for k in (SHELL, BALL):
            points = other.points_mm[other.structure == k]
            anchors = other.points_mm[found[template.structure[:64] == k]]
            away = np.linalg.norm(points[:, None] - anchors, axis=2).min(axis=1)
            gaps.append(float(np.quantile(away, 0.99)))
        return max(gaps)

    after = gap_mm()
    monkeypatch.setattr(templates, "_SPREADINGS", 0)
    assert after < 0.95 * gap_mm()
