"""Closed meshes: checked for enclosing a volume, and freed of specks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from vecsetx.errors import InputError

__all__ = ["ClosedMesh", "closed_mesh", "face_pieces", "solid_pieces"]

_SPECK_MM3 = 15.0
"""Pieces below this volume are specks. A label map's are below 30 voxels: this many of 0.8 mm,
the voxels that meshes are sampled with."""

_SPECK_SHARE = 0.001
"""Largest share of a speck in the largest piece of its mesh. Thin vessels fall into pieces that
are small, too: of coronary arteries, this is half a millimetre."""

_MOST_PIECES = 1000
"""Most pieces beside specks: each may be compared with the faces of all others."""

_FLAT = 1e-6
"""Share of the volume of a cube as long as the mesh, below which the mesh encloses nothing; a thin
vessel has a hundred times as much."""


@dataclass(frozen=True, slots=True)
class ClosedMesh:
    """A closed surface, all of whose faces look to the same side.

    Attributes:
        vertices_mm: ``[V, 3]`` float64, RAS+ mm.
        faces: ``[F, 3]`` int64, corners in counterclockwise order seen from outside.
        is_inward: Whether the faces looked inwards; they were turned.
        specks: Number of pieces that were removed because they are too small.
        specks_ml: Their volume.
        duplicates: Number of faces that were removed because another has the same corners and looks
            to the same side.
        inferred_share: Share of its vertices that a model has inferred, by its file.
    """

    vertices_mm: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    is_inward: bool = False
    specks: int = 0
    specks_ml: float = 0.0
    duplicates: int = 0
    inferred_share: float = 0.0

    def volume_ml(self) -> float:
        """Return the volume inside, ml."""
        return float(_tetrahedra(self.vertices_mm, self.faces).sum()) / 1000

    def centroid_mm(self) -> Float[np.ndarray, "3"]:
        """Return the centroid of the volume inside, RAS+ mm."""
        middle = self.vertices_mm.mean(axis=0)
        volumes = _tetrahedra(self.vertices_mm, self.faces)
        # A tetrahedron's centroid is the mean of its corners, one of which is the middle.
        corners = (self.vertices_mm[self.faces] - middle).sum(axis=1) / 4
        centroid: np.ndarray = middle + volumes @ corners / volumes.sum()
        return centroid


def closed_mesh(
    vertices_mm: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], source: Path
) -> ClosedMesh:
    """Check that a mesh encloses a volume, and remove its specks.

    A mesh must be closed and consistently oriented. It may touch itself along an edge. It may
    enclose cavities, whose faces look into the cavity. Vertices at one position are merged, because
    STL repeats them for every face. Faces that occur more than once are then kept once: a surface
    that lies twice in a file would count its volume twice.

    A speck is a piece of less than 0.015 ml and less than 0.1% of the largest piece,
    whichever way it faces.

    Args:
        vertices_mm: RAS+ mm, finite.
        faces: Indices of existing vertices.
        source: The file, for error messages.

    Raises:
        InputError: The mesh fails a check; the message says how to repair it.
    """
    vertices, merged = _merged(vertices_mm, faces)
    faces = _distinct(merged)
    duplicates = len(merged) - len(faces)
    _check_edges(vertices, faces, source)
    piece = face_pieces(vertices, faces)
    volumes = np.bincount(piece, _tetrahedra(vertices, faces))
    # 1. Specks, and vertices without a face.
    sizes = np.abs(volumes)
    is_speck = sizes < min(_SPECK_MM3, _SPECK_SHARE * sizes.max())
    kept = ~is_speck[piece]
    number = np.cumsum(~is_speck) - 1
    vertices, faces = _used(vertices, faces[kept])
    _check_thick(vertices, volumes[~is_speck], source)
    if (pieces := int((~is_speck).sum())) > _MOST_PIECES:
        raise InputError(
            f"{source}: the surface falls into {pieces} pieces, and no structure into over "
            f"{_MOST_PIECES}; export one structure per file, without loose pieces"
        )
    # 2. Orientation.
    turned = _is_inward(vertices, faces, number[piece[kept]], volumes[~is_speck], source)
    return ClosedMesh(
        vertices,
        np.ascontiguousarray(faces[:, ::-1]) if turned else faces,
        turned,
        int(is_speck.sum()),
        float(sizes[is_speck].sum()) / 1000,
        duplicates,
    )


def face_pieces(
    vertices_mm: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Int[np.ndarray, " f"]:
    """Return the connected piece of each face, numbered from 0."""
    from scipy.sparse import coo_array, csgraph

    links = coo_array(
        (np.ones(2 * len(faces), bool), faces[:, [0, 1, 1, 2]].reshape(-1, 2).T),
        shape=(len(vertices_mm), len(vertices_mm)),
    )
    of_vertex = csgraph.connected_components(links, directed=False)[1]
    piece: np.ndarray = np.unique(of_vertex[faces[:, 0]], return_inverse=True)[1]
    return piece


def solid_pieces(vertices_mm: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> int:
    """Return the number of connected pieces of a closed mesh that are no cavity in another."""
    if len(faces) == 0:
        return 0
    piece = face_pieces(vertices_mm, faces)
    return int((np.bincount(piece, _tetrahedra(vertices_mm, faces)) > 0).sum())


def _check_edges(vertices: np.ndarray, faces: np.ndarray, source: Path) -> None:
    """Check that a mesh has no boundary, and that adjacent faces have the same orientation."""
    if len(faces) == 0:
        raise InputError(f"{source}: all its faces are without area; export the surface again")
    # Number the edges, the same in either direction.
    start, end = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
    edge = np.minimum(start, end).astype(np.int64) * len(vertices) + np.maximum(start, end)
    _, which, count = np.unique(edge, return_inverse=True, return_counts=True)
    if opened := int((count % 2 != 0).sum()):
        raise InputError(
            f"{source}: the surface is open, {opened} of {len(count)} edges belong to only one "
            "face; close its holes, including cut vessel ends"
        )
    # In an oriented surface, every edge is used equally often in both directions.
    forth = np.bincount(which, start < end)
    if turned := int((2 * forth != count).sum()):
        remedy = "make the normals consistent"
        if (count > 2).any():
            remedy = (
                "where a surface touches itself, programs that recompute normals turn some faces: "
                "save it without that (PyVista: recompute_normals=False), or reconstruct it with "
                "--surfaces closed"
            )
        raise InputError(
            f"{source}: adjacent faces have opposite orientations along {turned} edges; {remedy}"
        )


def _check_thick(vertices: np.ndarray, volumes: np.ndarray, source: Path) -> None:
    length = float(np.linalg.norm(np.ptp(vertices, axis=0)))
    if np.abs(volumes).sum() <= _FLAT * length**3:
        raise InputError(
            f"{source}: the surface is flat and encloses no volume; export the structure's closed "
            "surface"
        )


def _is_inward(
    vertices: np.ndarray,
    faces: np.ndarray,
    piece: np.ndarray,
    volumes: np.ndarray,
    source: Path,
) -> bool:
    """Return whether all pieces face the wrong way.

    Args:
        vertices: ``[V, 3]``.
        faces: ``[F, 3]``.
        piece: Piece ``[F]`` of each face.
        volumes: Signed volume of each piece, mm³: negative if its faces look inwards.
        source: The file, for error messages.

    Raises:
        InputError: Some face the right way and others the wrong one.
    """
    around = _around(vertices, faces, piece)
    if (fault := _fault(volumes, around)) is None:
        return False
    if _fault(-volumes, -around) is None:
        return True
    number, why = fault
    middle = vertices[faces[piece == number]].reshape(-1, 3).mean(axis=0)
    place = ", ".join(f"{mm:.0f}" for mm in middle)
    ml = abs(volumes[number]) / 1000
    raise InputError(f"{source}: a piece of {ml:.3g} ml at ({place}) mm {why}")


def _around(vertices: np.ndarray, faces: np.ndarray, piece: np.ndarray) -> np.ndarray:
    """Return the winding number of all other pieces around a vertex of each piece.

    It is 0 for a closed surface whose bounding box does not hold the vertex, so that only the
    others count.
    """
    corners, of_corner = vertices[faces.ravel()], np.repeat(piece, 3)
    count = int(piece.max()) + 1
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, of_corner, corners)
    np.maximum.at(high, of_corner, corners)
    first = vertices[faces[np.unique(piece, return_index=True)[1], 0]]
    around = np.zeros(count)
    for number, point in enumerate(first):
        holds = ((low <= point) & (point <= high)).all(axis=1)
        holds[number] = False
        if holds.any():
            around[number] = _winding(point, vertices[faces[holds[piece]]])
    return around


def _fault(volumes: np.ndarray, around: np.ndarray) -> tuple[int, str] | None:
    """Return a piece with a wrong orientation, and what is wrong with it; None if there is none.

    Args:
        volumes: Signed volume of each piece, mm³.
        around: Winding number of all others around each.
    """
    for number, (mm3, turns) in enumerate(zip(volumes, around, strict=True)):
        # A solid lies in no other piece, and a cavity in exactly one. At one half they touch.
        if mm3 > 0 and turns > 0.75:
            return number, (
                "lies inside another and also points outwards; flip its faces if it bounds a "
                "cavity (trimesh: invert), otherwise merge the two"
            )
        if mm3 < 0 and turns < 0.25:
            return number, "points inwards and lies in no other; flip its faces (trimesh: invert)"
    return None


def _tetrahedra(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the signed volume ``[F]`` between each face and the mean vertex.

    They sum up to the volume of a closed surface, by the divergence theorem; negative if its faces
    look inwards.
    """
    corners = vertices[faces] - vertices.mean(axis=0)
    spanned: np.ndarray = np.einsum(
        "fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])
    )
    return spanned / 6


