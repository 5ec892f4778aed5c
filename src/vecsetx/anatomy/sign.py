"""The sign convention of all distances in VecSetX: negative inside.

This is the only module that compares a distance with zero; all others call :func:`inside`. The
functions accept numpy arrays and torch tensors.
"""

import sys
from typing import Any

import numpy as np


def inside(distance: Any) -> Any:
    """Return whether signed distances (any unit) are inside; booleans of the same shape."""
    return distance < 0


def with_sign(distance: Any, is_inside: Any) -> Any:
    """Return distances with a new sign: negative where ``is_inside``, positive elsewhere.

    The sign that ``distance`` has is ignored.
    """
    where = sys.modules["torch"].where if _is_tensor(distance) else np.where
    return where(is_inside, -abs(distance), abs(distance))


def inside_logit(distance: Any, sharpness: float) -> Any:
    """Return the logit of being inside: ``−sharpness · distance``, positive inside."""
    return -sharpness * distance


def label_of(distances: Any) -> Any:
    """Return the label of each point from its signed distances to K structures.

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
    # A caller that has a tensor has imported torch, which is too slow to import otherwise.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)
