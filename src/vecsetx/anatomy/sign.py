"""The sign convention of every distance in VecSetX: negative inside.

This is the only place that compares a distance with zero. Everyone else asks :func:`inside`.
The functions take numpy arrays and torch tensors alike.
"""

from typing import Any

import numpy as np
import torch


def inside(distance: Any) -> Any:
    """Whether a signed distance (any unit) lies inside its structure. Same shape, boolean."""
    return distance < 0


def outward(distance: Any, is_inside: Any) -> Any:
    """Give unsigned distances their sign: negative where ``is_inside``, positive elsewhere."""
    where = torch.where if isinstance(distance, torch.Tensor) else np.where
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
    if isinstance(distances, torch.Tensor):
        nearest, structure = distances.min(dim=-1)
        return torch.where(inside(nearest), structure + 1, torch.zeros_like(structure))
    return np.where(inside(distances.min(axis=-1)), distances.argmin(axis=-1) + 1, 0)
