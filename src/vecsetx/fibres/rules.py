"""Fibres by rule: of ventricles after Bayer et al. 2012, of atria around the valve's axis.

Bayer, Blake, Plank, Trayanova: "A novel rule-based algorithm for assigning myocardial fiber
orientation to computational heart models", Ann Biomed Eng 2012;40:2243. Three things differ:

* Depths are solutions that change evenly across the wall, and where it ends go on as inside
  (:func:`~vecsetx.fibres.depths.depths`); angles are linear in them. In the original, the angle in
  the free wall is quadratic in the depth.
* Frames of the two ventricles are mixed by the coordinate ``ventricle``, which is known everywhere.
* Frames keep the direction across the wall; the one along the heart is made perpendicular to it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from vecsetx.fibres.depths import depths
from vecsetx.fibres.frames import between, frames, turned
from vecsetx.fibres.laplace import LaplaceProblem
from vecsetx.fibres.muscle import Muscle

__all__ = ["Angles", "Rule", "atrial_rule", "ventricular_rule"]


@dataclass(frozen=True, slots=True)
class Angles:
    """Angles of fibres and sheets, degrees.

    Attributes:
        fibre: Of fibres, at the inner and the outer surface: 0 runs around the heart, positive
            ones rise counterclockwise seen from the base.
        sheet: Of sheets, likewise: 0 runs straight across the wall.
    """

    fibre: tuple[float, float] = (60.0, -60.0)
    sheet: tuple[float, float] = (-65.0, 25.0)


@dataclass(frozen=True, slots=True)
class Rule:
    """Coordinates and fibres of some muscle.

    Attributes:
        coordinates: Name → a number per vertex, 0 to 1.
        fibre: Unit vectors per tetrahedron.
        sheet: Unit vectors across the fibres, in the sheets.
    """

    coordinates: dict[str, Float[np.ndarray, " v"]]
    fibre: Float[np.ndarray, "t 3"]
    sheet: Float[np.ndarray, "t 3"]


def ventricular_rule(muscle: Muscle, points_mm: Float[np.ndarray, "v 3"], angles: Angles) -> Rule:
    """Return coordinates and fibres of one or two ventricles.

    ``transmural`` is 0 at the nearer ventricle's inner surface and 1 at the outer one, which of the
    left ventricle is the septum's right side, too. ``apicobasal`` is 0 at the apex and 1 at the
    base; ``ventricle`` is 0 at the left inner surface and 1 at the right one.

    Args:
        muscle: The muscle; its first cavity is LV.
        points_mm: Its vertices.
        angles: Angles of fibres and sheets.

    Raises:
        ArithmeticError: A solution was not found.
    """
    problem = LaplaceProblem(points_mm, muscle.tetrahedra)
    left, right = (muscle.inner.get(name, np.empty(0, np.int64)) for name in ("LV", "RV"))
    near_lv, near_rv, near_outside = depths(problem, (left, right, muscle.outer))
    lv, rv, outside = (_clipped(each) for each in (near_lv, near_rv, near_outside))
    upward = _clipped(problem.solve_evenly([(muscle.apex, 0.0), (muscle.base, 1.0)]))
    ventricle = np.zeros_like(lv)
    if len(right):
        ventricle = _clipped(problem.solve([(left, 0.0), (right, 1.0)]))
    corners = muscle.tetrahedra
    along = problem.directions(upward, without=muscle.base)
    shares = np.stack([each[corners].mean(axis=1) for each in (lv, rv, outside)])
    # Of the other ventricle's inner surface, one sees the frame from behind.
    left_signs, right_signs, outer_signs = (1, -1, 1), (-1, 1, 1), (1, 1, 1)
    found = _oriented(frames(along, -problem.directions(near_lv)), shares, left_signs, angles)
    if len(right):
        other = _oriented(frames(along, -problem.directions(near_rv)), shares, right_signs, angles)
        found = between(found, other, ventricle[corners].mean(axis=1))
    epicardial = _oriented(
        frames(along, problem.directions(near_outside)), shares, outer_signs, angles
    )
    axes = between(found, epicardial, shares[2]).as_matrix()
    # Fibres at the edges of the base have the depth that is found there; surfaces keep theirs.
    transmural = np.where(muscle.is_second, 1 - rv, 1 - lv)
    transmural[muscle.outer] = 1
    transmural[right] = ~muscle.is_second[right]
    transmural[left] = 0
    coordinates = {"transmural": transmural, "apicobasal": upward, "ventricle": ventricle}
    return Rule(coordinates, axes[:, :, 0], axes[:, :, 2])


def atrial_rule(muscle: Muscle, points_mm: Float[np.ndarray, "v 3"]) -> Rule:
    """Return coordinates and fibres of an atrium.

    Fibres run around the axis from the valve to the roof, at every depth. Real atria have bundles,
    which this rule does not know.

    Args:
        muscle: The muscle of one atrium.
        points_mm: Its vertices.

    Raises:
        ArithmeticError: A solution was not found.
    """
    problem = LaplaceProblem(points_mm, muscle.tetrahedra)
    (inner,) = muscle.inner.values()
    _, depth = depths(problem, (inner, muscle.outer))
    downward = problem.solve_evenly([(muscle.apex, 0.0), (muscle.base, 1.0)])
    along = problem.directions(downward, without=muscle.base)
    axes = frames(along, problem.directions(depth)).as_matrix()
    depth = _clipped(depth)
    depth[muscle.outer], depth[inner] = 1, 0
    return Rule({"transmural": depth}, axes[:, :, 0], axes[:, :, 2])


def _oriented(
    frame: Rotation,
    shares: Float[np.ndarray, "3 t"],
    signs: tuple[int, int, int],
    angles: Angles,
) -> Rotation:
    """Turn frames by the angles of the surfaces around, each by its share."""

    def mixed(inner: float, outer: float) -> Float[np.ndarray, " t"]:
        at_surfaces = np.array([inner, inner, outer]) * signs
        return (at_surfaces @ shares) / shares.sum(axis=0)

    return turned(frame, mixed(*angles.fibre), mixed(*angles.sheet))


def _clipped(solution: Float[np.ndarray, " v"]) -> Float[np.ndarray, " v"]:
    """Keep a solution between its boundary values, which linear elements leave a little."""
    return np.clip(solution, 0, 1)
