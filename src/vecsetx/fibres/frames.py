"""Frames of muscle: across the wall, along the heart, and between frames."""

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

__all__ = ["between", "frames", "turned"]

_HALF_TURNS = Rotation.from_rotvec(np.pi * np.concatenate([np.zeros((1, 3)), np.eye(3)]))
"""Turns that change the signs of axes only: fibres and sheets have no sign."""


def frames(along: Float[np.ndarray, "t 3"], across: Float[np.ndarray, "t 3"]) -> Rotation:
    """Return frames whose axes run around the heart, along it, and across its wall.

    They are those of ``axis`` of Bayer et al. 2012, except that the direction across the wall is
    kept and the other one made perpendicular to it.

    Args:
        along: From apex to base; of any length.
        across: From the cavity outwards; of any length.

    Returns:
        Rotations that take the x-axis to the direction around the heart (counterclockwise, seen
        from the base), y to the one along it, and z to the one across its wall.
    """
    z = _unit(across, np.broadcast_to([0.0, 0, 1], across.shape))
    y = along - (along * z).sum(axis=1, keepdims=True) * z
    # Where both directions are the same, any perpendicular one serves.
    other = np.eye(3)[np.abs(z).argmin(axis=1)]
    y = _unit(y, _unit(np.cross(z, other), other))
    return Rotation.from_matrix(np.stack([np.cross(y, z), y, z], axis=2))


def turned(
    frame: Rotation, fibre_deg: Float[np.ndarray, " t"], sheet_deg: Float[np.ndarray, " t"]
) -> Rotation:
    """Turn frames by the angles of fibres and sheets (``orient`` of Bayer et al. 2012).

    Returns:
        Rotations that take x to the fibre, z to the direction in the sheet across it, and y to the
        sheet's normal.
    """
    # Bayer's second matrix turns by the negative angle.
    return (
        frame
        * Rotation.from_euler("z", fibre_deg[:, None], degrees=True)
        * Rotation.from_euler("x", -sheet_deg[:, None], degrees=True)
    )


def between(one: Rotation, other: Rotation, share: Float[np.ndarray, " t"]) -> Rotation:
    """Return frames between two, by the shortest turn (``bislerp`` of Bayer et al. 2012).

    Args:
        one: Frames.
        other: Others.
        share: 0 for the first to 1 for the second.
    """
    angles = np.stack([(one.inv() * other * turn).magnitude() for turn in _HALF_TURNS])
    nearest = other * _HALF_TURNS[angles.argmin(axis=0)]
    turn = (one.inv() * nearest).as_rotvec()
    return one * Rotation.from_rotvec(share[:, None] * turn)


def _unit(
    vectors: Float[np.ndarray, "t 3"], otherwise: Float[np.ndarray, "t 3"]
) -> Float[np.ndarray, "t 3"]:
    """Return vectors of length 1; those without a direction are replaced."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    none = lengths <= 1e-9 * max(float(lengths.max(initial=0)), np.finfo(float).tiny)
    return np.where(none, otherwise, vectors / np.where(none, 1, lengths))
