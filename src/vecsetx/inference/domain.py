"""Centre a field's domain on the whole heart.

A model's frame is centred on the observation, and so, after encoding, is the domain in which its
field is evaluated. The completed heart may extend beyond that domain: if half a heart is observed,
the other half lies on one side of the domain's centre. In training, the domain is always centred on
the whole heart, whichever part is observed; :func:`recenter_domain` achieves the same in use.
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
"""Maximum number of times that the domain moves; each move reveals half of what was outside."""

_SPACING_MM = 6.0
"""Spacing of the points at which the heart is searched. It may miss parts of a vessel: the domain
has some margin."""


def recenter_domain(field: HeartField, observed_mm: Float[np.ndarray, "n 3"]) -> HeartField:
    """Return the same field, with its domain centred on the whole predicted heart.

    If the predicted heart does not reach the domain's edge, nothing changes. Otherwise the domain
    moves to the centre of the observed points and the predicted heart, until the heart stays clear
    of the edge or the centre stays put.

    Args:
        field: An encoded heart.
        observed_mm: Points that span the whole observation, RAS+ mm.
    """
    corners_mm = np.stack([observed_mm.min(axis=0), observed_mm.max(axis=0)])
    for _ in range(_MOVES):
        grid = Grid.around(*field.domain.domain_mm(), _SPACING_MM)
        # 1. Find the predicted heart within the present domain.
        found = np.argwhere(sign.inside(evaluate_dense(field, grid).min(axis=-1)))
        # 2. Done if it stays two grid points clear of the domain's edge.
        if not ((found <= 1) | (found >= np.array(grid.shape) - 2)).any():
            break
        # 3. Centre the domain on it and the observation. This may reveal more of the heart.
        found_mm = grid.to_mm(found.astype(float))
        domain = Frame.around(np.concatenate([corners_mm, found_mm]), field.frame.mm_per_unit)
        if np.allclose(domain.center_mm, field.domain.center_mm, atol=_SPACING_MM / 2):
            break
        field = replace(field, domain=domain)
    return field
