"""``vecsetx reconstruct``: label maps to meshes and label maps, through a model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx._version import __version__
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.commands.progress import steps
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.sources import HeartSource
from vecsetx.errors import InputError
from vecsetx.formats.images import read_grid
from vecsetx.formats.label_maps import write_label_map
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.encode import EncodedHeart, EncodeOptions, encode_source
from vecsetx.inference.ensemble import Ensemble, encode_ensemble, refuse_recycled_ensemble
from vecsetx.inference.heart_meshes import (
    RESOLUTION,
    HeartMeshes,
    SurfaceKind,
    VertexAttributes,
    heart_meshes,
    mesh_grid,
    vertex_attributes,
)
from vecsetx.inference.sd_factor import SdFactor, sd_factor_of
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.label_tables import write_color_table, write_label_descriptions
from vecsetx.reconstruction.mesh_export import write_interfaces, write_scene, write_surfaces
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.summary import sd_summary, write_summary
from vecsetx.sampling.geometry import Geometry


@dataclass(frozen=True, slots=True)
class ReconstructOptions:
    """Choices of a reconstruction.

    Attributes:
        encode: How the label map is shown to the model.
        resolution: Voxels along the longest side of the grid that meshes are made on.
        resolution_mm: Edge of that grid's voxels instead, mm; None for ``resolution``.
        surfaces: Whether structures share their walls
            (:data:`~vecsetx.inference.heart_meshes.SurfaceKind`).
        faces: Faces to decimate the whole heart's meshes to; None to leave them as they are.
        keep_observed: Whether what the input shows stays as it is and the model only adds what is
            missing (:class:`~vecsetx.inference.completion.CompletedField`); else all is the
            model's. Not for points, which show no volume.
        ensemble: Members of an ensemble of each heart, from which standard deviations of the
            surfaces are found (:func:`~vecsetx.inference.ensemble.encode_ensemble`); 0 for none.
        like: Image whose grid the label map takes; None for the input's own.
        space: ``lps`` or ``ras``, the axes of mesh coordinates.
        extension: Mesh format: vtp, stl, ply or obj.
        input_space: Axes of input meshes and points that do not say theirs.
    """

    encode: EncodeOptions = field(default_factory=EncodeOptions)
    resolution: int = RESOLUTION
    resolution_mm: float | None = None
    surfaces: SurfaceKind = "shared"
    faces: int | None = None
    keep_observed: bool = False
    ensemble: int = 0
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
    meet there. With ``ensemble`` it also has the standard deviation ``sd_mm`` of the surface's
    place, of ``interfaces.vtp`` the largest of the structures that meet there.

    Returns:
        The failures: heart → reason. The other hearts are complete.

    Raises:
        InputError: The model or an input cannot be found, options do not fit, or no heart at all
            could be reconstructed.
    """
    refuse_recycled_ensemble(options.ensemble, options.encode)
    trained = TrainedModel.from_pretrained(model)
    label_set = options.encode.label_set or trained.label_set
    hearts = find_hearts(inputs, label_set, options.input_space)
    like = Grid(*read_grid(options.like)) if options.like else None
    sd_factor = sd_factor_of(model, trained) if options.ensemble else None
    failed: dict[str, str] = {}
    with steps("reconstructing hearts", len(hearts), "hearts") as progress:
        for name, source in hearts.items():
            folder = out / name if len(hearts) > 1 else out
            try:
                _reconstruct_heart(trained, model, source, folder, like, sd_factor, options)
            except InputError as error:
                path = str(source.path)
                failed[name] = str(error) if path in str(error) else f"{path}: {error}"
            progress.advance(note=name)
    if len(failed) == len(hearts):
        raise InputError("\n".join(failed.values()))
    return failed


