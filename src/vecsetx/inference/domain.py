"""Where all of a completed heart lies.

A model's frame is that of what it is shown, and so, at first, is the domain in which it is asked.
What it completes may go on beyond: half a heart leaves the other half on one side of its middle. In
training the domain lies about the whole heart, whatever is shown of it; so it is to lie in use.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy import sign
from vecsetx.anatomy.frame import Frame
from vecsetx.model.heart_field import HeartField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import evaluate_dense

_MOVES = 10
"""At most so many times the domain is moved; each time, half of what is missing comes to light."""

_SPACING_MM = 6.0
"""Of the points at which the heart is looked for. Some of a vessel will do: a domain has room to
spare."""


def recenter_domain(field: HeartField, observed_mm: Float[np.ndarray, "n 3"]) -> HeartField:
    """The same field with its domain about all that the model makes of the heart.

    If the heart ends within the domain, that stays as it is. Else it moves to the middle of what
    was found, until nothing more is. It never leaves what is shown.

    Args:
        field: A heart as encoded.
        observed_mm: Points that hold all that is shown of it, RAS+ mm.
    """
    corners_mm = np.stack([observed_mm.min(axis=0), observed_mm.max(axis=0)])
    for _ in range(_MOVES):
        grid = Grid.around(*field.domain.domain_mm(), _SPACING_MM)
        found = np.argwhere(sign.inside(evaluate_dense(field, grid).min(axis=-1)))
        if not ((found <= 1) | (found >= np.array(grid.shape) - 2)).any():
            break
        made_mm = grid.to_mm(found.astype(float))
        domain = Frame.around(np.concatenate([corners_mm, made_mm]), field.frame.mm_per_unit)
        if np.allclose(domain.center_mm, field.domain.center_mm, atol=_SPACING_MM / 2):
            break
        field = replace(field, domain=domain)
    return field
