"""One mesh of the walls between all structures of a field, without overlaps or gaps.

This is a surface net (Gibson, "Constrained elastic surface nets", MICCAI 1998): one quad crosses
every voxel edge between two labels, and its corners are the vertices of the four cells around that
edge. Both structures own the same quad, so they share their wall exactly, and a vertex where three
structures meet belongs to all three.

The distances at an edge's two ends determine where the wall crosses it. A cell's vertex is the mean
of the crossings on the cell's edges. On curved surfaces, this mean lies on the inside of the curve:
a tube with a radius of 1.5 voxels would lose 18% of its volume. Hence the vertices move once along
the walls' normals, by the distance between quads and crossings. That reduces the loss to 2%
(flying edges lose 10%) and halves the error of a ball. Moving them a second time does not improve
the volume, and makes the worst vertex worse.
"""

import numpy as np
from jaxtyping import Float, Int

from vecsetx.geometry.interfaces import SharedSurface
from vecsetx.reconstruction.octree import ExclusiveOctree

_RIM_ROUNDS = 10
_SHRINK, _GROW = 0.5, -0.53
"""Pair of steps that smooths a curve without shrinking it (Taubin, SIGGRAPH 1995)."""


def shared_interfaces(octree: ExclusiveOctree) -> SharedSurface:
    """Mesh the walls between all labels, background included.

    Structures that reach the edge of the grid are closed there, half a voxel beyond the last voxel.
    Where a structure touches itself along a single voxel edge, as thin vessels and sharp creases
    do, the mesh touches itself, too: four of its faces may meet there. It is still closed: every
    edge is traversed equally often in both directions.

    Args:
        octree: A field on a grid.

    Returns:
        The walls in RAS+ mm. The first side of a face is the smaller of its two labels, background
        excepted.
    """
    labels = np.pad(octree.labels, 1)  # background around the grid closes all surfaces
    # 1. A quad for each voxel edge between two labels: its four cells, where the wall crosses the
    #    edge, and the labels on the two sides.
    cells, crossings, sides = [], [], []
    for axis in range(3):
        ends = _wall_edges(labels, axis)
        cells.append(_cells_around(ends, axis, labels.shape))
        pair = np.stack([labels[tuple(ends.T)], labels[tuple((ends + _step(axis)).T)]], axis=1)
        sides.append(pair.astype(np.int64))
        # Without the layer of background, indices are lower by one.
        share = _share(octree, ends - 1, axis, sides[-1])
        crossings.append(ends - 1 + share[:, None] * _step(axis))
    crossings_mm = octree.grid.to_mm(np.concatenate(crossings))
    # 2. A vertex for each of these cells, placed by the crossings on its edges.
    used, numbers = np.unique(np.concatenate(cells), return_inverse=True)
    quads = numbers.reshape(-1, 4)
    vertices_mm = _placed(quads, crossings_mm, len(used))
    _smooth_rims(vertices_mm, quads, np.concatenate(sides))
    # 3. Triangles with a consistent orientation.
    if np.linalg.det(octree.grid.affine[:3, :3]) < 0:
        quads = quads[:, ::-1]  # a mirroring affine turns every face inside out
    return _oriented(vertices_mm, quads, np.concatenate(sides))


def _step(axis: int) -> Int[np.ndarray, "3"]:
    return np.eye(3, dtype=np.int64)[axis]


def _wall_edges(labels: np.ndarray, axis: int) -> Int[np.ndarray, "m 3"]:
    """Return the first voxel of each pair of neighbours along an axis whose labels differ."""
    ahead = np.moveaxis(labels, axis, 0)
    differs = np.moveaxis(ahead[1:] != ahead[:-1], 0, axis)
    return np.stack(np.unravel_index(np.flatnonzero(differs), differs.shape), axis=1)


def _cells_around(
    ends: Int[np.ndarray, "m 3"], axis: int, shape: tuple[int, ...]
) -> Int[np.ndarray, "m 4"]:
    """Return the indices of the four cells around each edge.

    They are in counter-clockwise order, seen against the edge's direction.
    """
    u, v = _step((axis + 1) % 3), _step((axis + 2) % 3)
    corners = np.stack([ends - u - v, ends - v, ends, ends - u], axis=1)
    return np.ravel_multi_index(tuple(np.moveaxis(corners, -1, 0)), shape)


