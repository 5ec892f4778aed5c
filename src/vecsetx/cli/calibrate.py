"""The command ``calibrate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vecsetx.cli.failures import report_failures
from vecsetx.cli.options import Fold, Model, Seed


def calibrate(
    model: Model,
    data: Annotated[Path, typer.Argument(help="A prepared data set.")],
    split: Annotated[
        Literal["train", "val"], typer.Option(help="Its split, not one that was trained on.")
    ] = "val",
    fold: Fold = None,
    ensemble: Annotated[int, typer.Option(help="Latent ensemble per heart.", min=2)] = 8,
    seed: Seed = 0,
) -> None:
    """Measure what the standard deviations of reconstruct --ensemble are worth: calibration.json.

    Hides every structure in turn. The file goes into the model's folder, where reconstruct finds
    it; calibration.html lies beside it.

    [dim]vecsetx calibrate run/ data/[/]
    """
    from vecsetx.commands.calibrate import calibrate as run
    from vecsetx.commands.tables import print_calibration

    calibrated = run(model, data, split, fold, ensemble, seed)
    print_calibration(calibrated.found)
    typer.echo(f"see {calibrated.page}")
    report_failures(calibrated.failed)
