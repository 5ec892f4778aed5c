"""The sign convention of every distance in VecSetX: negative inside.

This is the only place that compares a distance with zero. Everyone else asks :func:`inside`.
The functions take numpy arrays and torch tensors alike.
"""

import sys
from typing import Any

import numpy as np


def inside(distance: Any) -> Any:
    """Whether a signed distance (any unit) lies inside its structure. Same shape, boolean."""
    return distance < 0


def with_sign(distance: Any, is_inside: Any) -> Any:
    """Give unsigned distances their sign: negative where ``is_inside``, positive elsewhere."""
    where = sys.modules["torch"].where if _is_tensor(distance) else np.where
    return where(is_inside, -abs(distance), abs(distance))


def inside_logit(distance: Any, sharpness: float) -> Any:
    """Logit of being inside: positive inside, growing by ``sharpness`` per unit of distance."""
    return -sharpness * distance


def label_of(distances: Any) -> Any:
    """Label of each point from its distances to K structures.

    Args:
        distances: ``[..., K]``, one signed distance per structure.

    Returns:
        Integers ``[...]``: ``k + 1`` for the structure the point is deepest inside, 0 for
        background.
    """
    if _is_tensor(distances):
        nearest, structure = distances.min(dim=-1)
        return (structure + 1) * inside(nearest)
    return np.where(inside(distances.min(axis=-1)), distances.argmin(axis=-1) + 1, 0)


def _is_tensor(values: Any) -> bool:
    # Whoever has a tensor has imported torch; those who sample hearts shall not wait for it.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)
