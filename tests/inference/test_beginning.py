"""Anchors begin on those of the frame before."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vecsetx.anatomy.frame import Frame
from vecsetx.inference.beginning import anchors_from
from vecsetx.sampling.observation import Observation

FRAME = Frame((1.0, 2.0, 3.0))


def observation(points_mm: np.ndarray, structure: np.ndarray) -> Observation:
    return Observation(points_mm.astype(np.float32), structure, None, FRAME)


def random(generator: np.random.Generator, counts: list[int]) -> Observation:
    structure = np.repeat(np.arange(len(counts)), counts)
    order = generator.permutation(len(structure))
    return observation(generator.normal(0, 30, (len(structure), 3)), structure[order])


@given(seed=st.integers(0, 10**6), shares=st.lists(st.integers(1, 12), min_size=1, max_size=3))
def test_anchors_are_those_of_a_slow_twin(seed: int, shares: list[int]) -> None:
    generator = np.random.default_rng(seed)
    before = random(generator, shares)
    now = random(generator, [share + 20 for share in shares])
    found = anchors_from(before, now)
    assert found is not None
    assert len(set(found.tolist())) == len(before.points_mm)
    expected: list[int] = []
    for structure in range(len(shares)):
        own = [k for k in range(len(now.structure)) if now.structure[k] == structure]
        chosen: list[int] = []
        for k in np.flatnonzero(before.structure == structure):
            away = [float(np.linalg.norm(now.points_mm[j] - before.points_mm[k])) for j in own]
            chosen.append(own[int(np.argmin(away))])
        chosen = sorted(set(chosen))
        while len(chosen) < shares[structure]:
            away = [
                min(float(((now.points_mm[j] - now.points_mm[c]) ** 2).sum()) for c in chosen)
                for j in own
            ]
            chosen.append(own[int(np.argmax(away))])
        expected += chosen
    assert found.tolist() == expected


def test_the_same_points_stay() -> None:
    now = random(np.random.default_rng(0), [40, 30])
    rows = np.sort(np.random.default_rng(1).choice(70, 25, replace=False))
    before = observation(now.points_mm[rows], now.structure[rows])
    found = anchors_from(before, now)
    assert found is not None
    assert sorted(found.tolist()) == rows.tolist()


def test_other_structures_or_too_few_points_begin_afresh() -> None:
    generator = np.random.default_rng(0)
    before = random(generator, [5, 5])
    assert anchors_from(before, random(generator, [50])) is None
    assert anchors_from(before, random(generator, [50, 4])) is None
    assert anchors_from(before, random(generator, [50, 50, 50])) is None
