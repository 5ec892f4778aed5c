"""The coronary arteries, from the aortic root along the grooves on the heart's surface."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.phantom.axes import (
    AORTIC,
    PULMONARY,
    TO_AORTA,
    TO_PA,
    TO_RA,
    TRICUSPID,
    VentricleFrame,
)
from vecsetx.anatomy.phantom.parameters import Parameters
from vecsetx.anatomy.phantom.shapes import Offset, Shape, Stretch, Tube, Union, spline_through

_STEP_MM = 2.5
_CLEARANCE_MM = 0.3  # between an artery and the heart's surface
_ITERATIONS = 20
_SMOOTHING_ITERATIONS = 12  # the first ones smooth the centreline, too
_WALL_MM = {"RV": 1.5, "RA": 1.2, "LA": 1.2, "Myocardium": 0.0, "Aorta": 0.3, "PA": 0.6}
"""Thickness of walls that are not structures themselves; the arteries run outside them."""

# Landmarks along the grooves: mm along the septal, anterior and long axes.
_ANTERIOR = [
    (12.0, 31.0, 22.0),
    (16.0, 31.0, 10.0),
    (18.0, 29.0, -5.0),
    (18.0, 26.0, -20.0),
    (15.0, 20.0, -36.0),
    (9.0, 11.0, -52.0),
]
_CIRCUMFLEX = [
    (-3.0, 30.0, 26.0),
    (-16.0, 24.0, 28.0),
    (-26.0, 12.0, 29.0),
    (-29.0, -4.0, 29.0),
    (-24.0, -17.0, 28.0),
]
_INFERIOR = [(13.0, -30.0, 12.0), (15.0, -31.0, -2.0), (15.0, -28.0, -16.0), (13.0, -23.0, -30.0)]
_DIAGONAL = [(-2.0, 31.0, -2.0), (-14.0, 27.0, -14.0), (-21.0, 19.0, -26.0)]


@dataclass(frozen=True, eq=False)
class Artery:
    """One artery's centreline ``[n, 3]`` and radii ``[n]``, mm."""

    line_mm: np.ndarray
    radii_mm: np.ndarray

    def shape(self) -> Tube:
        """Return the artery as a tube."""
        return Tube(self.line_mm, self.radii_mm)


