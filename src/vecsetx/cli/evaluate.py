"""The command ``evaluate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.model_option import (
    CalibrationFile,
    Model,
    local_model,
    refuse_model_as_input,
)
from vecsetx.cli.numbers import number
from vecsetx.cli.options import (
    FLAG,
    Absent,
    Complete,
    Dask,
    Device,
    Draws,
    Fold,
    Hide,
    KeepSpecks,
    Labels,
    Latents,
    MaxVoxels,
    ModelWorkers,
    Points,
    Pose,
    Recycle,
    Refine,
    Seed,
    Space,
    TrustNames,
    Units,
    encode_options,
    ensemble_size,
)
from vecsetx.limits import VOXELS
from vecsetx.ranges import Number


def evaluate(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUTS",
            readable=False,
            help="A prepared data set, or label maps or folders of them.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for scores and report.")],
    model: Model = None,
    split: Annotated[
        Literal["train", "val", "test"], typer.Option(help="Split of the data set.")
    ] = "val",
    fold: Fold = None,
    labels: Labels = None,
    trust_names: TrustNames = False,
    max_voxels: MaxVoxels = VOXELS,
    absent: Absent = "",
    hide: Hide = "",
    hide_each: Annotated[
        bool,
        typer.Option(
            "--hide-each",
            metavar=FLAG,
            help="Hide each structure in turn, and score its reconstruction.",
        ),
    ] = False,
    ensemble: Annotated[
        int,
        number(
            Number.ENSEMBLE,
            metavar="N",
            help="Score the uncertainty of hidden structures with an ensemble of N members, such "
            "as 8.",
        ),
    ] = 0,
    draws: Draws = None,
    calibration: CalibrationFile = None,
    latents: Latents = None,
    points: Points = None,
    refine: Refine = None,
    recycle: Recycle = 0,
    pose: Pose = "anatomy",
    complete: Complete = False,
    keep_specks: KeepSpecks = False,
    tolerance: Annotated[
        float,
        number(
            Number.TOLERANCE_MM,
            metavar="MM",
            help="Tolerance of the normalized surface distance, mm.",
        ),
    ] = 1.0,
    meshes: Annotated[
        bool,
        typer.Option(
            metavar=FLAG,
            help="Also score meshes: about 2.5 s per heart of 160³ voxels on one core. On a CPU "
            "the model takes longer than that, so that leaving meshes out saves little there.",
        ),
    ] = True,
    space: Space = "lps",
    units: Units = "mm",
    seed: Seed = 0,
    workers: ModelWorkers = None,
    dask: Dask = None,
    device: Device = "cpu",
) -> CommandResult:
    """Score a model on the grids of the true label maps.

    Writes scores.csv, scores.json and report.html.

    [dim]Example: vecsetx evaluate data/ --model run/ --out scores/[/]
    """
    from vecsetx.anatomy.structures import parse_names, structure_names
    from vecsetx.commands.evaluate import CohortOptions, EvaluateOptions
    from vecsetx.commands.evaluate import evaluate as run
    from vecsetx.terminal.next_step import model_words, print_next, typed, unused_folder
    from vecsetx.terminal.progress_bars import console
    from vecsetx.terminal.tables import print_evaluation

    refuse_model_as_input("evaluate", inputs, out)
    folder = local_model(model)
    options = EvaluateOptions(
        encode=encode_options(
            folder, labels, hide, latents, points, refine, recycle, pose, complete, seed
        ),
        split=split,
        fold=fold,
        tolerance_mm=tolerance,
        meshes=meshes,
        hide_each=hide_each,
        ensemble=ensemble_size(ensemble, draws),
        calibration=calibration,
        keep_specks=keep_specks,
        trust_names=trust_names,
        most_voxels=max_voxels,
        absent=parse_names(absent, structure_names(), "--absent"),
        space=space,
        units=units,
    )
    evaluated = run(folder, inputs, out, options, CohortOptions(workers, dask, device))
    print_evaluation(evaluated.scores)
    console.notice(f"see {out / 'report.html'}")
    print_next(
        typed("reconstruct", "INPUTS", *model_words(model), "--out", unused_folder("patient"))
    )
    return CommandResult.of_file(out / "scores.json", evaluated.failed)