def _share(
    octree: ExclusiveOctree,
    ends: Int[np.ndarray, "m 3"],
    axis: int,
    sides: Int[np.ndarray, "m 2"],
) -> Float[np.ndarray, " m"]:
    """Return where each wall crosses its edge, 0…1; half-way to what is not on the grid or unknown.

    If a gap narrower than a voxel separates two structures, the wall lies in its middle.
    """
    # Beyond the grid there are no distances.
    within = ((ends >= 0) & (ends + _step(axis) < octree.grid.shape)).all(axis=1)
    if octree.unknown is not None:
        known = ~octree.unknown
        one, other = (tuple(end[within].T) for end in (ends, ends + _step(axis)))
        within[within] = known[one] & known[other]
    total, owners = np.zeros(within.sum()), np.zeros(within.sum())
    here = np.abs(octree.rows(ends[within]))
    there = np.abs(octree.rows(ends[within] + _step(axis)))
    # Each structure at the edge says where its distance is 0, by linear interpolation; the wall
    # between two lies at the mean of both. Background has no distance of its own.
    for side in sides[within].T:
        row, owned = np.arange(len(side)), side > 0
        first, second = here[row, side - 1], there[row, side - 1]
        length = first + second
        share = np.divide(first, length, out=np.full(len(side), 0.5), where=length > 0)
        total += np.where(owned, share, 0.0)
        owners += owned
    shares = np.full(len(ends), 0.5)
    shares[within] = total / owners
    return shares


def _placed(
    quads: Int[np.ndarray, "m 4"], crossings_mm: Float[np.ndarray, "m 3"], count: int
) -> Float[np.ndarray, "v 3"]:
    """Place the cells' vertices: centred tangentially, with the quads through the crossings."""
    uses = np.bincount(quads.ravel(), minlength=count)[:, None]

    def mean_by_cell(values: np.ndarray) -> np.ndarray:
        sums = [
            np.bincount(quads.ravel(), np.repeat(values[:, i], 4), minlength=count)
            for i in range(3)
        ]
        return np.stack(sums, axis=1) / uses

    # 1. Each vertex at the mean of its cell's crossings.
    vertices = mean_by_cell(crossings_mm)
    # 2. Each quad's normal, from its diagonals, and how far it misses its crossing.
    corners = vertices[quads]
    normals = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    missed = np.einsum("mi,mi->m", crossings_mm - corners.mean(axis=1), normals)
    # 3. Move the vertices by the mean of what their quads miss.
    return vertices + mean_by_cell(missed[:, None] * normals)


def _smooth_rims(
    vertices_mm: Float[np.ndarray, "v 3"],
    quads: Int[np.ndarray, "m 4"],
    sides: Int[np.ndarray, "m 2"],
) -> None:
    """Smooth the curves along which three or more labels meet; changes ``vertices_mm`` in place.

    Distances locate each wall to a hundredth of a voxel. The grid locates the curves where three
    labels meet far less precisely, and unsmoothed curves would be jagged.
    """
    # 1. Vertices where three or more labels meet. Pairs are encoded as single numbers, which sort
    #    many times faster than rows of two.
    labels = int(sides.max(initial=0)) + 1
    met = np.unique(np.repeat(quads.ravel(), 2) * labels + np.repeat(sides, 4, axis=0).ravel())
    on_rim = np.bincount(met // labels, minlength=len(vertices_mm)) > 2
    # 2. The rims: sides of quads between two such vertices, each once.
    edges = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2)
    edges = np.sort(edges[on_rim[edges].all(axis=1)], axis=1)
    edges = np.stack(np.divmod(np.unique(edges @ [len(vertices_mm), 1]), len(vertices_mm)), axis=1)
    rim, numbers = np.unique(edges, return_inverse=True)
    one, other = numbers.reshape(-1, 2).T
    neighbours = np.bincount(np.concatenate([one, other]), minlength=len(rim))
    free = neighbours == 2  # ends and branching points stay fixed
    # 3. Taubin smoothing: each round takes one shrinking and one growing step.
    for _ in range(_RIM_ROUNDS):
        for step in (_SHRINK, _GROW):
            here = vertices_mm[rim]
            total = np.zeros_like(here)
            np.add.at(total, one, here[other])
            np.add.at(total, other, here[one])
            moved = here + step * (total / neighbours[:, None] - here)
            vertices_mm[rim[free]] = moved[free]


def _oriented(
    vertices_mm: np.ndarray, quads: Int[np.ndarray, "m 4"], sides: Int[np.ndarray, "m 2"]
) -> SharedSurface:
    """Split quads into triangles along their shorter diagonals.

    Faces point from the smaller label to the larger one, or to the background.
    """
    # Swapping a face's sides reverses its corners.
    flipped = (sides[:, 0] == 0) | ((sides[:, 1] > 0) & (sides[:, 1] < sides[:, 0]))
    quads = np.where(flipped[:, None], quads[:, ::-1], quads)
    sides = np.where(flipped[:, None], sides[:, ::-1], sides)
    corners = vertices_mm[quads]
    diagonals = np.linalg.norm(corners[:, 2:] - corners[:, :2], axis=2)
    # The split below runs from corner 0 to 2: rotate quads whose other diagonal is shorter.
    quads = np.where((diagonals[:, 1] < diagonals[:, 0])[:, None], np.roll(quads, -1, 1), quads)
    faces = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    return SharedSurface(vertices_mm, np.ascontiguousarray(faces), np.repeat(sides, 2, axis=0))
