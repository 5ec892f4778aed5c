"""Shapes of the four chambers, the left ventricular wall and the left atrial appendage."""

import numpy as np

from vecsetx.anatomy.phantom.axes import (
    AORTIC,
    MITRAL,
    PULMONARY,
    TO_AORTA,
    TO_BASE,
    TO_PA,
    TO_RA,
    TRICUSPID,
    VentricleFrame,
)
from vecsetx.anatomy.phantom.parameters import Parameters
from vecsetx.anatomy.phantom.shapes import (
    Complement,
    Ellipsoid,
    HalfSpace,
    Intersection,
    Offset,
    Shape,
    Tube,
    Union,
    vessel,
)

_BASE_MM = 27.5  # position of the base plane on the long axis
_ANNULUS_MM = 2.5  # how far the wall extends beyond the base plane, around the two valves
_GROOVE_DEPTH_MM = 5.0
_SEPTUM_MM = 22.0  # septal coordinate that the right ventricle contracts towards


def left_ventricle(heart: Parameters, wall_mm: float) -> Shape:
    """Return the left ventricle: an ellipsoid and the outflow tract up to the aortic valve.

    The shape is cut flat at the base.

    Args:
        heart: The parameters.
        wall_mm: 0 for the cavity; the wall's thickness for the cavity with its wall.
    """
    frame = VentricleFrame(heart.ventricle_tilt_deg)
    radius, length = heart.lv_radius_mm, heart.lv_length_mm
    body = Ellipsoid(
        frame.to_ras(0.0, 0.0, 6.0),
        np.array([0.97 * radius, 1.03 * radius, length]) + np.array([1.0, 1.0, 0.85]) * wall_mm,
        frame.axes,
    )
    thin = 0.45 * wall_mm  # the wall around the outflow tract
    outflow = Tube(
        np.stack([frame.to_ras(4.0, 2.0, 8.0), AORTIC + 4.0 * TO_AORTA]),
        np.array([0.62 * radius, 0.9 * heart.aorta_radius_mm]) + thin,
    )
    cavity = wall_mm == 0.0
    base = HalfSpace((_BASE_MM if cavity else _BASE_MM + _ANNULUS_MM) * TO_BASE, TO_BASE)
    return Intersection(Union((body, outflow), 8.0), base, 2.0 if cavity else 8.0)


def right_ventricle(heart: Parameters) -> Shape:
    """Return the right ventricle: its body and outflow tract, still overlapping the septum."""
    frame = VentricleFrame(heart.ventricle_tilt_deg)
    width, length, squeeze = heart.rv_width, heart.rv_length, heart.rv_squeeze

    def beside(septal: float) -> float:
        """Move a septal coordinate as the free wall moves towards the septum."""
        return _SEPTUM_MM + squeeze * (septal - _SEPTUM_MM)

    inner, outer = 20.0 - 36.0 * width, beside(20.0 + 36.0 * width)
    narrow = squeeze**0.5
    body = Ellipsoid(
        frame.to_ras((inner + outer) / 2, -1.0, 1.0),
        np.array([(outer - inner) / 2, 30.0 * narrow, 42.0 * length]),
        frame.axes,
    )
    margin = vessel(  # the acute margin, from the base towards the apex
        np.array(
            [
                [*frame.to_ras(beside(41.0), -12.0, 14.0), 20.0 * narrow],
                [*frame.to_ras(beside(39.0), -16.0, -8.0 * length), 17.0 * width * narrow],
                [*frame.to_ras(beside(28.0), -14.0, -28.0 * length), 13.5 * width * narrow],
            ]
        ),
        flat_end=False,
    )
    outflow = vessel(
        np.array(
            [
                [*frame.to_ras(beside(37.0), 8.0, 0.0), 19.0 * width * narrow],
                [*frame.to_ras(beside(33.0), 22.0, 12.0), 16.5 * width * narrow],
                [*(PULMONARY - 2.0 * TO_PA), 1.06 * heart.pa_radius_mm],
                [*(PULMONARY + 6.0 * TO_PA), 1.06 * heart.pa_radius_mm],
            ]
        ),
        flat_end=False,
    )
    # Cut at the planes of the pulmonary and the tricuspid valve.
    below_valve = HalfSpace(PULMONARY, TO_PA)
    before_valve = HalfSpace(TRICUSPID, TO_RA)
    return Intersection(
        Intersection(Union((body, margin, outflow), 10.0), below_valve, 0.6), before_valve, 2.0
    )


