"""``vecsetx reconstruct``: reconstruct hearts as meshes and label maps."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx._version import __version__
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.sources import HeartSource
from vecsetx.errors import InputError
from vecsetx.formats.images import read_grid
from vecsetx.formats.label_maps import write_label_map
from vecsetx.geometry.heart_geometry import Geometry
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
from vecsetx.terminal.progress_bars import steps
from vecsetx.terminal.remarks import print_remarks

__all__ = ["ReconstructOptions", "reconstruct"]


@dataclass(frozen=True, slots=True)
class ReconstructOptions:
    """Options of a reconstruction.

    Attributes:
        encode: How hearts are encoded.
        resolution: Voxels along the longest side of the meshing grid.
        resolution_mm: Edge of its voxels instead, mm; None for ``resolution``.
        surfaces: Whether structures share their walls
            (:data:`~vecsetx.inference.heart_meshes.SurfaceKind`).
        faces: Number of faces to decimate the heart's meshes to; None for no decimation.
        keep_observed: Whether observed surfaces stay as they are and the model only adds what is
            missing (:class:`~vecsetx.inference.completion.CompletedField`). Not for points, which
            do not define a volume.
        ensemble: Members of the ensemble that gives the standard deviations of the surfaces
            (:func:`~vecsetx.inference.ensemble.encode_ensemble`); 0 for none.
        like: Image whose grid the label map takes; None for the input's.
        space: Axes of mesh coordinates, ``lps`` or ``ras``.
        extension: Mesh format: vtp, stl, ply or obj.
        input_space: Axes of input meshes and points whose files do not say.
        units: Unit of their coordinates, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.
        trust_names: Whether structures keep their names where anatomy contradicts them.
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
    units: str = "mm"
    trust_names: bool = False


def reconstruct(
    model: Path, inputs: Sequence[Path], out: Path, options: ReconstructOptions
) -> dict[str, str]:
    """Reconstruct each heart into its own folder in ``out``, a single one into ``out`` itself.

    Each folder receives

    - a mesh per structure, the scene ``heart.glb``, and ``interfaces.vtp``, the one mesh of all
      structures, if they share their walls;
    - ``labels.nii.gz`` on the input's grid (on the meshing grid for surfaces and points), and
      ``inferred.nii.gz``, the same without observed voxels;
    - ``labels.ctbl`` and ``labels.itksnap.txt``, the meaning of the ids for 3D Slicer and ITK-SNAP;
    - ``summary.json``.

    The ids are those of the input's label set, or the model's own if the input's lacks one of the
    model's structures; ``summary.json`` records which. Each vertex of a VTP mesh says whether it is
    observed; in ``interfaces.vtp``, whether it is observed for all structures that meet there. With
    ``ensemble`` it also has the standard deviation ``sd_mm`` of the surface's position; in
    ``interfaces.vtp``, the largest one of the structures that meet there.

    Args:
        model: Folder of a run or of a saved model.
        inputs: Hearts of any kind: files, or folders of them.
        out: Folder for the results.
        options: The options.

    Returns:
        Heart → reason, for hearts that failed. The others are complete.

    Raises:
        InputError: The model or an input cannot be found, options do not fit together, or no heart
            could be reconstructed.
    """
    refuse_recycled_ensemble(options.ensemble, options.encode)
    trained = TrainedModel.from_pretrained(model)
    hearts = find_hearts(
        inputs,
        options.encode.label_set,
        options.input_space,
        options.units,
        trained.label_set,
        options.trust_names,
    )
    like = Grid(*read_grid(options.like)) if options.like else None
    sd_factor = sd_factor_of(model, trained) if options.ensemble else None
    setup = _Setup(trained, model, sd_factor, like, options)
    failed: dict[str, str] = {}
    remarks: dict[str, tuple[str, ...]] = {}
    with steps("reconstructing hearts", len(hearts), "hearts") as progress:
        for name, source in hearts.items():
            folder = out / name if len(hearts) > 1 else out
            try:
                remarks[name] = _reconstruct_heart(source, folder, setup)
            except InputError as error:
                path = str(source.path)
                failed[name] = str(error) if path in str(error) else f"{path}: {error}"
            progress.advance(note=name)
    print_remarks(remarks)
    if len(failed) == len(hearts):
        raise InputError("\n".join(failed.values()))
    return failed


