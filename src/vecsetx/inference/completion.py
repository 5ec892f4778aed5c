"""Complete a partial heart: observed parts keep their surfaces, the model predicts the rest.

Inside the field of view, an observed structure has the distances to its own surface. Outside, it
has the model's distances, corrected by the model's error at the nearest point in the field of view;
the correction fades with the distance from the field of view, so that there is no step at its edge.
A structure that is not observed has the model's distances, limited so that it never takes space
from observed structures.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from vecsetx.anatomy.sign import inside, with_sign
from vecsetx.errors import InputError
from vecsetx.geometry.distance import ClosedSurfaces, signed_distances_mm
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.view import edge_distances_mm
from vecsetx.inference.visibility import Visibility
from vecsetx.progress import counted_parts
from vecsetx.reconstruction.distance_field import DistanceField

__all__ = ["BLEND_MM", "CompletedField"]

BLEND_MM = 10.0
"""Default distance from the field of view beyond which the model is not corrected."""

_CHUNK_POINTS = 2**20
"""Points completed at once. Each chunk builds a search tree per structure, so few are faster."""

_EMPTY = (np.empty((0, 3)), np.empty((0, 3), dtype=np.int64))


@dataclass(frozen=True, slots=True)
class CompletedField:
    """Distances to K structures: to observed surfaces where they are observed, else the model's.

    It is a :class:`~vecsetx.reconstruction.distance_field.DistanceField`. Let x be a point and p
    the nearest point in the field of view (x itself, if x is inside). Structure k then has one of
    these distances, all truncated at the model's reach:

    * *whole* (observed and not cut): ``d_k(x)``, the distance to the observed surface;
    * *cut* by the edge of the scan: ``m_k(x) + w (d_k(p) - m_k(p))``, where m is the model's
      distance. The weight w is 1 inside the field of view and falls to 0 at ``blend_mm`` from it.
      Here d_k is the distance to the surface without the wall that closes it at the scan's edge;
    * *hidden* (not observed): ``m_k(x) + w max(0, -d(p) - m_k(p))``, where d is the smallest
      distance of the cut structures.

    Moreover, where a whole structure has the distance d, cut and hidden structures have at least
    -d. So inferred parts never take space from observed ones, and all distances are continuous.

    Attributes:
        model: The model's field of this heart.
        geometry: The observed K structures; hidden ones are absent.
        visibility: Which parts are observed. A cut structure without any surface inside the field
            of view counts as hidden.
        open_surfaces: For cut structures, the part of their surface inside the field of view; empty
            for the others.
        blend_mm: Distance from the field of view up to which the model is corrected.
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
        """Complete the observed part of a heart.

        Args:
            model: The model's field of the heart, K structures.
            geometry: The observed part, with the same K structures.
            blend_mm: Distance from the field of view up to which the model is corrected.

        Raises:
            InputError: ``blend_mm`` is not positive.
        """
        if not blend_mm > 0:
            raise InputError(f"the blending distance must be positive, not {blend_mm} mm")
        surfaces = [
            _visible_part(surface, geometry) if cut else _EMPTY
            for surface, cut in zip(geometry.closed, geometry.cut, strict=True)
        ]
        return cls(model, geometry, Visibility.of_geometry(geometry), surfaces, blend_mm)

    def with_model(self, model: DistanceField) -> "CompletedField":
        """Complete the same observation with another field of the heart, such as a member."""
        return replace(self, model=model)

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the K structures, in the order of the distances."""
        return self.model.structures

    @property
    def reach_mm(self) -> float:
        """All distances are truncated at this magnitude."""
        return self.model.reach_mm

    def distances_mm(self, points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n k"]:
        """Compute signed distances, negative inside, at RAS+ mm points; float32 mm."""
        distances = np.empty((len(points_mm), len(self.structures)), dtype=np.float32)
        for start in counted_parts(range(0, len(points_mm), _CHUNK_POINTS)):
            chunk = slice(start, start + _CHUNK_POINTS)
            distances[chunk] = self._complete(np.asarray(points_mm[chunk], dtype=float))
        return distances

    def corners_mm(self) -> Float[np.ndarray, "2 3"]:
        """Return two opposite corners of a box around everything observed or blended, RAS+ mm."""
        vertices_mm = self.geometry.vertices_mm()
        margin_mm = self.blend_mm if self.visibility.cut.any() else 0.0
        return np.stack([vertices_mm.min(axis=0) - margin_mm, vertices_mm.max(axis=0) + margin_mm])

    def _complete(self, points_mm: np.ndarray) -> np.ndarray:
        """Compute the distances at one chunk of points."""
        cut, present = self.visibility.cut, self.visibility.present
        distances = np.full((len(points_mm), len(present)), self.reach_mm, dtype=np.float32)
        if cut.any():
            nearest_mm, beyond_mm = self.visibility.nearest_in_view(points_mm)
        else:  # no structure depends on where the field of view ends
            nearest_mm, beyond_mm = points_mm, np.zeros(len(points_mm))

        # Step 1: the model's distances m(x). The model is slow, so query it only where a structure
        # is inferred: outside the field of view and, if structures are hidden, everywhere.
        inferred = np.flatnonzero((beyond_mm > 0) | bool((~present).any()))
        distances[inferred] = self._predict(points_mm[inferred])

        # Step 2: near the field of view, correct cut and hidden structures.
        if cut.any():
            near = np.flatnonzero(beyond_mm < self.blend_mm)
            distances[near] = self._blend(distances[near], nearest_mm[near], beyond_mm[near])

        # Step 3: whole structures keep their observed surfaces, and others stay out of them.
        whole = present & ~cut
        if whole.any():
            observed = self._observed_distances(points_mm, whole)
            nearest = observed[:, whole].min(axis=1, keepdims=True)
            distances = np.where(whole, observed, np.maximum(distances, -nearest))
        return distances

    def _blend(
        self,
        predicted: Float[np.ndarray, "n k"],
        nearest_mm: Float[np.ndarray, "n 3"],
        beyond_mm: Float[np.ndarray, " n"],
    ) -> np.ndarray:
        """Correct the model's distances by its error at the nearest point in the field of view.

        Args:
            predicted: The model's distances m(x) at the points themselves.
            nearest_mm: Each point's nearest point p in the field of view.
            beyond_mm: Distance between the two; 0 inside the field of view.
        """
        cut, present = self.visibility.cut, self.visibility.present
        beyond = beyond_mm > 0
        # m(p), which equals m(x) inside the field of view, where p is x.
        at_nearest = predicted.copy()
        at_nearest[beyond] = self._predict(nearest_mm[beyond])
        # The target at p: the observed distance for cut structures; for hidden ones the model's,
        # limited by the cut structures. Whole structures follow in step 3 of _complete.
        observed = self._observed_distances(nearest_mm, cut)
        lowest = observed[:, cut].min(axis=1, keepdims=True)
        limited = np.maximum(at_nearest, -lowest)
        target = np.where(cut, observed, np.where(present, at_nearest, limited))
        # Add the model's error at p with a weight that fades from 1 at the edge to 0 at blend_mm.
        weight = _weight(beyond_mm / self.blend_mm)[:, None]
        corrected = predicted + weight * (target - at_nearest)
        return np.where(beyond[:, None], corrected, target).clip(-self.reach_mm, self.reach_mm)

    def _predict(self, points_mm: np.ndarray) -> np.ndarray:
        """Compute the model's distances, truncated at its reach."""
        return self.model.distances_mm(points_mm).clip(-self.reach_mm, self.reach_mm)

    def _observed_distances(
        self, points_mm: Float[np.ndarray, "n 3"], selected: Bool[np.ndarray, " k"]
    ) -> Float[np.ndarray, "n k"]:
        """Compute distances to observed surfaces; ``+inf`` for structures not ``selected``."""
        if len(points_mm) == 0:
            return np.empty((0, len(selected)), dtype=np.float32)
        surfaces = [
            surface if is_selected else _EMPTY
            for surface, is_selected in zip(self.geometry.closed, selected, strict=True)
        ]
        distances = signed_distances_mm(
            points_mm,
            surfaces,
            self.geometry.label_map,
            self.reach_mm,
            # Exact distances everywhere for meshes, whose vertices may lie far apart.
            band_mm=np.inf if self.geometry.complete else None,
        )
        if self.visibility.cut[selected].any():
            # Closed surfaces of cut structures include a wall at the edge of the scan. Where the
            # distance exceeds that to the edge, the wall may be nearest: measure without it there.
            edge_mm = edge_distances_mm(points_mm, self.geometry.label_map)
            for k in np.flatnonzero(selected & self.visibility.cut).tolist():
                doubtful = np.flatnonzero(np.abs(distances[:, k]) > edge_mm)
                distances[doubtful, k] = with_sign(
                    _unsigned_distances(points_mm[doubtful], self.open_surfaces[k], self.reach_mm),
                    inside(distances[doubtful, k]),
                )
        return distances


