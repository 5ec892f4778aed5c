"""A heart that a model has encoded, as the Python API returns it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.sources import HeartSource
from vecsetx.errors import InputError
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.encode import EncodedHeart, EncodeOptions, encode_source
from vecsetx.inference.ensemble import Ensemble, encode_ensemble, refuse_recycled_ensemble
from vecsetx.inference.heart_meshes import (
    RESOLUTION,
    HeartMeshes,
    SurfaceKind,
    VertexAttributes,
    checked_size,
    heart_meshes,
    mesh_grid,
    vertex_attributes,
)
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.inference.support import Support
from vecsetx.model.heart_field import RefinementResult
from vecsetx.model.saved import TrainedModel
from vecsetx.model.vecset import LatentSet
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.observation import Observation

__all__ = ["Heart", "MeshOptions"]


class MeshOptions(NamedTuple):
    """How a heart is meshed.

    Attributes:
        resolution: Voxels along the longest side of the meshing grid.
        resolution_mm: Edge of its voxels instead, mm; None for ``resolution``.
        kind: Whether structures share their walls, or each is closed on its own.
        faces: Number of faces to decimate the heart's meshes to; None for no decimation.
        keep_specks: Whether small pieces that nothing observed supports stay.
    """

    resolution: int = RESOLUTION
    resolution_mm: float | None = None
    kind: SurfaceKind = "shared"
    faces: int | None = None
    keep_specks: bool = False


@dataclass(frozen=True, slots=True)
class Heart:
    """A heart that a model has encoded.

    It is a :class:`~vecsetx.reconstruction.distance_field.DistanceField`.

    Attributes:
        trained: The model.
        label_set: The ids of its label maps: the input's, and others for the model's structures
            that the input's label set lacks.
        encoded: The model's reconstruction, the input's grid and what is observed.
        completed: The reconstruction that keeps observed surfaces; None if none are kept.
        ensemble: Gives the standard deviations of the surfaces; None without one.
        added: Structures whose ids the input's label set lacks.
    """

    trained: TrainedModel
    label_set: LabelSet
    encoded: EncodedHeart
    completed: CompletedField | None
    ensemble: Ensemble | None
    added: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        source: HeartSource,
        trained: TrainedModel,
        options: EncodeOptions,
        keep_observed: bool = False,
        ensemble: int = 0,
        sd_factor: SdFactor | None = None,
        before: Observation | None = None,
    ) -> "Heart":
        """Read a heart and encode it.

        Args:
            source: Where it comes from.
            trained: The model.
            options: How it is encoded.
            keep_observed: Whether observed surfaces stay as they are.
            ensemble: Members of the ensemble; 0 for none.
            sd_factor: Calibration factors of its standard deviations; None: they are uncalibrated.
            before: Anchors of the same heart a moment before, from which its own begin.

        Raises:
            InputError: The heart cannot be read, or the options do not fit it, the model or each
                other.
        """
        refuse_recycled_ensemble(ensemble, options)
        if keep_observed and not source.has_volume:
            raise InputError(
                f"{source.path}: observed surfaces cannot be kept, as points do not define a "
                "volume; leave --keep-observed out, or give a label map, masks or closed meshes"
            )
        source = source.resolved()
        encoded = encode_source(source, trained, options, before)
        completed = None
        if keep_observed and isinstance(encoded.shown, Geometry):
            completed = CompletedField.of(encoded.field, encoded.shown)
        members = None
        if ensemble:
            members = _ensemble(encoded, completed, trained, ensemble, options.seed, sd_factor)
        ids = source.label_set.with_structures_of(trained.label_set)
        added = ids.structures[len(source.label_set.structures) :]
        return cls(trained, ids, encoded, completed, members, added)

    @property
    def field(self) -> DistanceField:
        """The reconstruction, completed if observed surfaces are kept."""
        return self.completed or self.encoded.field

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the K structures, in the order of the distances."""
        return self.trained.structures

    @property
    def expected(self) -> tuple[str, ...]:
        """Names of the structures that the heart should have."""
        return self.structures

    @property
    def reach_mm(self) -> float:
        """Distances are reliable up to this magnitude; beyond it, only their sign is."""
        return self.field.reach_mm

    @property
    def latent_set(self) -> LatentSet:
        """The latent set, a batch of one."""
        return self.encoded.field.latent_set

    @property
    def refinement(self) -> RefinementResult | None:
        """How much refinement improved the latent set; None if it was not refined."""
        return self.encoded.field.refinement

    @property
    def remarks(self) -> tuple[str, ...]:
        """Notes on what the input's files leave open or contradict, as sentences."""
        return self.encoded.remarks

    def distances_mm(self, points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n k"]:
        """Compute signed distances, negative inside; float32 mm.

        Args:
            points_mm: RAS+ mm.
        """
        return self.field.distances_mm(points_mm)

    def meshes(self, options: MeshOptions) -> HeartMeshes:
        """Mesh the heart on a grid around it, which may extend beyond the input.

        Raises:
            InputError: The field contains no heart, or the grid would have too many voxels.
        """
        grid = mesh_grid(
            self.encoded.field, options.resolution, options.resolution_mm, self.completed
        )
        limited = self.encoded.field.limit is not None
        supports = None if options.keep_specks else Support(self.encoded.shown, limited)
        return heart_meshes(self.field, grid, options.kind, options.faces, supports)

    def vertex_attributes(self, meshes: HeartMeshes) -> VertexAttributes:
        """Compute visibility and uncertainty at the vertices of its meshes."""
        visibility, kept = self.encoded.visibility, self.completed is not None
        return vertex_attributes(meshes, self.structures, visibility, self.ensemble, kept)

    def label_map(self, meshes: HeartMeshes, like: Grid | None, enlarge: bool = False) -> LabelMap:
        """Label each voxel with its structure, 1…K; 0 for background.

        Args:
            meshes: Its meshes, which lack the specks that the label map lacks, too.
            like: The grid; None for the input's, or the meshing grid if the input has none.
            enlarge: Whether the grid is enlarged to hold the whole heart.

        Raises:
            InputError: The enlarged grid would have too many voxels, or ``like`` holds nothing of
                the heart.
        """
        given = self.encoded.label_map
        grid = like or (meshes.specks.grid if given is None else Grid.of(given))
        if enlarge and meshes.surfaces:
            vertices_mm = [surface.vertices_mm for surface in meshes.surfaces.values()]
            remedy = "leave --enlarge out, or give a coarser grid with --like"
            grid = checked_size(grid.enlarged(np.concatenate(vertices_mm).astype(float)), remedy)
        labels = rasterize(meshes.specks.field(self.field), grid)
        if like is not None and not labels.labels.any():
            raise InputError(
                "no voxel of the grid given by --like lies in the heart; give an image of the "
                "same scan"
            )
        return labels


def _ensemble(
    encoded: EncodedHeart,
    completed: CompletedField | None,
    trained: TrainedModel,
    members: int,
    seed: int,
    sd_factor: SdFactor | None,
) -> Ensemble:
    # The factor of cut structures was measured beyond the edge of the scan, with observed surfaces
    # kept, and holds only there.
    cut = None if completed is None else encoded.visibility.cut
    factor = sd_factor.each(trained.structures, cut) if sd_factor else 1.0
    found = encode_ensemble(encoded.shown, trained, members, seed, factor, encoded.field.domain)
    # The members keep the observed surfaces if the heart itself does.
    return found if completed is None else found.mapped(completed.with_model)