def coronary_arteries(
    heart: Parameters, shapes: Mapping[str, Shape], course_mm: np.ndarray, stretch: Stretch
) -> dict[str, Artery]:
    """Return the LAD, LCx, RCA (down to the posterior descending artery) and a diagonal branch.

    Args:
        heart: The parameters.
        shapes: The stretched shapes of the chambers and great arteries by structure name.
        course_mm: Displacements ``[12, 3]`` of the landmarks.
        stretch: The map already applied to the shapes, to be applied to the landmarks.
    """
    # 1. The heart's outer surface, on which the arteries run.
    walls = {name: Offset(shapes[name], wall) for name, wall in _WALL_MM.items()}
    # Close the seams where chambers and vessels are cut at a valve: an artery could slip in.
    pulmonary_seam = Tube(
        PULMONARY + np.array([[-7.0], [7.0]]) * TO_PA, np.full(2, heart.pa_radius_mm + 1.0)
    )
    tricuspid_seam = Tube(TRICUSPID + np.array([[-6.0], [6.0]]) * TO_RA, np.full(2, 14.0))
    seams = (pulmonary_seam.stretched(stretch), tricuspid_seam.stretched(stretch))
    surface = Union((*walls.values(), *seams), 4.0)
    frame = VentricleFrame(heart.ventricle_tilt_deg)
    radius = heart.coronary_radius_mm

    def placed(landmarks: list[tuple[float, float, float]]) -> np.ndarray:
        return stretch.map_points(np.stack([frame.to_ras(*landmark) for landmark in landmarks]))

    def route(
        start: list[np.ndarray],
        groove: list[tuple[float, float, float]],
        beside: tuple[str, str],
        end_radius: float,
    ) -> Artery:
        guess = placed(groove) + 0.5 * course_mm[: len(groove)]
        in_groove = _in_groove(walls[beside[0]], walls[beside[1]], guess, 0.8 * radius)
        return _artery(surface, np.vstack([*start, in_groove]), radius, end_radius)

    # 2. Left coronary artery: ostium, main stem, then LAD and LCx in their grooves.
    sinus = stretch.map_points(AORTIC + 10.0 * TO_AORTA)
    left = _ostium(shapes["Aorta"], sinus, np.array([-0.93, -0.10, 0.12]))
    right = _ostium(shapes["Aorta"], sinus, np.array([0.15, 0.95, -0.15]))
    main = [left, left + np.array([-5.0, 0.5, 0.5])]
    anterior = route(main, _ANTERIOR, ("Myocardium", "RV"), 0.5)
    circumflex = route(main, _CIRCUMFLEX, ("Myocardium", "LA"), 0.55)
    # 3. Right coronary artery: around the tricuspid valve, then down the inferior groove.
    ring = [_on_tricuspid_ring(angle) for angle in (25.0, 55.0, 85.0, 115.0, 145.0, 175.0, 205.0)]
    around_valve = stretch.map_points(np.stack(ring))
    right_part = _in_groove(walls["RA"], walls["RV"], around_valve, 0.8 * radius)
    inferior = _in_groove(walls["Myocardium"], walls["RV"], placed(_INFERIOR), 0.8 * radius)
    right_course = np.vstack([right, right + np.array([1.5, 4.0, -2.0]), right_part, inferior])
    # 4. A diagonal branch leaves the LAD after a third of its length.
    fork = anterior.line_mm[len(anterior.line_mm) // 3]
    diagonal = np.vstack([fork, placed(_DIAGONAL)])
    return {
        "LAD": anterior,
        "LCx": circumflex,
        "RCA": _artery(surface, right_course, radius, 0.5),
        "diagonal": _artery(surface, diagonal, 0.65 * radius, 0.75),
    }


def _on_tricuspid_ring(angle_deg: float) -> np.ndarray:
    up = np.array([0.0, 0.0, 1.0]) - TO_RA[2] * TO_RA
    up /= np.linalg.norm(up)
    right = np.cross(up, TO_RA)
    angle = np.radians(angle_deg)
    return np.asarray(TRICUSPID + 23.0 * (np.cos(angle) * up + np.sin(angle) * right))


def _ostium(aorta: Shape, sinus: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return the point half a millimetre before a ray from the sinus leaves the aorta."""
    reach = 0.0
    for _ in range(40):
        value, _ = aorta.evaluate((sinus + reach * direction)[None])
        reach -= value[0] + 0.5  # sphere tracing: the value never exceeds the distance
    return np.asarray(sinus + reach * direction)


def _in_groove(
    first: Shape, second: Shape, guess_mm: Float[np.ndarray, "n 3"], level_mm: float
) -> Float[np.ndarray, "n 3"]:
    """Move each point, at right angles to the path, to ``level_mm`` from both shapes."""
    tangent = np.gradient(guess_mm, axis=0)
    points = guess_mm.copy()
    for _ in range(_ITERATIONS):
        (one, one_gradient), (two, two_gradient) = first.evaluate(points), second.evaluate(points)
        # Newton: both values to the level, without moving along the path.
        system = np.stack([one_gradient, two_gradient, tangent], axis=1)
        goal = np.stack([level_mm - one, level_mm - two, np.zeros(len(points))], axis=1)
        # Damped least squares, because the two walls may be nearly parallel.
        square = system.transpose(0, 2, 1) @ system + 0.05 * np.eye(3)
        step = np.linalg.solve(square, system.transpose(0, 2, 1) @ goal[..., None])[..., 0]
        # At most 2 mm per iteration.
        points += step / np.maximum(np.linalg.norm(step, axis=1, keepdims=True) / 2.0, 1.0)
    return points


def _artery(
    surface: Shape, landmarks_mm: Float[np.ndarray, "m 3"], radius_mm: float, taper: float
) -> Artery:
    """Return a smooth, tapering artery that lies on ``surface`` from its second point on."""
    line = spline_through(landmarks_mm, _STEP_MM)
    radii = radius_mm * np.linspace(1.0, taper, len(line))
    # The ostium is inside the aorta; the artery leaves it over its first steps.
    height = radii + _CLEARANCE_MM
    height[0] = -0.5
    for iteration in range(_ITERATIONS):
        # Smoothing moves the line off the surface, and a Newton step moves it back.
        if iteration < _SMOOTHING_ITERATIONS:
            line[1:-1] = 0.25 * line[:-2] + 0.5 * line[1:-1] + 0.25 * line[2:]
        value, gradient = surface.evaluate(line[1:])
        # Deep in a blend the gradient is short, and a full Newton step would overshoot.
        square = np.maximum((gradient * gradient).sum(axis=1), 0.3)
        line[1:] -= np.clip((value - height[1:]) / square, -1.5, 1.5)[:, None] * gradient
    # Drop points that were moved too close together: a tube's radius must not jump.
    apart = np.linalg.norm(np.diff(line, axis=0), axis=1) > 1.1 * np.abs(np.diff(radii))
    kept = np.concatenate([[True], apart])
    return Artery(line[kept], radii[kept])