def _weight(share: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Fall smoothly from 1 at 0 to 0 at 1, with slope 0 at both ends (smoothstep)."""
    t = share.clip(0, 1)
    return 1 - t**2 * (3 - 2 * t)


def _visible_part(
    surface: tuple[np.ndarray, np.ndarray], geometry: Geometry
) -> tuple[np.ndarray, Int[np.ndarray, "f 3"]]:
    """Return a closed surface's faces that lie at least partly inside the field of view."""
    vertices, faces = surface
    # Drops the wall that closes the structure at the scan's edge.
    in_view = edge_distances_mm(vertices, geometry.label_map) > 0
    return vertices, np.ascontiguousarray(faces[in_view[faces].any(axis=1)])


def _unsigned_distances(
    points_mm: np.ndarray, surface: tuple[np.ndarray, np.ndarray], reach_mm: float
) -> np.ndarray:
    """Compute unsigned distances, at most ``reach_mm``, to a surface that may be open."""
    import igl

    if len(points_mm) == 0 or len(surface[1]) == 0:
        return np.full(len(points_mm), reach_mm)
    distances, *_ = igl.signed_distance(
        points_mm, *surface, igl.SIGNED_DISTANCE_TYPE_UNSIGNED, -reach_mm, reach_mm
    )
    # igl returns NaN beyond the bounds.
    return np.where(np.isnan(distances), reach_mm, distances)