@dataclass(frozen=True, slots=True)
class _Setup:
    """Settings that all hearts share.

    Attributes:
        trained: The model.
        model: Its folder.
        sd_factor: Its calibration factors; None without an ensemble or if it is uncalibrated.
        like: Grid of the label maps; None for each input's own.
        options: The options.
    """

    trained: TrainedModel
    model: Path
    sd_factor: SdFactor | None
    like: Grid | None
    options: ReconstructOptions


def _reconstruct_heart(source: HeartSource, folder: Path, setup: _Setup) -> tuple[str, ...]:
    """Reconstruct and write one heart; return the remarks on its source."""
    options, structures = setup.options, setup.trained.structures
    if options.keep_observed and not source.has_volume:
        raise InputError(
            f"{source.path}: --keep-observed needs a label map, masks or closed meshes, as points "
            "do not define a volume; leave --keep-observed out, or give another input"
        )

    source = source.resolved()
    # 1. Encode: the heart's field, and optionally its union with the observed structures.
    heart = encode_source(source, setup.trained, options.encode)
    completed = None
    if options.keep_observed and isinstance(heart.shown, Geometry):
        completed = CompletedField.of(heart.field, heart.shown)
    field = completed or heart.field

    # 2. Mesh the whole heart on a grid around it, which may extend beyond the input.
    grid = mesh_grid(heart.field, options.resolution, options.resolution_mm, completed)
    meshes = heart_meshes(field, grid, options.surfaces, options.faces)

    # 3. For each vertex: whether it is observed, and its standard deviation.
    ensemble = _ensemble(heart, completed, setup)
    known = vertex_attributes(meshes, structures, heart.visibility, ensemble, options.keep_observed)

    # 4. Label the voxels of the input's grid, or of the meshing grid if the input has none.
    own = grid if heart.label_map is None else Grid.of(heart.label_map)
    labels = rasterize(field, setup.like or own)

    # 5. Write everything, with the input's ids if they cover all structures of the model.
    all_named = set(structures) <= set(source.label_set.structures)
    ids = source.label_set if all_named else setup.trained.label_set
    _write_meshes(folder, meshes, structures, ids, known, options)
    inferred = heart.visibility.inferred_part(labels)
    for file, voxels in (("labels.nii.gz", labels), ("inferred.nii.gz", inferred)):
        write_label_map(voxels.to_label_set(ids, structures), folder / file, structures, ids)
    write_color_table(folder / "labels.ctbl", structures, ids)
    write_label_descriptions(folder / "labels.itksnap.txt", structures, ids)
    write_summary(
        folder / "summary.json",
        labels,
        meshes.surfaces,
        structures,
        _provenance(source, heart, grid, ids, ensemble, setup),
        [structures[index] for index in np.flatnonzero(heart.visibility.present)],
        meshes.decimation,
        {name: float(vertices.mean()) for name, vertices in known.observed.items()},
        {
            name: sd_summary(sd_mm, known.observed[name], known.beyond_reach[name])
            for name, sd_mm in known.sd_mm.items()
        },
    )
    return heart.remarks


def _ensemble(
    heart: EncodedHeart, completed: CompletedField | None, setup: _Setup
) -> Ensemble | None:
    options, structures = setup.options, setup.trained.structures
    if not options.ensemble:
        return None
    # The factor of cut structures was measured beyond the edge of the scan, with observed surfaces
    # kept, and holds only there.
    cut = None if completed is None else heart.visibility.cut
    factor = setup.sd_factor.each(structures, cut) if setup.sd_factor else 1.0
    ensemble = encode_ensemble(
        heart.shown,
        setup.trained,
        options.ensemble,
        options.encode.seed,
        factor,
        heart.field.domain,
    )
    # The members keep the observed surfaces if the heart itself does.
    return ensemble if completed is None else ensemble.mapped(completed.with_model)


def _provenance(
    source: HeartSource,
    heart: EncodedHeart,
    grid: Grid,
    ids: LabelSet,
    ensemble: Ensemble | None,
    setup: _Setup,
) -> dict[str, Any]:
    """Return how a heart was reconstructed, for its summary."""
    options = setup.options
    return {
        "input": str(source.path.resolve()),
        "remarks": list(heart.remarks),
        "model": str(setup.model.resolve()),
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
        "ensemble": _ensemble_summary(ensemble, setup.sd_factor),
    }


def _ensemble_summary(
    ensemble: Ensemble | None, sd_factor: SdFactor | None
) -> dict[str, Any] | None:
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
    for missed in set(structures) - set(meshes.surfaces):  # left by an earlier reconstruction
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