def _reconstruct_heart(
    trained: TrainedModel,
    model: Path,
    source: HeartSource,
    folder: Path,
    like: Grid | None,
    sd_factor: SdFactor | None,
    options: ReconstructOptions,
) -> None:
    if options.keep_observed and not source.has_volume:
        raise InputError(
            f"{source.path}: --keep-observed needs a label map, masks or closed meshes, as points "
            "do not define a volume; leave --keep-observed out, or give another input"
        )
    heart = encode_source(source, trained, options.encode)
    completed = None
    if options.keep_observed and isinstance(heart.shown, Geometry):
        completed = CompletedField.of(heart.field, heart.shown)
    made = completed or heart.field
    grid = mesh_grid(heart.field, options.resolution, options.resolution_mm, completed)
    meshes = heart_meshes(made, grid, options.surfaces, options.faces)
    ensemble = _ensemble(heart, completed, trained, sd_factor, options)
    structures = trained.structures
    known = vertex_attributes(meshes, structures, heart.visibility, ensemble, options.keep_observed)
    own = grid if heart.label_map is None else Grid.of(heart.label_map)
    labels = rasterize(made, like or own)
    all_named = set(structures) <= set(source.label_set.structures)
    ids = source.label_set if all_named else trained.label_set
    _write_meshes(folder, meshes, structures, ids, known, options)
    inferred = heart.visibility.inferred_part(labels)
    for file, voxels in (("labels.nii.gz", labels), ("inferred.nii.gz", inferred)):
        write_label_map(voxels.to_label_set(ids, structures), folder / file)
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
        "latents": heart.field.latent_set.latents.shape[1],
        "recycled": options.encode.recycle,
        "refined": asdict(heart.field.refinement) if heart.field.refinement else None,
        "ensemble": _ensemble_summary(ensemble, sd_factor),
    }
    write_summary(
        folder / "summary.json",
        labels,
        meshes.surfaces,
        structures,
        provenance,
        [structures[index] for index in np.flatnonzero(heart.visibility.present)],
        meshes.decimation,
        {name: float(vertices.mean()) for name, vertices in known.observed.items()},
        {
            name: sd_summary(sd_mm, known.observed[name], known.beyond_reach[name])
            for name, sd_mm in known.sd_mm.items()
        },
    )


def _ensemble(
    heart: EncodedHeart,
    completed: CompletedField | None,
    trained: TrainedModel,
    sd_factor: SdFactor | None,
    options: ReconstructOptions,
) -> Ensemble | None:
    if not options.ensemble:
        return None
    # The factor of cut structures was measured beyond the edge, where what is observed is kept.
    cut = None if completed is None else heart.visibility.cut
    factor = sd_factor.each(trained.structures, cut) if sd_factor else 1.0
    domain = heart.field.domain
    drawn = encode_ensemble(
        heart.shown, trained, options.ensemble, options.encode.seed, factor, domain
    )
    return drawn if completed is None else drawn.mapped(completed.with_model)


def _ensemble_summary(
    ensemble: Ensemble | None, sd_factor: SdFactor | None
) -> dict[str, Any] | None:
    """What the standard deviations of a summary rest on."""
    if ensemble is None:
        return None
    return {
        "members": len(ensemble.members),
        "calibration": sd_factor.to_dict() if sd_factor else "uncalibrated",
        "reach_mm": ensemble.reach_mm,
    }


def _write_meshes(
    folder: Path,
    meshes: HeartMeshes,
    structures: tuple[str, ...],
    ids: LabelSet,
    known: VertexAttributes,
    options: ReconstructOptions,
) -> None:
    for missed in set(structures) - set(meshes.surfaces):  # of an earlier reconstruction
        (folder / f"{missed}.{options.extension}").unlink(missing_ok=True)
    write_surfaces(
        folder,
        meshes.surfaces,
        structures,
        options.extension,
        options.space,
        ids,
        known.observed,
        known.sd_mm,
    )
    write_scene(folder / "heart.glb", meshes.surfaces, options.space)
    if meshes.interfaces:
        write_interfaces(
            folder / "interfaces.vtp",
            meshes.interfaces,
            structures,
            ids,
            options.space,
            known.interfaces_observed,
            known.interfaces_sd_mm,
        )
    else:
        (folder / "interfaces.vtp").unlink(missing_ok=True)
