"""``vecsetx reconstruct``: label maps to meshes and label maps, through a model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from vecsetx import __version__
from vecsetx.anatomy.labelmap import LabelMap, read_grid, write_label_map
from vecsetx.anatomy.source import HeartSource
from vecsetx.anatomy.structures import LabelSet
from vecsetx.errors import InputError
from vecsetx.model.field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.pipeline.hearts import (
    EncodeOptions,
    encode_heart,
    encode_observation,
    observe_points,
    read_heart,
)
from vecsetx.pipeline.inputs import find_hearts
from vecsetx.pipeline.progress import steps
from vecsetx.reconstruction.completed import CompletedField
from vecsetx.reconstruction.decimation import (
    DecimationError,
    decimated_interfaces,
    decimation_error,
)
from vecsetx.reconstruction.evidence import Evidence
from vecsetx.reconstruction.export import write_interfaces, write_scene, write_surfaces
from vecsetx.reconstruction.field import DistanceField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.interfaces import shared_interfaces
from vecsetx.reconstruction.octree import descend, extent_mm
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.summary import write_summary
from vecsetx.reconstruction.surfaces import (
    Surface,
    decimated,
    field_surfaces,
    own_surfaces,
    structure_surfaces,
)
from vecsetx.reconstruction.tables import write_color_table, write_label_descriptions
from vecsetx.sampling.interfaces import SharedSurface

RESOLUTION = 192
"""Default voxels along the longest side of the grid that meshes are made on."""

MAX_VOXELS = 2**30
"""Voxels of the largest grid: 1024³, of which the labels alone take a gigabyte."""


@dataclass(frozen=True, slots=True)
class ReconstructOptions:
    """Choices of a reconstruction.

    Attributes:
        encode: How the label map is shown to the model.
        resolution: Voxels along the longest side of the grid that meshes are made on.
        resolution_mm: Edge of that grid's voxels instead, mm; None for ``resolution``.
        surfaces: ``shared``: one mesh of the walls between all structures, without overlap or gap,
            of which each structure's file is its part. ``closed``: each structure from its own
            distance alone, watertight; a thin vessel stays whole where it runs through a neighbour,
            and there the two overlap.
        faces: Faces to decimate the whole heart's meshes to; None to leave them as they are.
        keep_observed: Whether what the input shows stays as it is and the model only adds what is
            missing (:class:`~vecsetx.reconstruction.completed.CompletedField`); else all is the
            model's. Not for points, which show no volume.
        like: Image whose grid the label map takes; None for the input's own.
        space: ``lps`` or ``ras``, the axes of mesh coordinates.
        extension: Mesh format: vtp, stl, ply or obj.
        input_space: Axes of input meshes and points that do not say theirs.
    """

    encode: EncodeOptions = field(default_factory=EncodeOptions)
    resolution: int = RESOLUTION
    resolution_mm: float | None = None
    surfaces: Literal["shared", "closed"] = "shared"
    faces: int | None = None
    keep_observed: bool = False
    like: Path | None = None
    space: str = "lps"
    extension: str = "vtp"
    input_space: str = "lps"


def reconstruct(
    model: Path, inputs: Sequence[Path], out: Path, options: ReconstructOptions
) -> dict[str, str]:
    """Reconstruct every input into a folder of its own below ``out`` (into ``out`` if it is one).

    Each folder receives a mesh per structure, ``heart.glb``, ``interfaces.vtp`` (the mesh that all
    structures share, if they do), ``labels.nii.gz`` on the input's grid (surfaces and points, which
    have none, get one), ``inferred.nii.gz`` (the same less every voxel that the input shows),
    ``labels.ctbl`` and ``labels.itksnap.txt`` (what the ids mean, for 3D Slicer and ITK-SNAP), and
    ``summary.json``. The ids are those of the input's label set, or the model's own where that does
    not know all of the model's structures; ``summary.json`` says which. Each vertex of a VTP mesh
    says whether it is observed; of ``interfaces.vtp``, whether it is so for all structures that
    meet there.

    Returns:
        The failures: heart → reason. The other hearts are complete.

    Raises:
        InputError: The model or an input cannot be found, an option does not fit, or no heart at
            all could be reconstructed.
    """
    trained = TrainedModel.from_pretrained(model)
    label_set = options.encode.label_set or trained.label_set
    hearts = find_hearts(inputs, label_set, options.input_space)
    like = Grid(*read_grid(options.like)) if options.like else None
    failed: dict[str, str] = {}
    with steps("reconstructing hearts", len(hearts), "hearts") as progress:
        for name, source in hearts.items():
            folder = out / name if len(hearts) > 1 else out
            try:
                _reconstruct_heart(trained, model, source, folder, like, options)
            except InputError as error:
                path = str(source.path)
                failed[name] = str(error) if path in str(error) else f"{path}: {error}"
            progress.advance(note=name)
    if len(failed) == len(hearts):
        raise InputError("\n".join(failed.values()))
    return failed


def heart_surfaces(field: HeartField, resolution: int) -> dict[str, Surface]:
    """Meshes of a field on a grid with ``resolution`` voxels along its longest side."""
    return field_surfaces(field, mesh_grid(field, resolution))


def mesh_grid(
    field: HeartField,
    resolution: int,
    resolution_mm: float | None = None,
    completed: CompletedField | None = None,
) -> Grid:
    """The grid around a heart that its meshes are made on.

    Args:
        field: The heart.
        resolution: Voxels along the longest side.
        resolution_mm: Edge of a voxel instead, mm.
        completed: The heart with all that is observed of it, if that is to fit in, too.

    Raises:
        InputError: There is no heart, or its grid would have too many voxels.
    """
    corners_mm = np.stack(extent_mm(field, *field.frame.domain_mm()))
    if completed is not None:
        corners_mm = np.concatenate([corners_mm, completed.corners_mm()])
    low_mm, high_mm = corners_mm.min(axis=0), corners_mm.max(axis=0)
    if resolution_mm is None:
        grid = Grid.fitted(low_mm, high_mm, resolution)
    else:
        grid = Grid.around(low_mm, high_mm, resolution_mm)
    if grid.voxels > MAX_VOXELS:
        raise InputError(
            f"a grid of {grid.spacing_mm[0]:.3g} mm around this heart has {grid.voxels:.2g} "
            f"voxels; at most {MAX_VOXELS:.2g} can be held, so choose a coarser resolution"
        )
    return grid


@dataclass(frozen=True, slots=True)
class _Meshes:
    """What a heart's meshes are.

    Attributes:
        surfaces: Structure name → surface.
        interfaces: The mesh that they are parts of, if they share one.
        decimation: Structure name → how far it moved, if it was decimated.
    """

    surfaces: dict[str, Surface]
    interfaces: SharedSurface | None
    decimation: dict[str, DecimationError]


def _meshes(field: DistanceField, grid: Grid, options: ReconstructOptions) -> _Meshes:
    interfaces = None
    if options.surfaces == "shared":
        interfaces = shared_interfaces(descend(field, grid))
        full = structure_surfaces(interfaces, field.structures)
    else:
        full = own_surfaces(field, grid)
    total = sum(len(surface.faces) for surface in full.values())
    total = len(interfaces.faces) if interfaces else total
    if options.faces is None or total <= options.faces:
        return _Meshes(full, interfaces, {})
    if interfaces:
        interfaces = decimated_interfaces(interfaces, options.faces)
        coarse = structure_surfaces(interfaces, field.structures)
    else:
        coarse = {
            name: decimated(surface, max(len(surface.faces) * options.faces // total, 4))
            for name, surface in full.items()
        }
    errors = {name: decimation_error(full[name], coarse[name]) for name in coarse}
    return _Meshes(coarse, interfaces, errors)


@dataclass(frozen=True, slots=True)
class _Heart:
    """A heart that a model was shown.

    Attributes:
        predicted: The model's field of it.
        completed: The same with what is observed kept as it is, if that is wanted.
        evidence: What of it is observed.
        label_map: Its own label map, if it has one.
    """

    predicted: HeartField
    completed: CompletedField | None
    evidence: Evidence
    label_map: LabelMap | None

    @property
    def field(self) -> DistanceField:
        """What is to be meshed."""
        return self.completed or self.predicted


def _shown(source: HeartSource, trained: TrainedModel, options: ReconstructOptions) -> _Heart:
    """Read a heart and show it to a model."""
    if source.kind == "points":
        if options.keep_observed:
            raise InputError(
                f"{source.path}: of points it is not known what lies between them, so nothing can "
                "be kept; leave --keep-observed out, or give a label map or closed meshes"
            )
        observation = observe_points(source, trained, options.encode)
        evidence = Evidence.of_points(observation.structure, len(trained.structures))
        return _Heart(
            encode_observation(observation, trained, options.encode), None, evidence, None
        )
    label_map, geometry = read_heart(source, trained.structures, options.encode.drop)
    predicted = encode_heart(geometry, trained, options.encode)
    completed = CompletedField.of(predicted, geometry) if options.keep_observed else None
    return _Heart(predicted, completed, Evidence.of_geometry(geometry), label_map)


def _reconstruct_heart(
    trained: TrainedModel,
    model: Path,
    source: HeartSource,
    folder: Path,
    like: Grid | None,
    options: ReconstructOptions,
) -> None:
    heart = _shown(source, trained, options)
    grid = mesh_grid(heart.predicted, options.resolution, options.resolution_mm, heart.completed)
    meshes = _meshes(heart.field, grid, options)
    own = grid if heart.label_map is None else Grid.of(heart.label_map)
    labels = rasterize(heart.field, like or own)
    known = set(trained.structures) <= set(source.label_set.structures)
    ids = source.label_set if known else trained.label_set
    structures = trained.structures
    observed = {
        name: heart.evidence.of_surface(surface.vertices_mm, structures.index(name))
        for name, surface in meshes.surfaces.items()
    }
    _write_meshes(folder, meshes, structures, ids, heart.evidence, observed, options)
    inferred = heart.evidence.inferred(labels)
    for file, voxels in (("labels.nii.gz", labels), ("inferred.nii.gz", inferred)):
        write_label_map(voxels.numbered(ids, structures), folder / file)
    write_color_table(folder / "labels.ctbl", structures, ids)
    write_label_descriptions(folder / "labels.itksnap.txt", structures, ids)
    provenance = {
        "input": str(source.path.resolve()),
        "model": str(model.resolve()),
        "version": __version__,
        "space": options.space.upper(),
        "label_set": ids.to_dict(),
        "surfaces": options.surfaces,
        "mesh_resolution": max(grid.shape),
        "mesh_resolution_mm": float(grid.spacing_mm[0]),
        "dropped": list(options.encode.drop),
        "keep_observed": options.keep_observed,
        "latents": heart.predicted.latent_set.latents.shape[1],
        "refined": asdict(heart.predicted.gain) if heart.predicted.gain else None,
    }
    write_summary(
        folder / "summary.json",
        labels,
        meshes.surfaces,
        structures,
        provenance,
        [structures[index] for index in np.flatnonzero(heart.evidence.present)],
        meshes.decimation,
        {name: float(vertices.mean()) for name, vertices in observed.items()},
    )


def _write_meshes(
    folder: Path,
    meshes: _Meshes,
    structures: tuple[str, ...],
    ids: LabelSet,
    evidence: Evidence,
    observed: dict[str, np.ndarray],
    options: ReconstructOptions,
) -> None:
    for missed in set(structures) - set(meshes.surfaces):  # of an earlier reconstruction
        (folder / f"{missed}.{options.extension}").unlink(missing_ok=True)
    write_surfaces(
        folder, meshes.surfaces, structures, options.extension, options.space, ids, observed
    )
    write_scene(folder / "heart.glb", meshes.surfaces, options.space)
    if meshes.interfaces:
        write_interfaces(
            folder / "interfaces.vtp",
            meshes.interfaces,
            structures,
            ids,
            options.space,
            evidence.of_interfaces(meshes.interfaces),
        )
    else:
        (folder / "interfaces.vtp").unlink(missing_ok=True)
