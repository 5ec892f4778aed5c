"""The smooth surface of a label map, shared by all structures.

Where two structures touch, they share a wall, without overlap or gap. The method was chosen by
measurement: surface nets (Frisken, "SurfaceNets for multi-label segmentations with preservation of
sharp boundaries", JCGT 2022) without their own smoothing, then a windowed-sinc filter (Taubin et
al., "Optimal surface smoothing as filter design", ECCV 1996). Gaussian smoothing or the nets' own
smoothing would erase the coronaries.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.geometry.connected import number_pieces

__all__ = ["SharedSurface", "lost_to_specks", "remove_specks", "shared_surface"]

_SMALLEST_PIECE_VOXELS = 30  # smaller ones are segmentation errors, not anatomy

# Of the windowed-sinc filter: a narrower pass band smooths more.
_SMOOTHING_ITERATIONS = 30
_PASS_BAND = 0.1

_LARGE_SHARE = 0.2
"""Share of a structure that the user hears of if it is left out."""


@dataclass(frozen=True, slots=True)
class SharedSurface:
    """The walls between all structures, and to the background, as one triangle mesh.

    Attributes:
        vertices_mm: ``[V, 3]`` float64, RAS+ mm.
        faces: ``[F, 3]`` vertex indices; the normal points from the first side to the second.
        sides: ``[F, 2]`` labels on the two sides of each face, 0 for background.
    """

    vertices_mm: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    sides: Int[np.ndarray, "f 2"]

    def closed_surface(
        self, label: int
    ) -> tuple[Float[np.ndarray, "v2 3"], Int[np.ndarray, "f2 3"]]:
        """Return the closed surface of one label, without unused vertices.

        Returns:
            Vertices in RAS+ mm, and outward-facing faces that index them; both empty for a label
            without faces.
        """
        outward = self.faces[self.sides[:, 0] == label]
        turned = self.faces[self.sides[:, 1] == label][:, ::-1]
        faces = np.concatenate([outward, turned])
        # Keep the vertices in their order, and renumber them.
        used = np.zeros(len(self.vertices_mm), dtype=bool)
        used[faces] = True
        number = np.cumsum(used) - 1
        return self.vertices_mm[used], number[faces]

    def of_labels(self, labels: Sequence[int]) -> "SharedSurface":
        """Return the walls of some labels; what was another one beyond them is background."""
        kept = np.isin(self.sides, labels)
        faces = self.faces[kept.any(axis=1)]
        sides = np.where(kept, self.sides, 0)[kept.any(axis=1)]
        used = np.zeros(len(self.vertices_mm), dtype=bool)
        used[faces] = True
        number = np.cumsum(used) - 1
        return SharedSurface(self.vertices_mm[used], number[faces], sides)


def remove_specks(label_map: LabelMap) -> LabelMap:
    """Return the label map with specks relabelled like their surroundings.

    A speck is a 26-connected piece of fewer than 30 voxels. Each of its voxels takes the label
    (or background) of the nearest voxel that is not part of a speck. The largest piece of a
    structure is never a speck, so that no structure vanishes.
    """
    import cc3d
    from scipy import ndimage

    box = label_map.bounding_box()
    before = label_map.labels[box]
    pieces = number_pieces(before)[0]
    statistics = cc3d.statistics(pieces)
    specks = _specks(before, pieces, statistics)
    if not specks:
        return label_map
    labels = label_map.labels.copy()
    is_speck = np.isin(pieces, specks)
    for view, relabelled in _views(pieces, specks, statistics["bounding_boxes"], is_speck):
        nearest = ndimage.distance_transform_edt(
            is_speck[view], return_distances=False, return_indices=True
        )
        # Slices are views: this writes into `labels`. The order of the specks does not matter.
        labels[box][view][relabelled] = before[view][tuple(nearest)][relabelled]
    return replace(label_map, labels=labels)


def lost_to_specks(before: LabelMap, cleaned: LabelMap, structures: Sequence[str]) -> list[str]:
    """Return a remark on the structures that consist of specks for a large part, if any does.

    Args:
        before: Labels 1…K.
        cleaned: The same as of :func:`remove_specks`.
        structures: Names of the K structures.
    """
    if cleaned is before:
        return []
    count = len(structures) + 1
    box = before.bounding_box()
    voxels, kept = (
        np.bincount(each.labels[box].ravel(), minlength=count) for each in (before, cleaned)
    )
    ml = before.voxel_volume_mm3 / 1000
    lost = [
        f"{name} {(voxels[k] - kept[k]) * ml:.3g} of {voxels[k] * ml:.3g} ml"
        for k, name in enumerate(structures, start=1)
        if voxels[k] - kept[k] > _LARGE_SHARE * voxels[k]
    ]
    few = f"pieces of fewer than {_SMALLEST_PIECE_VOXELS} voxels are left out"
    return [f"{few}: {', '.join(lost)}"] if lost else []


def shared_surface(label_map: LabelMap) -> SharedSurface:
    """Compute the shared surface of a label map with any affine: oblique, anisotropic, flipped.

    Structures that reach the edge of the grid are closed there, half a voxel beyond the last voxel
    centre. The smoothing takes weighted means of neighbouring vertices. These commute with affine
    maps, so it can be applied in voxel indices.
    """
    from vtkmodules.util.numpy_support import vtk_to_numpy

    # A layer of background closes the structures that reach the edge; below, − 1 takes it off.
    tight = label_map.cropped()
    smoothed = _smoothed(_surface_nets(np.pad(tight.labels, 1)))
    indices = vtk_to_numpy(smoothed.GetPoints().GetData()).astype(np.float64) - 1
    faces = vtk_to_numpy(smoothed.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    faces = faces.astype(np.int64)
    sides = vtk_to_numpy(smoothed.GetCellData().GetArray("BoundaryLabels")).astype(np.int64)
    if np.linalg.det(label_map.affine[:3, :3]) < 0:
        faces = faces[:, ::-1]  # a mirroring affine turns every face inside out
    return SharedSurface(tight.to_mm(indices), np.ascontiguousarray(faces), sides)


def _specks(labels: np.ndarray, pieces: np.ndarray, statistics: Any) -> list[int]:
    """Return the numbers of the pieces that are specks."""
    voxels, boxes = statistics["voxel_counts"], statistics["bounding_boxes"]
    small_by_label: dict[int, list[int]] = {}
    for piece in np.flatnonzero(voxels[1:] < _SMALLEST_PIECE_VOXELS) + 1:
        label = int(labels[boxes[piece]][pieces[boxes[piece]] == piece][0])
        small_by_label.setdefault(label, []).append(int(piece))
    specks: list[int] = []
    for label, small in small_by_label.items():
        # Of a structure that consists of small pieces only, the largest is kept.
        if voxels[small].sum() == np.count_nonzero(labels == label):
            small.remove(max(small, key=lambda piece: voxels[piece]))
        specks += small
    return specks


def _views(
    pieces: np.ndarray, specks: list[int], boxes: Any, is_speck: np.ndarray
) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """Yield parts of the grid, and which of their voxels to relabel from what they show.

    Each part shows a speck and its surroundings. Many specks together would take more than the
    whole grid, which is then the only part.
    """
    # No speck is longer than this margin, so that voxels outside it are in view.
    margin = _SMALLEST_PIECE_VOXELS
    views = [
        tuple(slice(max(side.start - margin, 0), side.stop + margin) for side in boxes[piece])
        for piece in specks
    ]
    if sum(is_speck[view].size for view in views) > is_speck.size:
        yield tuple(slice(None) for _ in is_speck.shape), is_speck
        return
    for piece, view in zip(specks, views, strict=True):
        yield view, pieces[view] == piece


def _surface_nets(labels: np.ndarray) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkSurfaceNets3D

    image = vtkImageData()
    image.SetDimensions(*labels.shape)
    # In VTK, the first axis varies fastest.
    image.GetPointData().SetScalars(numpy_to_vtk(labels.ravel(order="F"), deep=True))
    nets = vtkSurfaceNets3D()
    nets.SetInputData(image)
    nets.SmoothingOff()
    nets.SetOutputMeshTypeToTriangles()
    present = np.unique(labels)
    for position, label in enumerate(present[present > 0]):
        nets.SetValue(position, float(label))
    nets.Update()
    return nets.GetOutput()


def _smoothed(surface: Any) -> Any:
    from vtkmodules.vtkFiltersCore import vtkWindowedSincPolyDataFilter

    smoother = vtkWindowedSincPolyDataFilter()
    smoother.SetInputData(surface)
    smoother.SetNumberOfIterations(_SMOOTHING_ITERATIONS)
    smoother.SetPassBand(_PASS_BAND)
    # Edges where three structures meet are not manifold; unmoved, they would keep the grid's steps.
    smoother.NonManifoldSmoothingOn()
    smoother.NormalizeCoordinatesOn()
    smoother.BoundarySmoothingOff()
    smoother.FeatureEdgeSmoothingOff()
    smoother.Update()
    return smoother.GetOutput()
