"""The command ``evaluate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vecsetx.cli.failures import report_failures
from vecsetx.cli.numbers import number
from vecsetx.cli.options import (
    FLAG,
    Absent,
    Dask,
    Device,
    Draws,
    Fold,
    Hide,
    KeepSpecks,
    Labels,
    Latents,
    MaxVoxels,
    Model,
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
    local_model,
)
from vecsetx.limits import VOXELS
from vecsetx.ranges import Number


def evaluate(
    model: Model,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUTS",
            readable=False,
            help="A prepared data set, or label maps or folders of them.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for scores and report.")],
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
    latents: Latents = None,
    points: Points = None,
    refine: Refine = None,
    recycle: Recycle = 0,
    pose: Pose = "anatomy",
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
) -> None:
    """Score a model on the grids of the true label maps.

    Writes scores.csv, scores.json and report.html.

    [dim]Example: vecsetx evaluate run/ data/ --out scores/[/]
    """
    from vecsetx.anatomy.structures import parse_names, structure_names
    from vecsetx.commands.evaluate import CohortOptions, EvaluateOptions
    from vecsetx.commands.evaluate import evaluate as run
    from vecsetx.terminal.next_step import print_next, typed
    from vecsetx.terminal.tables import print_evaluation

    given, model = model, local_model(model)
    options = EvaluateOptions(
        encode=encode_options(model, labels, hide, latents, points, refine, recycle, pose, seed),
        split=split,
        fold=fold,
        tolerance_mm=tolerance,
        meshes=meshes,
        hide_each=hide_each,
        ensemble=ensemble_size(ensemble, draws),
        keep_specks=keep_specks,
        trust_names=trust_names,
        most_voxels=max_voxels,
        absent=parse_names(absent, structure_names()),
        space=space,
        units=units,
    )
    evaluated = run(model, inputs, out, options, CohortOptions(workers, dask, device))
    print_evaluation(evaluated.scores)
    typer.echo(f"see {out / 'report.html'}")
    print_next(typed("reconstruct", given, "INPUTS", "--out", "patient/"))
    report_failures(evaluated.failed)
