"""Pose of a heart in its patient: usual, rotated as if its axes were wrong, or mirrored."""

from dataclasses import dataclass

import numpy as np

from vecsetx.anatomy.sign import inside
from vecsetx.sampling.samples import Samples

__all__ = ["Pose", "pose"]

_USUAL_MM = {
    "LA": (8, -20, 5),
    "LV": (-18, 7, -23),
    "RA": (35, 4, -9),
    "RV": (5, 31, -26),
    "Aorta": (6, -12, 29),
    "PA": (-5, 0, 29),
}
"""Usual centres of the structures relative to each other, RAS+ mm: means over phantoms."""

_MIN_STRUCTURES = 4

_MIRRORED_BELOW = 0.8
"""A heart is mirrored if mirroring reduces its misfit to less than this share."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Pose of a heart.

    Attributes:
        rotation_deg: Angle of the rotation from the usual pose, 0…180. Whole hearts lie within 30°;
            an LPS file read as RAS is rotated by 180°.
        mirrored: Whether the heart is a mirror image.
    """

    rotation_deg: float
    mirrored: bool


def pose(samples: Samples) -> Pose | None:
    """Find the rotation that best maps the usual centres of the structures to this heart's.

    Kabsch, Acta Crystallogr. A 1976;32:922.

    Returns:
        None if fewer than four of the structures with a usual centre have points inside.
    """
    from scipy.spatial.transform import Rotation

    volume = samples.volume
    within = inside(volume.distances_mm)
    known = [
        (_USUAL_MM[name], volume.points_mm[within[:, k]].mean(axis=0))
        for k, name in enumerate(samples.info.structures)
        if name in _USUAL_MM and within[:, k].any()
    ]
    if len(known) < _MIN_STRUCTURES:
        return None
    usual, found = (np.array(part, dtype=np.float64) for part in zip(*known, strict=True))
    usual, found = usual - usual.mean(axis=0), found - found.mean(axis=0)
    u, singular, vt = np.linalg.svd(usual.T @ found)
    # The determinant's sign decides between a rotation and a reflection (Kabsch).
    handedness = np.sign(np.linalg.det(u @ vt))
    # Squared misfits at the best scale, as shares: 1 − (Σ ± singular values)² / (|usual| |found|)².
    sizes = float((usual**2).sum() * (found**2).sum())
    rotated = 1 - (singular[0] + singular[1] + handedness * singular[2]) ** 2 / sizes
    mirrored = 1 - (singular[0] + singular[1] - handedness * singular[2]) ** 2 / sizes
    rotation = vt.T @ np.diag([1, 1, handedness]) @ u.T
    angle = float(np.degrees(Rotation.from_matrix(rotation).magnitude()))
    return Pose(angle, bool(mirrored < _MIRRORED_BELOW**2 * rotated))
