"""Which structures of a heart touch."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from vecsetx.anatomy.contacts import Contacts
from vecsetx.anatomy.label_map import LabelMap

__all__ = ["CONTACT_MM", "always_touching", "contact_mm2"]

CONTACT_MM = 3.0
"""Voxels by which contacts are measured: on finer ones, narrower gaps part structures."""

_TOUCHING_MM2 = 50.0
"""With less contact, the width of a voxel may decide whether structures touch."""


def contact_mm2(label_map: LabelMap, structures: int) -> Float[np.ndarray, "k k"]:
    """Return the areas over which structures face each other; 0 with itself.

    Args:
        label_map: Labels 1…K; it is thinned to voxels of about :data:`CONTACT_MM`.
        structures: Number of structures K.
    """
    stride = max(round(CONTACT_MM / float(label_map.spacing_mm.min())), 1)
    contacts = Contacts.of(label_map.downsampled(stride))
    rows = np.array(contacts.ids, dtype=np.int64) - 1
    found = np.zeros((structures, structures))
    found[np.ix_(rows, rows)] = contacts.area_mm2[1:, 1:]
    np.fill_diagonal(found, 0.0)
    return found


def always_touching(
    areas_mm2: Sequence[Float[np.ndarray, "k k"]], there: Sequence[Bool[np.ndarray, " k"]]
) -> Bool[np.ndarray, "k k"]:
    """Return which structures touch in every heart that has both.

    Args:
        areas_mm2: The contacts of each heart.
        there: The structures that each heart has.
    """
    both = np.stack([own[:, None] & own for own in there])
    touch = np.stack(areas_mm2) >= _TOUCHING_MM2
    return (touch | ~both).all(axis=0) & both.any(axis=0)
