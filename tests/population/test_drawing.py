"""New hearts with volumes as asked for."""

from dataclasses import replace

import numpy as np
import pytest
from population.test_shape_space import linear_hearts

from vecsetx.errors import InputError
from vecsetx.population import drawing
from vecsetx.population.drawing import VolumeRange, check_volumes, draw
from vecsetx.population.shape_space import ShapeSpace
from vecsetx.population.space_file import Cohort, SavedSpace
from vecsetx.population.template import Template

SLOPES = np.array([[0.3, 0.1, 0.0, 0.0, 0.05], [0.1, -0.2, 0.1, 0.0, 0.0]])


def volumes_ml(coordinates: np.ndarray) -> np.ndarray:
    """Volumes that are nearly, not quite, what the regression takes them to be."""
    logs = np.log([150.0, 60.0]) + SLOPES @ coordinates
    return np.exp(logs + 0.02 * (coordinates[0] ** 2 - 1))


@pytest.fixture(scope="module")
def saved() -> SavedSpace:
    hearts = linear_hearts(6, 5)
    space = ShapeSpace.fit(hearts)
    coordinates = np.random.default_rng(0).standard_normal((60, 5))
    cohort = Cohort(
        tuple(f"h{n}" for n in range(60)),
        coordinates,
        np.random.default_rng(1).standard_normal((60, 40, 3)).astype(np.float32),
        np.tile(np.float32([1, 0, 0]), (60, 40, 1)),
        np.zeros(40, np.int64),
        np.stack([volumes_ml(row) for row in coordinates]),
        np.array([1, 1]),
        np.array([[False, True], [True, False]]),
        np.arange(60.0),
        np.arange(60.0) / 100,
    )
    points = np.zeros((50, 3), np.float32)
    template = Template(points, points, np.zeros(50, np.int64), 40)
    return SavedSpace("built-in", "0", ("LV", "LA"), space, template, cohort)


def drawn(saved: SavedSpace, asked: dict[str, VolumeRange], count: int = 300) -> np.ndarray:
    return np.stack(
        [draw(saved, np.random.default_rng([0, n]), asked, volumes_ml) for n in range(count)]
    )


def test_without_wishes_draws_are_standard_normal_and_follow_from_the_seed(saved) -> None:
    found = drawn(saved, {})
    assert np.abs(found.mean(axis=0)).max() < 0.2
    np.testing.assert_allclose(found.std(axis=0), 1, atol=0.15)
    assert len(np.unique(found, axis=0)) == 300
    np.testing.assert_array_equal(found[:5], drawn(saved, {}, 5))


@pytest.mark.parametrize(
    "asked",
    [
        {"LV": VolumeRange(120.0, 180.0)},
        {"LV": VolumeRange(150.0, 150.0)},
        {"LV": VolumeRange(130.0, 140.0), "LA": VolumeRange(60.0, 60.0)},
    ],
)
def test_volumes_are_met_within_2_percent(saved, asked: dict[str, VolumeRange]) -> None:
    found = np.stack([volumes_ml(row) for row in drawn(saved, asked, 50)])
    for name, wanted in asked.items():
        ml = found[:, saved.structures.index(name)]
        assert (ml >= 0.98 * wanted.low_ml).all()
        assert (ml <= 1.02 * wanted.high_ml).all()
        if wanted.high_ml > wanted.low_ml:  # all of the range is used
            assert np.ptp(ml) > 0.5 * (wanted.high_ml - wanted.low_ml)


def test_what_does_not_change_the_volume_stays_as_varied(saved) -> None:
    found = drawn(saved, {"LV": VolumeRange(150.0, 150.0)})
    across = found - np.outer(found @ SLOPES[0], SLOPES[0]) / (SLOPES[0] @ SLOPES[0])
    # Of five directions, the volume fixes one.
    assert (across**2).sum(axis=1).mean() == pytest.approx(4, abs=0.6)


def test_volumes_of_no_heart_are_refused_with_the_cohorts(saved) -> None:
    with pytest.raises(InputError, match=r"--volume LV=5000: the hearts .* span .* ml"):
        check_volumes(saved, {"LV": VolumeRange(5000.0, 5000.0)})
    with pytest.raises(InputError, match="--volume LV=1:150: "):
        check_volumes(saved, {"LV": VolumeRange(1.0, 150.0)})
    with pytest.raises(InputError, match="--volume RA: the space has no RA; choose from LV, LA"):
        check_volumes(saved, {"RA": VolumeRange(50.0, 60.0)})
    check_volumes(saved, {"LV": VolumeRange(140.0, 160.0)})


def test_volumes_that_do_not_go_together_are_refused(saved) -> None:
    """Two structures whose volumes are always the same cannot have two volumes."""
    same = np.repeat(saved.cohort.volumes_ml[:, :1], 2, axis=1)
    twins = replace(saved, cohort=replace(saved.cohort, volumes_ml=same))
    asked = {"LV": VolumeRange(130.0, 130.0), "LA": VolumeRange(170.0, 170.0)}
    with pytest.raises(InputError, match=r"LV 130\.0 ml, LA 170\.0 ml was not found \("):
        draw(twins, np.random.default_rng(0), asked, lambda x: np.repeat(volumes_ml(x)[:1], 2))


def test_the_nearest_heart_is_that_with_the_nearest_surfaces(saved) -> None:
    """All normals point along x: steps along y lead from none of the planes."""
    positions = saved.cohort.positions[17] + np.float32([0.01, 0.002, 0])
    nearest, *others = saved.cohort.nearest(positions, 3)
    assert nearest[0] == "h17"
    assert nearest[1] == pytest.approx(0.01, rel=1e-3)
    assert nearest[1] < others[0][1] <= others[1][1]
    with_gaps = np.where(np.arange(40)[:, None] < 10, positions, np.float32(np.nan))
    assert saved.cohort.nearest(with_gaps)[0][0] == "h17"


def test_a_heart_far_from_all_others_is_refused(saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_FARTHEST", 0.001)
    with pytest.raises(InputError, match=r"LV 150\.0 ml would be unlike all hearts of the space"):
        draw(saved, np.random.default_rng(0), {"LV": VolumeRange(150.0, 150.0)}, volumes_ml)
