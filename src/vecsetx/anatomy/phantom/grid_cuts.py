"""Which structures of a phantom the edge of its grid cuts."""

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.phantom.phantom_heart import STRUCTURES

__all__ = ["WHOLE_MM", "cut_structures"]

WHOLE_MM = 152.0
"""Edge of a grid that holds the largest of 40 phantoms of size 1 whole."""

_VESSELS = ("Aorta", "PA", "PV")


def cut_structures(label_map: LabelMap) -> tuple[str, ...]:
    """Return the structures that reach the edge; not great vessels, whose ends scans cut, too.

    Args:
        label_map: A phantom's map, with labels 1…10 in the order of :data:`STRUCTURES`.
    """
    labels = label_map.labels
    edges = [np.take(labels, at, axis).ravel() for axis in range(3) for at in (0, -1)]
    shown = set(np.unique(np.concatenate(edges)).tolist())
    named = enumerate(STRUCTURES, start=1)
    return tuple(name for label, name in named if label in shown and name not in _VESSELS)
