"""Tetrahedra of a region that holds a vertex beyond its reach go to another region around it.

Cutting may leave a region a spike of a few tetrahedra, to a vertex where the region does not
reach; no way leads the vertex onto all of its interfaces then. Nothing moves here: the region's
tetrahedra around such a vertex change their region, or are left out, where that brings their
corners closer to their interfaces, and the surfaces of both regions stay as regular as they were.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int, UInt

from vecsetx.volume_mesh.interface_errors import off_interfaces
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.pieces import number_joined
from vecsetx.volume_mesh.sampled_field import SampledField
from vecsetx.volume_mesh.splitting import compact, distinct

__all__ = ["reassign"]

_GAIN = 0.01
"""What a change has to gain: of the squared errors of all corners, as a share of the squared error
from which on a vertex is far off."""

_ROUNDS = 3

Facet = tuple[int, int, int]


def reassign(mesh: TetrahedralMesh, field: SampledField, far_mm: float) -> int:
    """Give tetrahedra around vertices that are far off to other regions.

    Args:
        mesh: What is changed.
        field: The interfaces.
        far_mm: How far off an interface its vertices may be.

    Returns:
        How many times a region has left a vertex.
    """
    interfaces = mesh.on_interfaces()
    distances_mm, _, known = field.at(mesh.points_mm[interfaces])
    off_mm = off_interfaces(distances_mm, mesh.around[interfaces])
    far = interfaces[known & (off_mm > far_mm)]
    if not len(far):
        return 0
    near = np.zeros(len(mesh.points_mm), dtype=bool)
    near[far] = True
    corners = distinct(mesh.tetrahedra[near[mesh.tetrahedra].any(axis=1)])
    near[corners] = True
    part = np.flatnonzero(near[mesh.tetrahedra].any(axis=1))
    # NaN where nothing is known, so that nothing there seems to gain.
    distances_mm = field.at(mesh.points_mm[corners])[0]
    around = _Around(mesh.tetrahedra[part], mesh.region[part], corners, distances_mm)
    changed = around.improve(far.tolist(), _GAIN * far_mm**2)
    _put_back(mesh, part, around)
    return changed


def _put_back(mesh: TetrahedralMesh, part: Int[np.ndarray, " t"], around: "_Around") -> None:
    """Let a mesh have the regions that its part has now, without what is left out."""
    region = mesh.region.copy()
    region[part] = around.region
    for vertex in around.row:
        mesh.around[vertex] = np.uint32(sum(1 << r for r in around.regions_at(vertex)))
    inner = region > 0
    used, mesh.tetrahedra = compact(mesh.tetrahedra[inner], len(mesh.points_mm))
    mesh.region = region[inner]
    mesh.points_mm, mesh.around = mesh.points_mm[used], mesh.around[used]


class _Around:
    """Tetrahedra around vertices, as lists and tables that change one by one.

    Args:
        tetrahedra: All tetrahedra around the vertices.
        region: Region of each; what is left out gets 0, the background.
        vertices: The vertices, in ascending order.
        distances_mm: Signed distances to the K regions there.
    """

    def __init__(
        self,
        tetrahedra: Int[np.ndarray, "t 4"],
        region: UInt[np.ndarray, " t"],
        vertices: Int[np.ndarray, " v"],
        distances_mm: Float[np.ndarray, "v k"],
    ) -> None:
        self.corners: list[list[int]] = tetrahedra.tolist()
        self.region: list[int] = region.tolist()
        self.row = {vertex: row for row, vertex in enumerate(vertices.tolist())}
        self._distances_mm = distances_mm
        self._sides: dict[Facet, list[int]] = defaultdict(list)
        self._at: dict[int, set[Facet]] = defaultdict(set)
        self._star: dict[int, list[int]] = defaultdict(list)
        for number, corners in enumerate(self.corners):
            for facet in _facets(corners):
                self._sides[facet].append(number)
                for vertex in facet:
                    self._at[vertex].add(facet)
            for vertex in corners:
                self._star[vertex].append(number)

    def regions_at(self, vertex: int) -> set[int]:
        """Return the regions around a vertex, 0 for the background."""
        found = {self.region[number] for number in self._star[vertex]}
        if any(len(self._sides[facet]) == 1 for facet in self._at[vertex]):
            found.add(0)
        return found

    def improve(self, vertices: Iterable[int], gain: float) -> int:
        """Let regions leave vertices where that gains enough; return how many times."""
        changed = 0
        for _ in range(_ROUNDS):
            before = changed
            for vertex in vertices:
                for region in sorted(self.regions_at(vertex) - {0}):
                    changed += self._leave(vertex, region, gain)
            if changed == before:
                break
        return changed

    def _leave(self, vertex: int, region: int, gain: float) -> bool:
        """Let a region leave a vertex to the one that gains most, if that is allowed."""
        group = [number for number in self._star[vertex] if self.region[number] == region]
        if not self._goes_on(group, region):  # all of it would vanish
            return False
        corners = sorted({corner for number in group for corner in self.corners[number]})
        most, best = self._error(corners) - gain, region
        for other in sorted(self.regions_at(vertex) - {region}):
            self._give(group, other)
            error = self._error(corners)
            if error < most:
                after = [self._irregular(corners, either) for either in (region, other)]
                self._give(group, region)
                before = [self._irregular(corners, either) for either in (region, other)]
                if after[0] <= before[0] and after[1] <= before[1]:
                    most, best = error, other
        self._give(group, best)
        return best != region

    def _give(self, group: Sequence[int], region: int) -> None:
        for number in group:
            self.region[number] = region

    def _goes_on(self, group: Sequence[int], region: int) -> bool:
        """Return whether a neighbour of a group belongs to its region, too."""
        return any(
            self.region[other] == region and other not in group
            for number in group
            for facet in _facets(self.corners[number])
            for other in self._sides[facet]
        )

    def _error(self, vertices: Sequence[int]) -> float:
        """Return the sum of squares of how far vertices are off their interfaces."""
        around = [sum(1 << region for region in self.regions_at(vertex)) for vertex in vertices]
        rows = [self.row[vertex] for vertex in vertices]
        off_mm = off_interfaces(self._distances_mm[rows], np.array(around, np.uint32))
        return float((off_mm**2).sum())

    def _irregular(self, vertices: Sequence[int], region: int) -> int:
        """Count what makes the surface of a region irregular at vertices.

        A regular surface has two facets at each of its edges, and is in one piece around each
        vertex.
        """
        count = 0
        for vertex in vertices:
            facets = list(self._surface(vertex, region))
            edges: dict[int, list[int]] = defaultdict(list)
            for index, facet in enumerate(facets):
                for other in set(facet) - {vertex}:
                    edges[other].append(index)
            count += sum(len(sharing) != 2 for sharing in edges.values())
            pairs = [pair for sharing in edges.values() for pair in pairwise(sharing)]
            pieces, _ = number_joined(len(facets), np.array(pairs, np.int64).reshape(-1, 2))
            count += max(pieces - 1, 0)
        return count

    def _surface(self, vertex: int, region: int) -> Iterator[Facet]:
        """Yield the facets at a vertex that have a region on one side alone."""
        for facet in self._at[vertex]:
            sides = [*(self.region[number] for number in self._sides[facet]), 0]
            if (sides[0] == region) != (sides[1] == region):
                yield facet


def _facets(corners: Sequence[int]) -> list[Facet]:
    a, b, c, d = sorted(corners)
    return [(a, b, c), (a, b, d), (a, c, d), (b, c, d)]
