"""``vecsetx reconstruct``: reconstruct hearts as meshes and label maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vecsetx.cohort.cohort_options import CohortOptions, missing_here
from vecsetx.cohort.out_folder import results_folder
from vecsetx.cohort.reconstruct_options import ReconstructOptions
from vecsetx.cohort.reconstructing import HeartToReconstruct, Reconstructing
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.find_hearts import check_there, find_hearts
from vecsetx.data.heart_source import HeartSource
from vecsetx.data.idle_options import check_idle
from vecsetx.errors import InputError
from vecsetx.formats.images import read_grid
from vecsetx.inference.sd_factor import sd_factor_of
from vecsetx.model.built_in import recorded_name
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.output_folder import (
    SUMMARY,
    check_foreign,
    check_unmixed,
    other_hearts,
)
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.terminal.progress_bars import waiting
from vecsetx.terminal.reconstruction_table import print_files, print_others, print_reconstruction
from vecsetx.workers.for_each import workers_or_here
from vecsetx.workers.heart_work import Records

__all__ = ["CohortOptions", "ReconstructOptions", "reconstruct"]


def reconstruct(
    model: Path,
    inputs: Sequence[Path],
    out: Path,
    options: ReconstructOptions,
    cohort: CohortOptions | None = None,
    places: dict[str, Path] | None = None,
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

    With ``options.frames``, the input is one heart over its cycle
    (:func:`~vecsetx.commands.cine.frames.reconstruct_frames`).

    With ``options.one_heart``, the inputs are views of one heart. They are brought together first:
    ``views/`` receives their contours, their shifts, and a picture of these.

    A heart that an earlier run has reconstructed from the same input, with the same model and
    options, is skipped if its files are still there (:mod:`~vecsetx.workers.heart_work`). Files
    that an earlier reconstruction wrote into the folder are removed
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
        cohort: Who does the work; None: this process, on the CPU.
        places: Receives heart → its folder, of hearts that are reconstructed.

    Returns:
        Heart → reason, for hearts that failed, and for those that the model reconstructs so badly
        that they are no hearts as it knows them. The others are complete.

    Raises:
        InputError: The model or an input cannot be found, options do not fit together, ``out``
            cannot be written, holds files of others with the names of results, or a single heart
            where there are several now or the reverse, another run is writing into it, or no heart
            could be reconstructed.
    """
    cohort = cohort or CohortOptions()
    options.check()
    cohort.check()
    if options.frames and not cohort.is_here:
        raise InputError(
            "--workers and --dask: change nothing with --frames, where each frame is reconstructed "
            "from the one before; leave them out"
        )
    with results_folder(out):
        return _reconstruct_all(
            model, inputs, out, options, cohort, {} if places is None else places
        )


def _reconstruct_all(
    model: Path,
    inputs: Sequence[Path],
    out: Path,
    options: ReconstructOptions,
    cohort: CohortOptions,
    places: dict[str, Path],
) -> dict[str, str]:
    check_there(inputs)
    like = Grid(*read_grid(options.like, options.most_voxels)) if options.like else None
    with waiting("reading the model"):
        shared, trained = WorkingModel.of(model, cohort.device, cohort.is_here)
    if options.frames:
        from vecsetx.commands.cine.frames import reconstruct_frames

        unlike = reconstruct_frames(model, inputs, out, options, shared, trained)
        places[out.resolve().name] = out
        return unlike
    one = None
    if options.one_heart:
        from vecsetx.commands.one_heart import OneHeart

        one = OneHeart(inputs, out, options, model, shared, trained)
    hearts = {one.source.name: one.source} if one else _hearts(inputs, options, trained)
    sd_factor = sd_factor_of(model, trained, options.calibration) if options.ensemble else None
    folders = {name: out / name if len(hearts) > 1 else out for name in hearts}
    check_unmixed(out, next(iter(hearts)) if len(hearts) == 1 else None)
    for folder in folders.values():
        check_foreign(folder, trained.structures, options.extension)
    there = out.resolve()
    work = Reconstructing(shared, recorded_name(model), options, like, sd_factor, there)
    with workers_or_here(cohort.workers, cohort.dask) as workers:
        views = one.aligned(workers) if one else None
        given = {
            name: HeartToReconstruct(source, there / folders[name].relative_to(out), views)
            for name, source in hearts.items()
        }
        outcome = run_cohort(
            "reconstructing hearts",
            work,
            given,
            Records.within(out),
            workers,
            _printed,
        )
    failed = outcome.failed | missing_here(
        {name: folders[name] / SUMMARY for name in outcome.results}
    )
    if len(failed) == len(hearts):
        raise InputError("\n".join(failed.values()))
    done = [name for name in hearts if name in outcome.results and name not in failed]
    places |= {name: folders[name] for name in done}
    print_files({folder: outcome.results[name]["files"] for name, folder in places.items()})
    print_others(out, other_hearts(out, folders.values()))
    unlike = {
        name: f"{hearts[name].path}: {reason}"
        for name, summary in outcome.results.items()
        if (reason := summary.get("misfit")) and name not in failed
    }
    return failed | unlike


@waiting("finding hearts")
def _hearts(
    inputs: Sequence[Path], options: ReconstructOptions, trained: TrainedModel
) -> dict[str, HeartSource]:
    """Find the hearts, and check that each option matters to one of them."""
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
    return hearts


def _printed(name: str, summary: dict[str, Any]) -> dict[str, Any]:
    print_reconstruction(name, summary)
    return summary
