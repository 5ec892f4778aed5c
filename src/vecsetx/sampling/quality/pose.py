"""How a heart lies in its patient: upright, turned as if axes had been mistaken, or mirrored."""

from dataclasses import dataclass

import numpy as np

from vecsetx.anatomy.sign import inside
from vecsetx.sampling.samples import Samples

USUAL_MM = {
    "LA": (8, -20, 5),
    "LV": (-18, 7, -23),
    "RA": (35, 4, -9),
    "RV": (5, 31, -26),
    "Aorta": (6, -12, 29),
    "PA": (-5, 0, 29),
}
"""Where the structures' centres lie to each other in RAS+ mm: means over phantom hearts."""

FEWEST_STRUCTURES = 4

_MIRRORED_BELOW = 0.8
"""A mirrored heart fits by less than this share of the misfit that it has unmirrored."""


@dataclass(frozen=True, slots=True)
class Pose:
    """How a heart lies.

    Attributes:
        turned_deg: Angle of the rotation from the usual pose, 0 to 180. Whole hearts lie within
            30°; an LPS file read as RAS is turned by 180°.
        mirrored: Whether it is its own mirror image.
    """

    turned_deg: float
    mirrored: bool


def pose(samples: Samples) -> Pose | None:
    """The rotation that best takes the usual centres of the structures to this heart's.

    Kabsch, Acta Crystallogr. A 1976;32:922. None with fewer than :data:`FEWEST_STRUCTURES`.
    """
    volume = samples.volume
    within = inside(volume.distances_mm)
    known = [
        (USUAL_MM[name], volume.points_mm[within[:, k]].mean(axis=0))
        for k, name in enumerate(samples.info.structures)
        if name in USUAL_MM and within[:, k].any()
    ]
    if len(known) < FEWEST_STRUCTURES:
        return None
    usual, found = (np.array(part, dtype=np.float64) for part in zip(*known, strict=True))
    usual, found = usual - usual.mean(axis=0), found - found.mean(axis=0)
    u, singular, vt = np.linalg.svd(usual.T @ found)
    handed = np.sign(np.linalg.det(u @ vt))
    # Squared misfits at the best scale, as shares: 1 − (Σ ± singular values)² / (|usual| |found|)².
    sizes = float((usual**2).sum() * (found**2).sum())
    turned = 1 - (singular[0] + singular[1] + handed * singular[2]) ** 2 / sizes
    mirrored = 1 - (singular[0] + singular[1] - handed * singular[2]) ** 2 / sizes
    rotation = vt.T @ np.diag([1, 1, handed]) @ u.T
    cosine = np.clip((np.trace(rotation) - 1) / 2, -1, 1)
    return Pose(float(np.degrees(np.arccos(cosine))), bool(mirrored < _MIRRORED_BELOW**2 * turned))
