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
from vecsetx.anatomy.frame import DOMAIN, Frame, corners_mm
from vecsetx.model.heart_field import HeartField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import evaluate_dense

_MOVES = 10
"""Maximum number of times that the domain moves; each move reveals half of what was outside."""

_SPACING_MM = 6.0
"""Spacing of the points at which the heart is searched. It may miss parts of a vessel: the domain
has some margin."""

_CLEAR_MM = 10.0
"""A heart that comes this close to the domain's edge may go on beyond it: more than the distance of
the second of these points from the edge, less than that of the third."""


def recenter_domain(field: HeartField, observed_mm: Float[np.ndarray, "n 3"]) -> HeartField:
    """Return the same field, with its domain centred on the whole predicted heart.

    If the predicted heart does not reach the domain's edge, nothing changes. Otherwise the domain
    moves to the centre of the observed points and the predicted heart, until the heart stays clear
    of the edge or the centre stays put.

    Args:
        field: An encoded heart.
        observed_mm: Points that span the whole observation, RAS+ mm.
    """
    observed = corners_mm(observed_mm, field.frame.rotation)
    for _ in range(_MOVES):
        grid = Grid.around(*field.domain.domain_mm(), _SPACING_MM)
        # 1. Find the predicted heart within the present domain.
        found = np.argwhere(sign.inside(evaluate_dense(field, grid).min(axis=-1)))
        found_mm = grid.to_mm(found.astype(float))
        # 2. Done if it stays clear of the domain's edge.
        clear = DOMAIN - field.domain.length_to_unit(_CLEAR_MM)
        if not (np.abs(field.domain.to_unit(found_mm)) >= clear).any():
            break
        # 3. Centre the domain on it and the observation. This may reveal more of the heart.
        domain = Frame.around(
            np.concatenate([observed, found_mm]), field.frame.mm_per_unit, field.frame.rotation
        )
        if np.allclose(domain.center_mm, field.domain.center_mm, atol=_SPACING_MM / 2):
            break
        field = replace(field, domain=domain)
    return field
