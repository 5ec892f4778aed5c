"""The left ventricular wall: its thickness, also in the 17 segments of the AHA."""

from dataclasses import dataclass

import igl
import numpy as np
from jaxtyping import Bool, Float, Int

from vecsetx.measures.triangles import Triangles
from vecsetx.measures.valves import GAP_MM, TOUCHING_MM, Valve, facing

__all__ = ["SEGMENTS", "LongAxis", "OuterWall", "long_axis_of", "outer_wall", "segments_of"]

SEGMENTS = 17
"""Cerqueira et al., "Standardized myocardial segmentation and nomenclature for tomographic imaging
of the heart", Circulation 2002;105:539."""

_OUTWARD = 0.7
"""Cosine of the largest angle between the normal of the outer wall and the way from the cavity. At
the rim around the valves, the normal lies across it."""


@dataclass(frozen=True, slots=True)
class LongAxis:
    """The axis of the left ventricle.

    Attributes:
        base_mm: ``[3]`` centre of the mitral valve, RAS+ mm.
        apex_mm: ``[3]`` the point of the cavity that is farthest from it.
    """

    base_mm: Float[np.ndarray, "3"]
    apex_mm: Float[np.ndarray, "3"]

    @property
    def length_mm(self) -> float:
        """Length of the cavity, mm."""
        return float(np.linalg.norm(self.apex_mm - self.base_mm))

    @property
    def direction(self) -> Float[np.ndarray, "3"]:
        """Unit vector from the base to the apex."""
        return (self.apex_mm - self.base_mm) / self.length_mm

    def share(self, points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        """Return where points lie along the axis: 0 at the base, 1 at the cavity's apex."""
        return (points_mm - self.base_mm) @ self.direction / self.length_mm


@dataclass(frozen=True, slots=True)
class OuterWall:
    """The outer surface of the wall.

    Attributes:
        centers_mm: ``[N, 3]`` centre of each of its triangles, RAS+ mm.
        areas_mm2: ``[N]`` their areas.
        thickness_mm: ``[N]`` distance to the cavity.
        septal: ``[N]`` whether it faces the right ventricle.
    """

    centers_mm: Float[np.ndarray, "n 3"]
    areas_mm2: Float[np.ndarray, " n"]
    thickness_mm: Float[np.ndarray, " n"]
    septal: Bool[np.ndarray, " n"]

    def mean_mm(self, of: Bool[np.ndarray, " n"] | slice = slice(None)) -> float:
        """Return the mean thickness over the area of some of the wall; NaN of none."""
        weight = self.areas_mm2[of]
        total = weight.sum()
        return float((weight * self.thickness_mm[of]).sum() / total) if total > 0 else float("nan")


def long_axis_of(cavity: Triangles, mitral: Valve) -> LongAxis:
    """Return the long axis of the left ventricle, from the mitral valve to the apex."""
    away_mm = np.linalg.norm(cavity.vertices_mm - mitral.center_mm, axis=1)
    return LongAxis(mitral.center_mm, cavity.vertices_mm[away_mm.argmax()].astype(np.float64))


def outer_wall(wall: Triangles, cavity: Triangles, right: Triangles | None) -> OuterWall:
    """Return the outer surface of the wall, and how far it is from the cavity.

    Of the wall's surface, that is the part whose normal points away from the cavity; the rest is
    the endocardium, and the rim around the valves.

    Args:
        wall: Surface of the myocardium.
        cavity: Surface of the left ventricle.
        right: Surface of the right ventricle; None if it is not known.
    """
    square, _, inner_mm = igl.point_mesh_squared_distance(
        wall.centers_mm, cavity.vertices_mm, cavity.faces
    )
    distance_mm = np.sqrt(square)
    outward = ((wall.centers_mm - inner_mm) * wall.normals).sum(axis=1) > _OUTWARD * distance_mm
    outward &= distance_mm > TOUCHING_MM  # where the two surfaces are one
    septal = np.zeros(len(wall.faces), dtype=bool) if right is None else facing(wall, right, GAP_MM)
    return OuterWall(
        wall.centers_mm[outward],
        wall.areas_mm2[outward],
        distance_mm[outward],
        septal[outward],
    )


def segments_of(wall: OuterWall, axis: LongAxis) -> Int[np.ndarray, " n"] | None:
    """Return the AHA segment, 1…17, of each part of the outer wall.

    Thirds of the cavity's length are basal, mid and apical; what lies beyond the cavity is segment
    17. Around the axis, the middle of the septum, where the wall faces the right ventricle, lies
    between segments 2 and 3 (8 and 9), and in the middle of segment 14.

    Returns:
        None if no part of the wall faces the right ventricle: nothing tells where the septum is.
    """
    if not wall.septal.any():
        return None
    away_mm = wall.centers_mm - axis.base_mm
    across = away_mm - np.outer(away_mm @ axis.direction, axis.direction)
    weight = wall.areas_mm2[wall.septal, None] / np.maximum(
        np.linalg.norm(across[wall.septal], axis=1, keepdims=True), 1e-9
    )
    septum = (weight * across[wall.septal]).sum(axis=0)
    septum /= np.linalg.norm(septum)
    # Seen from the apex, the septum is on the left and the anterior wall above.
    anterior = np.cross(septum, axis.direction)
    # From the middle of the septum through the anterior, lateral and inferior walls.
    angle_deg = np.degrees(np.arctan2(across @ anterior, across @ septum)) % 360
    # 2 (anteroseptal), 1 (anterior), 6 (anterolateral), 5 (inferolateral), 4 (inferior), 3
    sixth = np.array([2, 1, 6, 5, 4, 3])[(angle_deg // 60).astype(int) % 6]
    # 14 (septal), 13 (anterior), 16 (lateral), 15 (inferior)
    quarter = np.array([14, 13, 16, 15])[((angle_deg + 45) // 90).astype(int) % 4]
    share = axis.share(wall.centers_mm)
    return np.select([share < 1 / 3, share < 2 / 3, share <= 1], [sixth, sixth + 6, quarter], 17)
