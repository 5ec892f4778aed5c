"""``vecsetx reconstruct``: reconstruct hearts as meshes and label maps."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.commands.reconstruct_options import ReconstructOptions
from vecsetx.commands.reconstruction_files import Setup, write_heart
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.heart_source import HeartSource
from vecsetx.errors import InputError
from vecsetx.evaluation.reconstructed_heart import ReconstructedHeart
from vecsetx.formats.images import read_grid
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.encode import EncodedHeart, encode_source
from vecsetx.inference.ensemble import Ensemble, encode_ensemble, refuse_recycled_ensemble
from vecsetx.inference.heart_meshes import (
    HeartMeshes,
    checked_size,
    heart_meshes,
    mesh_grid,
    vertex_attributes,
)
from vecsetx.inference.sd_factor import sd_factor_of
from vecsetx.inference.support import Support
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.terminal.progress_bars import steps
from vecsetx.terminal.reconstruction_table import print_files, print_reconstruction
from vecsetx.terminal.remarks import print_remarks

__all__ = ["ReconstructOptions", "reconstruct"]


def reconstruct(
    model: Path, inputs: Sequence[Path], out: Path, options: ReconstructOptions
) -> dict[str, str]:
    """Reconstruct each heart into its own folder in ``out``, a single one into ``out`` itself.

    Each folder receives

    - a mesh per structure, the scene ``heart.glb``, and ``interfaces.vtp``, the one mesh of all
      structures, if they share their walls;
    - unless ``options.labels`` is off: ``labels.nii.gz`` on the input's grid (on the meshing grid
      for surfaces and points); ``inferred.nii.gz``, the same without observed voxels, if anything
      is inferred; ``labels.ctbl`` and ``labels.itksnap.txt``, the meaning of the ids for 3D Slicer
      and ITK-SNAP;
    - unless ``options.page`` is off, the page ``heart.html``;
    - ``summary.json``.

    Files that an earlier reconstruction wrote into the folder are removed
    (:func:`~vecsetx.reconstruction.output_folder.one_run_s_files`).

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
    _check(options)
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
    setup = Setup(trained, model, sd_factor, options)
    failed: dict[str, str] = {}
    summaries: dict[Path, dict[str, Any]] = {}
    remarks: dict[str, list[str]] = {}
    with steps("reconstructing hearts", len(hearts), "hearts") as progress:
        for name, source in hearts.items():
            folder = out / name if len(hearts) > 1 else out
            try:
                summary = write_heart(folder, _reconstruct_heart(source, like, setup), setup)
            except InputError as error:
                path = str(source.path)
                failed[name] = str(error) if path in str(error) else f"{path}: {error}"
            else:
                print_reconstruction(name, summary)
                summaries[folder], remarks[name] = summary, summary["provenance"]["remarks"]
            progress.advance(note=name)
    print_remarks(remarks)
    if len(failed) == len(hearts):
        raise InputError("\n".join(failed.values()))
    print_files({folder: summary["files"] for folder, summary in summaries.items()})
    return failed


def _check(options: ReconstructOptions) -> None:
    """Raise :class:`InputError` if options contradict each other."""
    refuse_recycled_ensemble(options.ensemble, options.encode)
    if not options.labels and (options.like or options.enlarge):
        option = "--like" if options.like else "--enlarge"
        raise InputError(
            f"{option} sets the grid of the label map, which --no-labels leaves out; choose one"
        )


def _reconstruct_heart(source: HeartSource, like: Grid | None, setup: Setup) -> ReconstructedHeart:
    """Reconstruct one heart.

    Args:
        source: The heart.
        like: Grid of the label map; None for the input's own.
        setup: Settings of the run.
    """
    options, structures = setup.options, setup.trained.structures
    if options.keep_observed and not source.has_volume:
        raise InputError(
            f"{source.path}: --keep-observed needs a label map, masks or closed meshes, as points "
            "do not define a volume; leave --keep-observed out, or give another input"
        )
    source = source.resolved()
    times = [time.monotonic()]
    # 1. Encode: the heart's field, and optionally its union with the observed structures.
    heart = encode_source(source, setup.trained, options.encode)
    completed = None
    if options.keep_observed and isinstance(heart.shown, Geometry):
        completed = CompletedField.of(heart.field, heart.shown)
    field = completed or heart.field
    times.append(time.monotonic())

    # 2. Mesh the whole heart on a grid around it, which may extend beyond the input.
    grid = mesh_grid(heart.field, options.resolution, options.resolution_mm, completed)
    supports = None if options.keep_specks else Support(heart.shown)
    meshes = heart_meshes(field, grid, options.surfaces, options.faces, supports)

    # 3. For each vertex: whether it is observed, and its standard deviation.
    ensemble = _ensemble(heart, completed, setup)
    known = vertex_attributes(meshes, structures, heart.visibility, ensemble, options.keep_observed)
    times.append(time.monotonic())

    # 4. Label the voxels of the input's grid, or of the meshing grid if the input has none.
    own = grid if heart.label_map is None else Grid.of(heart.label_map)
    labels = _labels(meshes.specks.field(field), like or own, meshes, options)
    times.append(time.monotonic())

    # 5. The input's ids if they cover all structures of the model.
    all_named = set(structures) <= set(source.label_set.structures)
    ids = source.label_set if all_named else setup.trained.label_set
    took = zip(("encode", "mesh", "label"), np.diff(times).tolist(), strict=True)
    return ReconstructedHeart(
        source, heart, grid, meshes, known, labels, structures, ids, ensemble, dict(took)
    )


def _labels(
    field: DistanceField, grid: Grid, meshes: HeartMeshes, options: ReconstructOptions
) -> LabelMap | None:
    """Return the label map on the grid, which is enlarged if asked for; None without labels."""
    if not options.labels:
        return None
    if options.enlarge and meshes.surfaces:
        vertices_mm = [surface.vertices_mm for surface in meshes.surfaces.values()]
        remedy = "leave --enlarge out, or give a coarser grid with --like"
        grid = checked_size(grid.enlarged(np.concatenate(vertices_mm).astype(float)), remedy)
    return rasterize(field, grid)


def _ensemble(
    heart: EncodedHeart, completed: CompletedField | None, setup: Setup
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
