"""A heart as ``vecsetx reconstruct`` made it, and how it compares with its input."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.structures import structure
from vecsetx.data.heart_source import HeartSource
from vecsetx.evaluation.overlap import overlaps
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import EncodedHeart
from vecsetx.inference.heart import Heart
from vecsetx.inference.heart_meshes import HeartMeshes, VertexAttributes
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.surfaces import Surface

__all__ = ["LARGE_DIFFERENCE", "ReconstructedHeart"]

LARGE_DIFFERENCE = 0.1
"""A volume that differs by a larger share from that in the input is marked."""

_LOST_SHARE, _LOST_ML = 0.05, 0.1
"""What the label map's grid cuts off a structure is remarked if it is more than both. Volumes of
voxels and of a mesh differ by up to some percent, even if nothing is cut off."""


@dataclass(frozen=True)
class ReconstructedHeart:
    """All that was made of one heart.

    Attributes:
        source: Where the heart came from.
        heart: The heart as the model encoded it.
        meshes: Its meshes.
        known: Visibility and uncertainty at their vertices.
        labels: Its label map, labels 1…K; None if none was wanted.
        seconds: Stage → how long it took.
    """

    source: HeartSource
    heart: Heart
    meshes: HeartMeshes
    known: VertexAttributes
    labels: LabelMap | None
    seconds: Mapping[str, float]

    @property
    def encoded(self) -> EncodedHeart:
        """The model's reconstruction, the input and what is observed of it."""
        return self.heart.encoded

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the K structures."""
        return self.heart.structures

    @property
    def observed(self) -> dict[str, bool]:
        """Structure name → whether it is observed."""
        return dict(zip(self.structures, self.encoded.visibility.present.tolist(), strict=True))

    @property
    def remarks(self) -> tuple[str, ...]:
        """Notes for the user, as sentences: on the source, and on what labels.nii.gz lacks."""
        return (*self.encoded.remarks, *self._new_ids(), *self._other_grid(), *self._lost())

    def _new_ids(self) -> list[str]:
        """Tell the ids that the input's label set does not have."""
        ids = self.heart.label_set
        if self.labels is None:
            return []
        drawn = set(np.unique(self.labels.labels).tolist())
        new = [
            f"{name} {ids.id_of(name)}"
            for name in self.heart.added
            if name in self.structures and self.structures.index(name) + 1 in drawn
        ]
        if not new:
            return []
        return [f"labels.nii.gz uses ids that label set {ids.name} does not have: {', '.join(new)}"]

    def _other_grid(self) -> list[str]:
        """Tell how much larger or smaller the label map's grid is than the input's."""
        given, made = self.encoded.label_map, self.labels
        if not (given and made) or not np.allclose(given.affine[:3, :3], made.affine[:3, :3]):
            return []
        if given.shape == made.shape:
            return []
        sizes = [" × ".join(map(str, one.shape)) for one in (made, given)]
        return [f"labels.nii.gz has {sizes[0]} voxels, and the input {sizes[1]}"]

    def _lost(self) -> list[str]:
        """Tell what the label map's grid cuts off."""
        large = [
            f"{name} ({lost['ml']:.1f} of {self.meshes.surfaces[name].volume_mm3 / 1000:.1f} ml, "
            f"{lost['share']:.0%})"
            for name, lost in self.beyond_grid.items()
            if lost["share"] > _LOST_SHARE and lost["ml"] > _LOST_ML
        ]
        if not large:
            return []
        return [
            f"labels.nii.gz lacks what lies beyond its grid, of {', '.join(large)}: --enlarge "
            "enlarges it to hold the whole heart, and --like IMAGE takes that of an image that does"
        ]

    @cached_property
    def beyond_grid(self) -> dict[str, dict[str, float]]:
        """Structure name → what its voxels lack because its mesh extends beyond their grid.

        ``ml``: the mesh's volume less that of the voxels; ``share`` of the mesh's volume. Only
        structures that lack something; empty without a label map.
        """
        if self.labels is None:
            return {}
        grid, found = Grid.of(self.labels), {}
        voxels = np.bincount(self.labels.labels.ravel(), minlength=len(self.structures) + 1)[1:]
        for name, surface in self.meshes.surfaces.items():
            mesh_ml = surface.volume_mm3 / 1000
            labels_ml = voxels[self.structures.index(name)] * self.labels.voxel_volume_mm3 / 1000
            missing_ml = float(mesh_ml - labels_ml)
            if missing_ml > 0 and not grid.holds(surface.vertices_mm).all():
                found[name] = {"ml": missing_ml, "share": missing_ml / mesh_ml}
        return found

    @cached_property
    def input_surfaces(self) -> dict[str, Surface]:
        """Structure name → its closed surface in the input; none of points and samples."""
        shown = self.encoded.shown
        if not isinstance(shown, Geometry):
            return {}
        return {
            name: Surface(vertices_mm.astype(np.float32), faces)
            for name, (vertices_mm, faces) in zip(self.structures, shown.closed, strict=True)
            if len(faces)
        }

    @property
    def true_surfaces(self) -> dict[str, Surface]:
        """As :attr:`input_surfaces`, with those of structures that were hidden from the model."""
        given, shown = self.encoded.label_map, self.input_surfaces
        if not (given and shown):
            return shown
        hidden = set(np.unique(given.labels).tolist()) - {0}
        hidden -= {self.structures.index(name) + 1 for name in shown}
        if not hidden:
            return shown
        whole = Geometry.of_label_map(given, len(self.structures))
        return shown | {
            self.structures[k - 1]: Surface(vertices_mm.astype(np.float32), faces)
            for k, (vertices_mm, faces) in enumerate(whole.closed, start=1)
            if k in hidden and len(faces)
        }

    @cached_property
    def input_widths_mm(self) -> dict[str, float]:
        """Structure name → mean width of the vessels in the input, ``4 V / A``: a tube's width."""
        return {
            name: 4 * surface.volume_mm3 / surface.area_mm2
            for name, surface in self.input_surfaces.items()
            if structure(name).vessel
        }

    @cached_property
    def agreement(self) -> dict[str, dict[str, Any]]:
        """Structure name → how its voxels compare with those in the input, hidden ones included.

        ``ml``: the volume; ``input_ml``: that in the input; ``dice``; ``volume_difference``: share
        of the input's volume, positive if it grew; ``volume_differs``: whether this is more than
        :data:`LARGE_DIFFERENCE`. All are counted in voxels: all but unknown voxels of the input's
        grid. Only structures that the input has; empty without label maps, or on another grid.
        """
        given, made = self.encoded.label_map, self._on_input_s_grid()
        if given is None or made is None:
            return {}
        found = overlaps(given.labels, made, len(self.structures))
        voxel_ml = given.voxel_volume_mm3 / 1000
        table: dict[str, dict[str, Any]] = {}
        for name, overlap in zip(self.structures, found, strict=True):
            if overlap.truth:
                difference = overlap.prediction / overlap.truth - 1
                table[name] = {
                    "ml": overlap.prediction * voxel_ml,
                    "input_ml": overlap.truth * voxel_ml,
                    "dice": overlap.dice,
                    "volume_difference": difference,
                    "volume_differs": abs(difference) > LARGE_DIFFERENCE,
                }
        return table

    def _on_input_s_grid(self) -> np.ndarray | None:
        """Return the labels of the input's voxels; None if the label map lacks some of these."""
        given, made = self.encoded.label_map, self.labels
        if given is None or made is None:
            return None
        if not np.allclose(given.affine[:3, :3], made.affine[:3, :3], atol=1e-6):
            return None
        first = made.to_indices(given.to_mm(np.zeros(3)))
        low = np.rint(first).astype(int)
        high = low + given.shape
        if np.abs(first - low).max() > 1e-3 or (low < 0).any() or (high > made.shape).any():
            return None
        labels = made.labels[tuple(map(slice, low, high))]
        return labels if given.unknown is None else np.where(given.unknown, 0, labels)
