"""``vecsetx reconstruct --frames``: reconstruct a heart in each frame of its cycle."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vecsetx.anatomy.structures import structure_names
from vecsetx.cine.cine import Cine, read_cine
from vecsetx.cine.cycle import cycle_of
from vecsetx.cohort.cycle_files import CYCLE_FILES, cycle_files, summary_of
from vecsetx.cohort.reconstruct_options import ReconstructOptions
from vecsetx.cohort.reconstructing_frames import (
    FRAME_REFINE_STEPS,
    FrameToReconstruct,
    ReconstructedFrame,
    ReconstructingFrames,
    folder_of,
)
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.idle_options import check_idle
from vecsetx.data.sources import LabelMapSource
from vecsetx.errors import InputError
from vecsetx.files import write_json
from vecsetx.model.built_in import recorded_name
from vecsetx.model.saved import TrainedModel
from vecsetx.names import natural_key
from vecsetx.progress import counted_parts
from vecsetx.reconstruction.output_folder import (
    SUMMARY,
    check_foreign_names,
    check_unmixed,
    one_run_s_files,
)
from vecsetx.report.cine_scene import CINE_FACES, FRAME_FACES
from vecsetx.terminal.cine_tables import print_cycle
from vecsetx.terminal.progress_bars import console, steps, waiting
from vecsetx.terminal.reconstruction_table import print_files
from vecsetx.views.views import find_views
from vecsetx.workers.heart_work import Records, do_heart, done_earlier

__all__ = ["reconstruct_frames"]


def reconstruct_frames(
    model: Path,
    inputs: Sequence[Path],
    out: Path,
    options: ReconstructOptions,
    shared: WorkingModel,
    trained: TrainedModel,
) -> dict[str, str]:
    """Reconstruct a heart in each frame of its cycle; write ``out``, which is locked.

    Args:
        model: The model's folder.
        inputs: A 4-D label map, or a label map per frame, in order.
        out: Folder for the results.
        options: The options.
        shared: The model, as workers share it.
        trained: The model.

    Returns:
        Heart → reason, if the model reconstructs a frame so badly that it is no heart as it knows
        hearts.

    Raises:
        InputError: The frames cannot be read or show no common heart, or a file of another origin
            has the name of a result.
    """
    if options.encode.refine is None:
        encode = replace(options.encode, refine=FRAME_REFINE_STEPS)
        options = replace(options, encode=encode)
    sources = _sources(inputs, options, trained)
    labels = options.encode.label_set is not None
    check_idle(sources, labels, options.input_space, options.units, options.trust_names)
    with waiting("reading the frames"):
        cine = read_cine(sources, trained.structures)
    check_unmixed(out, sources[0].name)
    names = _names(cine, options)
    check_foreign_names(out, names)
    faces = min(CINE_FACES // len(cine.frames), FRAME_FACES) if options.page else 0
    work = ReconstructingFrames(shared, recorded_name(model), options, faces, out.resolve())
    with one_run_s_files(out, names, locked=True):
        frames = _reconstructed(cine, work, Records.within(out))
        cycle = cycle_of({number: one.volumes for number, one in frames.items()}, cine.left_out)
        summary = summary_of(sources, cine, frames, cycle, work)
        files = cycle_files(sources[0].name, cine, frames, cycle, summary, work)
        with waiting("writing the cycle"):
            for file in counted_parts(files, "file", even=False):
                if file.write:
                    file.write(out / file.name)
        summary["files"] |= {file.name: file.purpose for file in files}
        write_json(out / SUMMARY, summary)
    print_cycle(sources[0].name, summary)
    print_files({out: {file.name: file.purpose for file in files}})
    unlike = {n: one.misfit for n, one in frames.items() if one.misfit}
    return {f"frame {n}": f"{sources[0].path}, frame {n}: {why}" for n, why in unlike.items()}


def _sources(
    inputs: Sequence[Path], options: ReconstructOptions, trained: TrainedModel
) -> tuple[LabelMapSource, ...]:
    """Return the label maps as users give them, those of a folder in the order of their numbers."""
    found: dict[Path, LabelMapSource] = {}
    label_set = options.encode.label_set
    chosen = (label_set,) if label_set else ()
    for given in inputs:
        own = find_views(
            [given],
            chosen,
            trained.label_set,
            options.most_voxels,
            "--frames",
            options.trust_names,
        )
        for source in sorted(own, key=lambda source: natural_key(source.name)):
            if source.path.resolve() in found:
                raise InputError(f"{source.path}: is given twice; give each frame once")
            found[source.path.resolve()] = source
    return tuple(found.values())


def _names(cine: Cine, options: ReconstructOptions) -> list[str]:
    """Return the names of all files that may be written, besides the summary."""
    of_frame = [*(f"{name}.vtp" for name in structure_names()), "labels.nii.gz"]
    numbers = [frame.number for frame in cine.frames]
    each = [f"{folder_of(number)}/{name}" for number in numbers for name in of_frame]
    left_out = {
        *(() if options.page else ("heart.html",)),
        *(() if options.labels else ("labels.nii.gz",)),
    }
    return [*(name for name in CYCLE_FILES if name not in left_out), *each]


def _reconstructed(
    cine: Cine, work: ReconstructingFrames, records: Records
) -> dict[int, ReconstructedFrame]:
    """Reconstruct the frames, each from the one before; those that are done are kept."""
    before, done = None, 0
    frames: dict[int, ReconstructedFrame] = {}
    with steps("reconstructing frames", len(cine.frames), "frames") as progress:
        for frame in cine.frames:
            progress.begin(f"frame {frame.number}")
            named = (
                f"frame {frame.number}",
                FrameToReconstruct(frame.number, frame.source, before),
            )
            if earlier := done_earlier(named, work, records):
                (made,), done = earlier, done + 1
            else:
                made = do_heart(named, work, records)
            frames[frame.number], before = made, made.anchors
            progress.advance(f"frame {frame.number}")
    records.tidy()
    if done:
        console.notice(
            f"{done} of {len(frames)} frames were done already, from the same input with the same "
            "options; skipped"
        )
    return frames
