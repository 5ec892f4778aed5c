"""Which structures touch."""

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.population.neighbours import always_touching, contact_mm2


def blocks(*labels: int) -> LabelMap:
    """Blocks of 20 mm in a row along x, of voxels of 2 mm: too large to be thinned."""
    found = np.zeros((10 * len(labels) + 4, 14, 14), np.uint8)
    for place, label in enumerate(labels):
        found[2 + 10 * place : 12 + 10 * place, 2:12, 2:12] = label
    return LabelMap(found, np.diag([2.0, 2.0, 2.0, 1.0]))


def test_blocks_face_each_other_over_their_common_side() -> None:
    """400 mm² between 1 and 3, 3 and 2; label 4 is not there."""
    found = contact_mm2(blocks(1, 3, 2), 4)
    expected = np.zeros((4, 4))
    expected[0, 2] = expected[2, 0] = expected[1, 2] = expected[2, 1] = 400
    np.testing.assert_allclose(found, expected)


def test_neighbours_touch_in_every_heart_that_has_both() -> None:
    rows = [(1, 2, 3), (1, 2, 0, 3), (0, 0, 2, 3)]  # the second has a gap; the third has no 1
    areas = [contact_mm2(blocks(*labels), 3) for labels in rows]
    there = [np.array([label in labels for label in (1, 2, 3)]) for labels in rows]
    expected = np.zeros((3, 3), dtype=bool)
    expected[0, 1] = expected[1, 0] = True
    np.testing.assert_array_equal(always_touching(areas, there), expected)
    # Of those that nowhere occur together, nothing is known.
    nothing = always_touching(areas[2:], there[2:])
    assert not nothing[0].any()
    assert nothing[1, 2]
