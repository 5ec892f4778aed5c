"""Shapes of the great arteries and the pulmonary veins."""

import numpy as np

from vecsetx.anatomy.phantom.axes import AORTIC, PULMONARY, TO_AORTA, TO_PA
from vecsetx.anatomy.phantom.parameters import Parameters
from vecsetx.anatomy.phantom.shapes import HalfSpace, Intersection, Shape, Union, vessel

_VEIN_ROOTS = np.array(
    [[10.0, -33.0, 39.0], [11.0, -34.0, 25.0], [46.0, -33.0, 40.0], [46.0, -36.0, 26.0]]
)
_VEIN_DIRECTIONS = np.array(
    [[-0.80, -0.45, 0.35], [-0.85, -0.40, -0.15], [0.88, -0.25, 0.25], [0.82, -0.50, -0.15]]
)


def aorta(heart: Parameters, course_mm: np.ndarray) -> Shape:
    """Return the aorta: root with sinuses, ascending aorta, arch and upper descending aorta.

    The descending aorta is cut flat.

    Args:
        heart: The parameters.
        course_mm: Displacements ``[8, 3]`` of the landmarks beyond the root.
    """
    # 1. Landmarks (x, y, z, radius) of the root, through the valve, with the bulge of the sinuses.
    radius, rise = heart.aorta_radius_mm, np.array([0.0, 0.0, heart.arch_rise_mm])
    root = np.array(
        [
            [*(AORTIC - 5.0 * TO_AORTA), 0.92 * radius],
            [*(AORTIC + 2.0 * TO_AORTA), 1.0 * radius],
            [*(AORTIC + 9.0 * TO_AORTA), 1.2 * radius],
            [*(AORTIC + 18.0 * TO_AORTA), 1.02 * radius],
        ]
    )
    # 2. Landmarks from the ascending aorta over the arch; the top of the arch rises most.
    course = np.array(
        [
            [41.5, 9.0, 53.0],
            [39.5, 3.0, 65.0],
            [32.5, -10.0, 73.5],
            [23.0, -26.0, 75.5],
            [14.5, -41.5, 70.5],
            [9.5, -52.0, 60.5],
            [8.0, -56.0, 46.0],
        ]
    )
    course += rise * np.array([0.1, 0.5, 0.9, 1.0, 0.9, 0.5, 0.2])[:, None]
    course += 0.6 * course_mm[:7]
    widths = radius * np.array([1.0, 0.99, 0.95, 0.9, 0.86, 0.83, 0.82])
    ascending = vessel(np.vstack([root, np.column_stack([course, widths])]), flat_end=False)
    # 3. The descending aorta, down to its flat end.
    foot = course[-1] + np.array([1.5, -2.0, -26.0])
    middle = 0.5 * (course[-1] + foot) + 0.5 * course_mm[7] * np.array([1.0, 1.0, 0.0])
    descending = vessel(
        np.column_stack(
            [np.stack([course[-1], middle, foot]), radius * np.array([0.82, 0.8, 0.78])]
        ),
        flat_end=True,
    )
    return Union((ascending, descending), 1.0)


def pulmonary_artery(heart: Parameters, course_mm: np.ndarray) -> Shape:
    """Return the pulmonary artery: the trunk, a right branch under the arch and a left one.

    The trunk lies in front and to the left of the aorta.

    Args:
        heart: The parameters.
        course_mm: Displacements ``[8, 3]`` of the landmarks.
    """
    radius = heart.pa_radius_mm
    fork = np.array([11.0, -9.0, 58.0]) + 0.5 * course_mm[1]
    trunk = vessel(
        np.array(
            [
                [*(PULMONARY - 3.0 * TO_PA), 1.0 * radius],
                [*(PULMONARY + 3.0 * TO_PA), 1.05 * radius],
                [*(np.array([12.0, 13.0, 51.0]) + 0.6 * course_mm[0]), 1.03 * radius],
                [*fork, 0.92 * radius],
            ]
        ),
        flat_end=False,
    )
    right = vessel(
        np.array(
            [
                [*(fork + np.array([-1.0, 2.0, -1.0])), 0.75 * radius],
                [*(np.array([22.0, -20.0, 57.5]) + 0.4 * course_mm[2]), 0.66 * radius],
                [*(np.array([40.0, -24.0, 57.0]) + 0.4 * course_mm[3]), 0.62 * radius],
                [*(np.array([60.0, -27.0, 54.0]) + course_mm[4]), 0.55 * radius],
            ]
        ),
        flat_end=True,
    )
    left = vessel(
        np.array(
            [
                [*(fork + np.array([1.0, 2.0, -1.0])), 0.75 * radius],
                [*(np.array([3.0, -23.0, 59.0]) + 0.5 * course_mm[5]), 0.68 * radius],
                [*(np.array([-8.0, -35.0, 56.0]) + 0.5 * course_mm[6]), 0.6 * radius],
                [*(np.array([-16.0, -45.0, 48.0]) + course_mm[7]), 0.5 * radius],
            ]
        ),
        flat_end=True,
    )
    above_valve = HalfSpace(PULMONARY, -TO_PA)
    return Intersection(Union((trunk, right, left), 5.0), above_valve, 0.6)


def pulmonary_veins(
    heart: Parameters, course_mm: np.ndarray
) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
    """Return the four pulmonary veins and their antra, which belong to the left atrium.

    Args:
        heart: The parameters.
        course_mm: Displacements ``[8, 3]``: of the four roots, then of the four bends.
    """
    veins, antra = [], []
    for k in range(4):
        direction = _VEIN_DIRECTIONS[k] / np.linalg.norm(_VEIN_DIRECTIONS[k])
        root = _VEIN_ROOTS[k] + 0.5 * course_mm[k] * np.array([0.3, 1.0, 1.0])
        radius, length = heart.vein_radius_mm[k], heart.vein_length_mm[k]
        bend = 0.8 * course_mm[4 + k]
        antra.append(
            vessel(
                np.array(
                    [
                        [*(root - 6.0 * direction), 1.5 * radius],
                        [*(root + 3.0 * direction), 1.08 * radius],
                    ]
                ),
                flat_end=True,
            )
        )
        veins.append(
            vessel(
                np.array(
                    [
                        [*(root - 4.0 * direction), 1.05 * radius],
                        [*(root + 5.0 * direction), radius],
                        [*(root + 0.6 * length * direction + 0.5 * bend), 0.95 * radius],
                        [*(root + (3.0 + length) * direction + bend), 0.88 * radius],
                    ]
                ),
                flat_end=True,
            )
        )
    return tuple(veins), tuple(antra)
