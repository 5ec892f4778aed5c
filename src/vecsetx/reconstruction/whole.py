"""Where all of a completed heart lies.

A model's frame is that of what it is shown, and so, at first, is the domain in which it is asked.
What it completes may go on beyond: half a heart leaves the other half on one side of its middle. In
training the domain lies about the whole heart, whatever is shown of it; so it is to lie in use.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.frame import Frame
from vecsetx.model.field import HeartField
from vecsetx.reconstruction.octree import find_mm

_MOVES = 10
"""At most so many times the domain is moved; each time, half of what is missing comes to light."""

_SETTLED_MM = 2.0
"""It stays where it is if it would move less than this."""


def about_the_whole(field: HeartField, shown_mm: Float[np.ndarray, "n 3"]) -> HeartField:
    """The same field with its domain about all that the model makes of the heart.

    If the heart ends within the domain, that stays as it is. Else it moves to the middle of what
    was found, until nothing more is. It never leaves what is shown.

    Args:
        field: A heart as encoded.
        shown_mm: Points that hold all that is shown of it, RAS+ mm.
    """
    for _ in range(_MOVES):
        low_mm, high_mm = field.domain.domain_mm()
        found = find_mm(field, low_mm, high_mm)
        if found is None:
            break
        room_mm = 2 * field.reach_mm  # a box that was found may be a block too wide
        if (found[0] > low_mm + room_mm).all() and (found[1] < high_mm - room_mm).all():
            break
        corners_mm = np.stack(
            [np.minimum(found[0], shown_mm.min(axis=0)), np.maximum(found[1], shown_mm.max(axis=0))]
        )
        domain = Frame.around(corners_mm, field.frame.mm_per_unit)
        moved_mm = np.abs(np.subtract(domain.center_mm, field.domain.center_mm)).max()
        if moved_mm < _SETTLED_MM:
            break
        field = replace(field, domain=domain)
    return field