def _winding(point: np.ndarray, triangles: np.ndarray) -> float:
    """Return the winding number of triangles ``[F, 3, 3]`` around a point.

    From their solid angles (van Oosterom and Strackee, IEEE TBME 1983).
    """
    a, b, c = np.moveaxis(triangles - point, 1, 0)
    la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
    dot = np.einsum
    spanned = dot("fi,fi->f", a, np.cross(b, c))
    below = la * lb * lc
    below += dot("fi,fi->f", a, b) * lc + dot("fi,fi->f", b, c) * la + dot("fi,fi->f", c, a) * lb
    return float(np.arctan2(spanned, below).sum() / (2 * np.pi))


def _merged(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge vertices at the same position, and drop the faces that this collapses."""
    vertices = vertices + 0.0  # −0 becomes 0
    order = np.lexsort(vertices.T)  # brings equal positions together
    placed = vertices[order]
    is_new = np.concatenate([[True], (placed[1:] != placed[:-1]).any(axis=1)])
    number = np.empty(len(vertices), np.int64)
    number[order] = np.cumsum(is_new) - 1
    faces = number[faces]
    a, b, c = faces.T
    return placed[is_new], faces[(a != b) & (b != c) & (c != a)]


def _distinct(faces: np.ndarray) -> np.ndarray:
    """Keep the first of the faces with the same corners in the same cyclic order."""
    rows, first = np.arange(len(faces)), faces.argmin(axis=1)
    a, b, c = (faces[rows, (first + step) % 3] for step in range(3))
    order = np.lexsort((c, b, a))  # stable: of equal faces, the first stays the first
    is_new = np.ones(len(faces), dtype=bool)
    is_new[1:] = np.any([side[order][1:] != side[order][:-1] for side in (a, b, c)], axis=0)
    kept = np.zeros(len(faces), dtype=bool)
    kept[order] = is_new
    return faces[kept]


def _used(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop vertices without a face; the others keep their order."""
    used = np.zeros(len(vertices), dtype=bool)
    used[faces] = True
    return vertices[used], (np.cumsum(used) - 1)[faces]
