"""Cutting overlapping shapes into disjoint structures.

Structures stand in an order of precedence. Each keeps what no structure before it claims; from
those that it does not touch in a real heart it also keeps a gap, the thin walls between them.
"""

import numpy as np
from jaxtyping import Float

PRECEDENCE = ("LV", "Aorta", "LA", "Myocardium", "RV", "PA", "RA", "Coronary", "LAA", "PV")
"""The structures in the order in which they claim space."""

GAP_MM = 1.2
"""What structures without contact keep between them, for a heart of size 1."""

TOUCHING = frozenset(
    frozenset(pair)
    for pair in (
        ("LV", "Myocardium"),
        ("LV", "LA"),
        ("LV", "Aorta"),
        ("Myocardium", "Aorta"),
        ("Myocardium", "LA"),
        ("Myocardium", "RV"),
        ("Myocardium", "Coronary"),
        ("RV", "RA"),
        ("RV", "PA"),
        ("LA", "LAA"),
        ("LA", "PV"),
        ("Aorta", "Coronary"),
    )
)
"""The pairs that touch: at valves, mouths, openings, and along the ventricular wall."""


def carved(
    from_zero: Float[np.ndarray, "n k"], from_gap: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, "n k"]:
    """Values of the disjoint structures from those of the overlapping shapes.

    max(a, −b) is negative where a is and b is not. Where a shape's value is negative, all after it
    get a positive one: no two structures share a point.

    Args:
        from_zero: Signed values to each shape's surface, in the order of :data:`PRECEDENCE`.
        from_gap: Signed values to the surface that lies the gap outside each shape.
    """
    zero = [np.ascontiguousarray(column) for column in from_zero.T]
    gap = [np.ascontiguousarray(column) for column in from_gap.T]
    values = np.empty_like(from_zero)
    for later, name in enumerate(PRECEDENCE):
        value = zero[later].copy()
        for earlier in range(later):
            touching = frozenset((name, PRECEDENCE[earlier])) in TOUCHING
            np.maximum(value, -(zero if touching else gap)[earlier], out=value)
        values[:, later] = value
    return values