def left_atrium(heart: Parameters, antra: tuple[Shape, ...]) -> Shape:
    """Return the left atrium with its mitral funnel and the antra of the pulmonary veins."""
    # Orthonormal axes by Gram–Schmidt, from two approximate directions.
    long_axis = np.array([0.86, 0.08, 0.50])
    short_axis = np.array([-0.10, 1.0, 0.1])
    long_axis /= np.linalg.norm(long_axis)
    short_axis -= (short_axis @ long_axis) * long_axis
    short_axis /= np.linalg.norm(short_axis)
    axes = np.stack([long_axis, np.cross(short_axis, long_axis), short_axis], axis=1)
    body = Ellipsoid(
        np.array([29.0, -26.5, 30.0]),
        np.array([26.0, 19.0, 17.5]) * np.array(heart.la_radii),
        axes,
    )
    funnel = Tube(
        np.stack([np.array([26.0, -24.0, 28.0]), MITRAL - 5.0 * TO_BASE]),
        np.array([16.0, 14.0]) * heart.la_radii[1] * heart.mitral_width,
    )
    behind_aorta = HalfSpace(np.array([28.0, -8.5, 32.0]), np.array([0.1, 0.97, 0.22]))
    return Intersection(Union((body, funnel, *antra), 7.0), behind_aorta, 5.0)


def right_atrium(heart: Parameters) -> Shape:
    """Return the right atrium with appendage, tricuspid funnel and stumps of the venae cavae."""
    along_r, along_a, along_s = heart.ra_radii
    middle = np.array([57.5, -3.0, 13.0])
    wide = Ellipsoid(middle, np.array([19.0, 22.5, 22.0]) * np.array(heart.ra_radii))
    tall = Tube(
        middle + np.array([[0.0, -3.0, -8.0 * along_s], [-1.0, -3.0, 9.0 * along_s]]),
        np.array([17.5, 16.5]) * along_r,
    )
    appendage = vessel(
        np.array(
            [
                [*(middle + np.array([0.0, 12.0, 12.0]) * along_a), 13.0 * along_r],
                [56.0, 19.0, 31.0, 10.5 * along_r],
                [48.0, 26.0, 39.0, 7.0 * along_r],
            ]
        ),
        flat_end=False,
    )
    funnel = Tube(
        np.stack([middle + np.array([-2.0, 4.0, -4.0]), TRICUSPID - 4.0 * TO_RA]),
        np.array([17.0, 15.5]) * along_a,
    )
    # Stumps of the venae cavae, cut flat.
    superior = vessel(
        np.array(
            [
                [*(middle + np.array([-1.0, -6.0, 14.0])), 9.0],
                [*(middle + np.array([-1.0, -8.0, 25.0 * along_s])), 8.5],
                [*(middle + np.array([-1.0, -9.0, 25.0 * along_s + 12.0])), 8.2],
            ]
        ),
        flat_end=True,
    )
    inferior = vessel(
        np.array(
            [
                [*(middle + np.array([-2.0, -9.0, -13.0])), 10.0],
                [*(middle + np.array([-3.0, -12.0, -24.0 * along_s])), 9.8],
                [*(middle + np.array([-4.0, -14.0, -25.0 * along_s - 7.0])), 9.5],
            ]
        ),
        flat_end=True,
    )
    return Union((Union((wide, tall, appendage, funnel), 7.0), superior, inferior), 3.0)


def left_atrial_appendage(
    heart: Parameters, left_ventricle_and_wall: Shape, course_mm: np.ndarray
) -> Shape:
    """Return the left atrial appendage: a curved pouch with lobes beside the pulmonary trunk.

    It starts at the left atrium, points forward and stays above the groove of the circumflex
    artery.

    Args:
        heart: The parameters.
        left_ventricle_and_wall: The left ventricle's cavity with its wall.
        course_mm: Displacements ``[4, 3]`` of the pouch's landmarks.
    """
    root = np.array([11.0, -22.0, 38.5])
    steps = np.array(
        [
            [0.0, 0.0, 0.0],
            [-10.0, 6.0, 6.0],
            [-15.0, 16.0, 9.5],
            [-13.5, 27.0, 9.0],
            [-8.5, 35.0, 6.5],
        ]
    )
    # The root stays in the atrium; only the other landmarks vary.
    line = root + steps * heart.laa_length
    line[1:] += 0.8 * course_mm[:4]
    radii = heart.laa_radius_mm * np.array([0.95, 0.95, 1.05, 0.9, 0.55])
    pouch = vessel(np.column_stack([line, radii]), flat_end=False)
    lobes = tuple(
        Tube(
            np.stack([line[i], line[i] + np.array(direction)]), heart.laa_radius_mm * np.array(size)
        )
        for i, direction, size in (
            (1, (-5.0, 1.0, -4.0), (0.8, 0.45)),
            (2, (-5.5, 2.0, 4.0), (0.8, 0.5)),
            (3, (-5.5, 3.0, -3.5), (0.75, 0.4)),
        )
    )
    above_groove = Complement(Offset(left_ventricle_and_wall, _GROOVE_DEPTH_MM))
    return Intersection(Union((pouch, *lobes), 3.5), above_groove, 3.0)
