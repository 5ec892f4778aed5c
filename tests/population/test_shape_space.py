"""Mean and modes of tables that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecsetx.errors import InputError
from vecsetx.population.shape_space import HeartTable, ShapeSpace

ROWS, CHANNELS = 40, 8


def linear_hearts(
    count: int, modes: int, seed: int = 0, lacking: dict[int, slice] | None = None
) -> list[HeartTable]:
    """Hearts whose tables vary along a few directions; some lack rows."""
    generator = np.random.default_rng(seed)
    mean = generator.standard_normal((ROWS, 3 + CHANNELS))
    directions = generator.standard_normal((modes, ROWS, 3 + CHANNELS))
    made = []
    for number in range(count):
        table = mean + np.tensordot(generator.standard_normal(modes), directions, axes=1)
        there = np.ones(ROWS, dtype=bool)
        if lacking and number in lacking:
            there[lacking[number]] = False
        table = np.where(there[:, None], table, 0).astype(np.float32)
        made.append(HeartTable(table[:, :3], table[:, 3:], there))
    return made


def variance_shares(space: ShapeSpace) -> np.ndarray:
    return space.sd**2 / (space.sd**2).sum()


def assert_same(a: HeartTable, b: HeartTable, atol: float = 1e-4) -> None:
    np.testing.assert_allclose(a.positions, b.positions, atol=atol)
    np.testing.assert_allclose(a.latents, b.latents, atol=atol)


def test_as_many_modes_as_directions_hold_all_variance() -> None:
    space = ShapeSpace.fit(linear_hearts(12, 3))
    assert space.modes.shape == (11, ROWS, 3 + CHANNELS)
    assert variance_shares(space)[:3].sum() == pytest.approx(1, abs=1e-6)
    assert (np.diff(space.sd) <= 1e-9).all()
    flat = space.modes.reshape(11, -1)
    np.testing.assert_allclose((flat @ flat.T)[:3, :3], np.eye(3), atol=1e-9)


def test_a_heart_has_coordinates_that_give_it_back() -> None:
    hearts = linear_hearts(8, 7)
    space = ShapeSpace.fit(hearts)
    coordinates = np.stack([space.coordinates(heart) for heart in hearts])
    for heart, own in zip(hearts, coordinates, strict=True):
        assert_same(space.table(own), heart)
    np.testing.assert_allclose(coordinates.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(coordinates.std(axis=0, ddof=1), 1, atol=1e-6)
    middle = space.table(np.zeros(7))
    np.testing.assert_allclose(
        middle.positions, np.mean([heart.positions for heart in hearts], axis=0), atol=1e-5
    )
    assert np.array_equal(space.coordinates(hearts[0], 2)[2:], np.zeros(5))
    np.testing.assert_allclose(space.coordinates(hearts[0], 2)[:2], coordinates[0, :2])


@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(0.01, 100))
@settings(max_examples=20)
def test_scales_of_positions_and_latents_change_nothing(
    seed: int, of_positions: float, of_latents: float
) -> None:
    hearts = linear_hearts(6, 2, seed)
    scaled = [
        HeartTable(
            h.positions * np.float32(of_positions), h.latents * np.float32(of_latents), h.there
        )
        for h in hearts
    ]
    space, other = ShapeSpace.fit(hearts), ShapeSpace.fit(scaled)
    np.testing.assert_allclose(variance_shares(other), variance_shares(space), atol=1e-4)


def test_rows_that_hearts_lack_are_what_their_other_rows_make_likely() -> None:
    """Each third of the rows is lacked by some; what is there decides what is not."""
    whole = linear_hearts(20, 2)
    lacking = {1: slice(0, 13), 5: slice(13, 26), 9: slice(26, 40), 14: slice(0, 26)}
    space = ShapeSpace.fit(linear_hearts(20, 2, lacking=lacking))
    assert variance_shares(space)[:2].sum() > 0.999
    partial = linear_hearts(20, 2, lacking=lacking)
    spread = np.std([heart.positions for heart in whole], axis=0).mean()
    for number in lacking:
        filled = space.table(space.coordinates(partial[number], 2))
        assert np.abs(filled.positions - whole[number].positions).mean() < 0.02 * spread
    # Zeros in their place would be far off.
    naive = [HeartTable(h.positions, h.latents, np.ones(ROWS, dtype=bool)) for h in partial]
    assert variance_shares(ShapeSpace.fit(naive))[:2].sum() < 0.95


def test_too_few_hearts_and_rows_of_none_are_refused() -> None:
    with pytest.raises(InputError, match="at least 3 hearts, not 2"):
        ShapeSpace.fit(linear_hearts(2, 1))
    nowhere = {number: slice(0, 1) for number in range(5)}
    with pytest.raises(InputError, match="in no heart"):
        ShapeSpace.fit(linear_hearts(5, 2, lacking=nowhere))
