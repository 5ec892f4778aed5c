"""A heart completed by a model: what is observed stays as it is, the rest is the model's.

Within the field of view an observed structure has the distances to its own surface. Beyond it, it
has the model's, corrected by what the model misses at the nearest place of the field of view; the
correction fades, so that no step is left at the edge. A structure that is not observed has the
model's distances, but gives way to those that are.
"""

from dataclasses import dataclass, replace

import igl
import numpy as np
from jaxtyping import Bool, Float, Int

from vecsetx.anatomy.sign import inside, with_sign
from vecsetx.errors import InputError
from vecsetx.inference.visibility import Visibility
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.sampling.distance import ClosedSurfaces, signed_distances_mm
from vecsetx.sampling.geometry import Geometry
from vecsetx.sampling.view import edge_distances_mm

BLEND_MM = 10.0
"""Default distance from the field of view beyond which the model is left as it is."""

_CHUNK_POINTS = 2**20
"""Points completed at once. A chunk costs a search tree per structure, so that few are better."""

_NOTHING = (np.empty((0, 3)), np.empty((0, 3), dtype=np.int64))


@dataclass(frozen=True, slots=True)
class CompletedField:
    """Distances to K structures: the observed ones where they are observed, else the model's.

    At a point x whose nearest place in the field of view is p, which is x itself within, structure
    k has one of these distances, all truncated at the model's reach:

    * observed, and whole: ``d_k(x)``, the distance to the observed surface;
    * observed, but cut by the edge of the scan: ``m_k(x) + w (d_k(p) - m_k(p))``, with the model's
      m. The weight w is 1 within the field of view and falls to 0 at ``blend_mm`` from it. Here d
      is the distance to the surface without the wall that closes it at the edge of the scan;
    * not observed: ``m_k(x) + w max(0, -d(p) - m_k(p))``, where d is the least of the observed
      structures' distances.

    And where a whole structure has the distance d, none of the others has less than -d. So what is
    inferred never takes from what is observed, and every distance is continuous.

    Attributes:
        model: The model's field of this heart.
        geometry: What is observed of it, K structures; hidden ones are absent.
        visibility: The same as a statement of what is observed. A cut structure none of whose
            surface lies within the field of view counts as not observed.
        open_surfaces: The surfaces of cut structures as far as the scan shows them; others empty.
        blend_mm: How far from the field of view the model is corrected.
    """

    model: DistanceField
    geometry: Geometry
    visibility: Visibility
    open_surfaces: ClosedSurfaces
    blend_mm: float = BLEND_MM

    @classmethod
    def of(
        cls, model: DistanceField, geometry: Geometry, blend_mm: float = BLEND_MM
    ) -> "CompletedField":
        """Complete what is observed of a heart.

        Args:
            model: The model's field of it, K structures.
            geometry: What is observed, of the same K structures.
            blend_mm: How far from the field of view the model is corrected.

        Raises:
            InputError: ``blend_mm`` is not positive.
        """
        if not blend_mm > 0:
            raise InputError(f"the model is blended in over a positive distance, not {blend_mm} mm")
        surfaces = [
            _without_edge(surface, geometry) if cut else _NOTHING
            for surface, cut in zip(geometry.closed, geometry.cut, strict=True)
        ]
        return cls(model, geometry, Visibility.of_geometry(geometry), surfaces, blend_mm)

    def with_model(self, model: DistanceField) -> "CompletedField":
        """The same observation, completed by another field of the heart, as by a draw."""
        return replace(self, model=model)

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the K structures, in the order of the distances."""
        return self.model.structures

    @property
    def reach_mm(self) -> float:
        """All distances are truncated here."""
        return self.model.reach_mm

    def distances_mm(self, points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n k"]:
        """Signed distances, negative inside, at RAS+ mm points; float32 mm."""
        distances = np.empty((len(points_mm), len(self.structures)), dtype=np.float32)
        for start in range(0, len(points_mm), _CHUNK_POINTS):
            chunk = slice(start, start + _CHUNK_POINTS)
            distances[chunk] = self._completed(np.asarray(points_mm[chunk], dtype=float))
        return distances

    def corners_mm(self) -> Float[np.ndarray, "2 3"]:
        """Corners of a box around all that is observed, and what is blended with it."""
        vertices_mm = self.geometry.vertices_mm()
        room_mm = self.blend_mm if self.visibility.cut.any() else 0.0
        return np.stack([vertices_mm.min(axis=0) - room_mm, vertices_mm.max(axis=0) + room_mm])

    def _completed(self, points_mm: np.ndarray) -> np.ndarray:
        cut, present = self.visibility.cut, self.visibility.present
        distances = np.full((len(points_mm), len(present)), self.reach_mm, dtype=np.float32)
        if cut.any():
            nearest_mm, beyond_mm = self.visibility.nearest_in_view(points_mm)
        else:
            nearest_mm, beyond_mm = points_mm, np.zeros(len(points_mm))
        # Where all that is asked for is observed, the model, which is slow, is not asked.
        asked = np.flatnonzero((beyond_mm > 0) | bool((~present).any()))
        distances[asked] = self._predicted(points_mm[asked])
        if cut.any():
            near = np.flatnonzero(beyond_mm < self.blend_mm)
            distances[near] = self._blended(distances[near], nearest_mm[near], beyond_mm[near])
        whole = present & ~cut
        if whole.any():
            observed = self._observed(points_mm, whole)
            nearest = observed[:, whole].min(axis=1, keepdims=True)
            distances = np.where(whole, observed, np.maximum(distances, -nearest))
        return distances

    def _blended(
        self,
        predicted: Float[np.ndarray, "n k"],
        nearest_mm: Float[np.ndarray, "n 3"],
        beyond_mm: Float[np.ndarray, " n"],
    ) -> np.ndarray:
        """The model's distances, corrected by what it misses of cut structures at ``nearest_mm``.

        Args:
            predicted: Distances at the points themselves.
            nearest_mm: The place in the field of view that is nearest to each.
            beyond_mm: How far that is.
        """
        cut, present = self.visibility.cut, self.visibility.present
        beyond = beyond_mm > 0
        there = predicted.copy()
        there[beyond] = self._predicted(nearest_mm[beyond])
        observed = self._observed(nearest_mm, cut)
        lowest = observed[:, cut].min(axis=1, keepdims=True)
        wanted = np.where(cut, observed, np.where(present, there, np.maximum(there, -lowest)))
        weight = _weight(beyond_mm / self.blend_mm)[:, None]
        corrected = predicted + weight * (wanted - there)
        return np.where(beyond[:, None], corrected, wanted).clip(-self.reach_mm, self.reach_mm)

    def _predicted(self, points_mm: np.ndarray) -> np.ndarray:
        return self.model.distances_mm(points_mm).clip(-self.reach_mm, self.reach_mm)

    def _observed(
        self, points_mm: Float[np.ndarray, "n 3"], wanted: Bool[np.ndarray, " k"]
    ) -> Float[np.ndarray, "n k"]:
        """Distances to observed surfaces, ``+inf`` for structures that are not ``wanted``."""
        if len(points_mm) == 0:
            return np.empty((0, len(wanted)), dtype=np.float32)
        surfaces = [
            surface if want else _NOTHING
            for surface, want in zip(self.geometry.closed, wanted, strict=True)
        ]
        distances = signed_distances_mm(
            points_mm,
            surfaces,
            self.geometry.label_map,
            self.reach_mm,
            band_mm=np.inf if self.geometry.complete else None,  # their vertices may lie far apart
        )
        if self.visibility.cut[wanted].any():
            edge_mm = edge_distances_mm(points_mm, self.geometry.label_map)
            for k in np.flatnonzero(wanted & self.visibility.cut).tolist():
                # Any nearer to the surface than to the edge, a point is nearer to it than to the
                # wall there.
                doubted = np.flatnonzero(np.abs(distances[:, k]) > edge_mm)
                distances[doubted, k] = with_sign(
                    _to_open(points_mm[doubted], self.open_surfaces[k], self.reach_mm),
                    inside(distances[doubted, k]),
                )
        return distances


def _weight(share: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """From 1 at 0 down to 0 at 1, level at both ends."""
    t = share.clip(0, 1)
    return 1 - t**2 * (3 - 2 * t)


def _without_edge(
    surface: tuple[np.ndarray, np.ndarray], geometry: Geometry
) -> tuple[np.ndarray, Int[np.ndarray, "f 3"]]:
    """A closed surface's faces that lie, at least in part, within the field of view."""
    vertices, faces = surface
    shown = edge_distances_mm(vertices, geometry.label_map) > 0
    return vertices, np.ascontiguousarray(faces[shown[faces].any(axis=1)])


def _to_open(
    points_mm: np.ndarray, surface: tuple[np.ndarray, np.ndarray], reach_mm: float
) -> np.ndarray:
    """Distances to a surface that need not be closed, at most ``reach_mm``, without a sign."""
    if len(points_mm) == 0 or len(surface[1]) == 0:
        return np.full(len(points_mm), reach_mm)
    distances, *_ = igl.signed_distance(
        points_mm, *surface, igl.SIGNED_DISTANCE_TYPE_UNSIGNED, -reach_mm, reach_mm
    )
    return np.where(np.isnan(distances), reach_mm, distances)
