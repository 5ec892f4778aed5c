"""Carving overlapping shapes into disjoint structures, and voxelizing them.

The structures have an order of precedence. Each keeps the space that no earlier structure claims.
It also keeps a gap, standing for the thin walls in between, to those that it does not touch in a
real heart.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8

from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.sign import label_of

__all__ = ["GAP_MM", "PRECEDENCE", "TOUCHING", "carve", "centred_affine", "label_grid"]

PRECEDENCE = ("LV", "Aorta", "LA", "Myocardium", "RV", "PA", "RA", "Coronary", "LAA", "PV")
"""The structures in order of precedence."""

GAP_MM = 1.2
"""Gap between structures that do not touch, for a heart of size 1."""

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
"""The pairs that touch: at valves, ostia, and along the ventricular wall."""

_BLOCK = 16  # voxels along the edge of the first blocks; halved down to 1
# Offsets of a block's eight children; in ±1, also its corners.
_CHILDREN = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
_LABEL = np.array(
    [0, *(1 + label_set("default").structures.index(name) for name in PRECEDENCE)], dtype=np.uint8
)


def carve(
    from_zero: Float[np.ndarray, "n k"], from_gap: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, "n k"]:
    """Compute the values of the disjoint structures from those of the overlapping shapes.

    max(a, −b) is negative where a is negative and b is not. Where a shape's value is negative, all
    later structures get a positive value, so that no point is inside two structures.

    Args:
        from_zero: Each shape's signed value, in the order of :data:`PRECEDENCE`.
        from_gap: Each shape's signed value relative to the surface offset outwards by the gap.
    """
    # Contiguous columns, because every one of them is read many times.
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


def centred_affine(
    size: tuple[int, int, int], spacing_mm: float | tuple[float, float, float]
) -> Float[np.ndarray, "4 4"]:
    """Return the affine of a grid along R, A and S that is centred on the origin."""
    affine = np.diag([*np.broadcast_to(spacing_mm, 3), 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(size) - 1.0) / 2.0)
    return affine


def label_grid(
    shape: tuple[int, int, int],
    affine: Float[np.ndarray, "4 4"],
    bounds: Callable[[int, np.ndarray], np.ndarray],
    gap_mm: float,
) -> UInt8[np.ndarray, "i j k"]:
    """Compute the label of every voxel from the shapes' values at its centre.

    The grid is subdivided as an octree of blocks. A shape is evaluated at a block's centre only
    while one of the block's voxels could lie on the other side of the shape's surface, or of the
    surface offset by the gap. Because the values are bounds, the labels are exactly those of
    evaluating every shape at every voxel.

    Args:
        shape: Number of voxels along each axis.
        affine: Maps voxel indices to RAS+ mm.
        bounds: ``bounds(k, points_mm)`` returns the signed values of the k-th shape, in order of
            precedence, in mm.
        gap_mm: The gap between structures that do not touch.

    Returns:
        Labels in the order of the default label set, 0 for background.
    """
    # 1. Cover the grid with whole blocks; voxels beyond its end are cut off at last.
    labels = np.zeros([-(-n // _BLOCK) * _BLOCK for n in shape], dtype=np.uint8)
    corner = np.stack(
        np.meshgrid(*(np.arange(0, n, _BLOCK) for n in shape), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    # A shape's value at a block is open while the surface may pass through; else it is kept.
    values = np.zeros((len(corner), len(PRECEDENCE)))
    open_ = np.ones(values.shape, dtype=bool)
    edge = _BLOCK
    while len(corner):
        # 2. Evaluate the open shapes at the centres. In a block, values differ by at most `reach`.
        reach = _half_diagonal(affine, edge)
        middle = (corner + (edge - 1) / 2.0) @ affine[:3, :3].T + affine[:3, 3]
        for k in range(len(PRECEDENCE)):
            rows = np.flatnonzero(open_[:, k])
            values[rows, k] = bounds(k, middle[rows])
            # Where the whole block is inside a structure, no later one matters.
            open_[rows[values[rows, k] < -reach], k + 1 :] = False
        open_ &= (values >= -reach) & (values <= gap_mm + reach)
        # 3. Fill the blocks where nothing is open. Single voxels are always decided.
        settled = ~open_.any(axis=1) if edge > 1 else np.ones(len(corner), dtype=bool)
        _fill(labels, corner[settled], edge, _labels(values[settled], gap_mm))
        edge //= 2
        corner, values, open_ = corner[~settled], values[~settled], open_[~settled]
        # 4. Split the others into eight; children inherit what their parent has settled.
        if len(corner):
            corner = (corner[:, None] + edge * _CHILDREN).reshape(-1, 3)
            values, open_ = np.repeat(values, 8, axis=0), np.repeat(open_, 8, axis=0)
            kept = (corner < np.array(shape)).all(axis=1)
            corner, values, open_ = corner[kept], values[kept], open_[kept]
    i, j, k = shape
    return np.ascontiguousarray(labels[:i, :j, :k])


def _half_diagonal(affine: np.ndarray, edge: int) -> float:
    """Return the distance from a block's centre to its farthest voxel centre, mm."""
    corners = (2 * _CHILDREN - 1) * (edge - 1) / 2.0
    return float(np.linalg.norm(corners @ affine[:3, :3].T, axis=1).max())


def _labels(values: np.ndarray, gap_mm: float) -> np.ndarray:
    return np.asarray(_LABEL[label_of(carve(values, values - gap_mm))])


def _fill(labels: np.ndarray, corner: np.ndarray, edge: int, label: np.ndarray) -> None:
    # A view as blocks [I/e, e, J/e, e, K/e, e], so that one assignment fills any number of them.
    blocks = labels.reshape([m for n in labels.shape for m in (n // edge, edge)])
    i, j, k = (corner // edge).T
    blocks.transpose(0, 2, 4, 1, 3, 5)[i, j, k] = label[:, None, None, None]
