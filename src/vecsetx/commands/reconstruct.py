"""``vecsetx reconstruct``: reconstruct hearts as meshes and label maps."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx.commands.reconstruction_files import Setup, write_heart
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.heart_source import HeartSource
from vecsetx.data.idle_options import check_idle
from vecsetx.errors import InputError, too_large
from vecsetx.evaluation.reconstructed_heart import ReconstructedHeart
from vecsetx.formats.images import read_grid
from vecsetx.inference.ensemble import refuse_recycled_ensemble
from vecsetx.inference.heart import Heart
from vecsetx.inference.heart_meshes import RESOLUTION
from vecsetx.inference.reconstruct_options import ReconstructOptions
from vecsetx.inference.sd_factor import sd_factor_of
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.output_folder import check_foreign
from vecsetx.terminal.progress_bars import steps, waiting
from vecsetx.terminal.reconstruction_table import print_files, print_reconstruction
from vecsetx.workers.lock import only_writer

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
        InputError: The model or an input cannot be found, options do not fit together, ``out``
            cannot be written or holds files of others with the names of results, another run is
            writing into it, or no heart could be reconstructed.
    """
    _check(options)
    with only_writer(out):
        return _reconstruct_all(model, inputs, out, options)


def _reconstruct_all(
    model: Path, inputs: Sequence[Path], out: Path, options: ReconstructOptions
) -> dict[str, str]:
    with waiting("reading the model"):
        trained = TrainedModel.from_pretrained(model)
    hearts = find_hearts(
        inputs,
        options.encode.label_set,
        options.input_space,
        options.units,
        trained.label_set,
        options.trust_names,
        most_voxels=options.most_voxels,
    )
    check_idle(
        hearts.values(),
        options.encode.label_set is not None,
        options.input_space,
        options.units,
        options.trust_names,
        "--input-space",
    )
    like = Grid(*read_grid(options.like, options.most_voxels)) if options.like else None
    sd_factor = sd_factor_of(model, trained) if options.ensemble else None
    setup = Setup(trained, model, sd_factor, options, out)
    folders = {name: out / name if len(hearts) > 1 else out for name in hearts}
    for folder in folders.values():
        check_foreign(folder, trained.structures, options.extension)
    failed: dict[str, str] = {}
    summaries: dict[Path, dict[str, Any]] = {}
    with steps("reconstructing hearts", len(hearts), "hearts") as progress:
        for name, source in hearts.items():
            folder = folders[name]
            progress.begin(name)
            try:
                summary = write_heart(folder, _reconstruct_heart(source, like, setup), setup)
            except InputError as error:
                path = str(source.path)
                failed[name] = str(error) if path in str(error) else f"{path}: {error}"
            except MemoryError as error:
                failed[name] = f"{source.path}: {too_large(error)}"
            else:
                print_reconstruction(name, summary)
                summaries[folder] = summary
            progress.advance(note=name)
    if len(failed) == len(hearts):
        raise InputError("\n".join(failed.values()))
    print_files({folder: summary["files"] for folder, summary in summaries.items()})
    return failed


def _check(options: ReconstructOptions) -> None:
    """Raise :class:`InputError` if options contradict each other."""
    refuse_recycled_ensemble(options.ensemble, options.encode)
    if options.resolution_mm is not None and options.resolution != RESOLUTION:
        raise InputError(
            f"--resolution {options.resolution} and --resolution-mm {options.resolution_mm:g}: "
            "both set the size of the meshing grid's voxels; choose one"
        )
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
    options = setup.options
    times = [time.monotonic()]
    heart = Heart.of(
        source,
        setup.trained,
        options.encode,
        options.keep_observed,
        options.ensemble,
        setup.sd_factor,
    )
    times.append(time.monotonic())
    meshes = heart.meshes(options.meshes)
    known = heart.vertex_attributes(meshes)
    times.append(time.monotonic())
    labels = heart.label_map(meshes, like, options.enlarge) if options.labels else None
    times.append(time.monotonic())
    took = zip(("encode", "mesh", "label"), np.diff(times).tolist(), strict=True)
    return ReconstructedHeart(source, heart, meshes, known, labels, dict(took))
