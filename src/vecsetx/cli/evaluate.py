"""The command ``evaluate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vecsetx.cli.failures import report_failures
from vecsetx.cli.options import (
    Drop,
    Fold,
    Labels,
    Latents,
    Model,
    Points,
    Recycle,
    Refine,
    Seed,
    encode_options,
)


def evaluate(
    model: Model,
    inputs: Annotated[
        list[Path], typer.Argument(help="A prepared data set, or label maps, or folders of them.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for scores and report.")],
    split: Annotated[Literal["train", "val"], typer.Option(help="Split of a data set.")] = "val",
    fold: Fold = None,
    labels: Labels = None,
    drop: Drop = "",
    drop_each: Annotated[
        bool,
        typer.Option(
            "--drop-each", help="Hide every structure in turn, and score what is made of it."
        ),
    ] = False,
    ensemble: Annotated[
        int,
        typer.Option(
            help="Latent ensemble per heart, such as 8: how sure the model is of what was hidden.",
            min=0,
        ),
    ] = 0,
    latents: Latents = None,
    points: Points = None,
    refine: Refine = 0,
    recycle: Recycle = 0,
    tolerance: Annotated[
        float, typer.Option(help="Surfaces this near agree (normalised surface distance), mm.")
    ] = 1.0,
    meshes: Annotated[
        bool, typer.Option(help="Measure between meshes, too, which takes as long again.")
    ] = True,
    seed: Seed = 0,
) -> None:
    """Score a model on the label maps' own grids: scores.csv, scores.json, report.html.

    [dim]vecsetx evaluate run/ data/ --out scores/[/]
    """
    from vecsetx.commands.evaluate import evaluate as run
    from vecsetx.commands.tables import print_scores, print_uncertainty

    options = encode_options(model, labels, drop, latents, points, refine, recycle, seed)
    how = fold, tolerance, meshes, drop_each, ensemble
    evaluated = run(model, inputs, out, split, options, *how)
    if "inferred" in evaluated.scores:
        for part, told in (("observed", "shown to the model"), ("inferred", "hidden from it")):
            typer.echo(f"\n{part.capitalize()}: structures {told}")
            print_scores({"summary": evaluated.scores[part]})
    else:
        print_scores(evaluated.scores)
    if "calibration" in evaluated.scores:
        print_uncertainty(evaluated.scores["calibration"])
    typer.echo(f"see {out / 'report.html'}")
    report_failures(evaluated.failed)
