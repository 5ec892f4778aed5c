"""The command ``calibrate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.model_option import Model, model_or_built_in
from vecsetx.cli.numbers import number
from vecsetx.cli.options import (
    FLAG,
    Dask,
    DataSetPath,
    Device,
    Draws,
    Fold,
    ModelWorkers,
    Seed,
    ensemble_size,
)
from vecsetx.ranges import Number


def calibrate(
    data: DataSetPath,
    model: Model = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder for the results (default: that of the model). Needed for the built-in "
            "model and for one on the Hugging Face Hub.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        Literal["train", "val"],
        typer.Option(help="Split of the data set; not the one the model was trained on."),
    ] = "val",
    fold: Fold = None,
    ensemble: Annotated[
        int,
        number(Number.MEMBERS, metavar="N", help="Members of the ensemble of each heart."),
    ] = 8,
    draws: Draws = None,
    few: Annotated[
        bool,
        typer.Option(
            "--few",
            metavar=FLAG,
            help="Accept fewer than 8 hearts; every output then says that the factors are "
            "unreliable.",
        ),
    ] = False,
    seed: Seed = 0,
    workers: ModelWorkers = None,
    dask: Dask = None,
    device: Device = "cpu",
) -> CommandResult:
    """Calibrate the standard deviations of reconstruct --ensemble.

    Hides each structure in turn and compares errors with standard deviations.
    If it is stopped, the same command goes on with the hearts that are missing.
    Writes calibration.json and calibration.html into the model's folder, or into --out.
    reconstruct and evaluate use the factors in the model's folder, or those of --calibration.

    [dim]Example: vecsetx calibrate data/ --model run/[/]
    """
    from vecsetx.commands.calibrate import CohortOptions
    from vecsetx.commands.calibrate import calibrate as run
    from vecsetx.terminal.progress_bars import console
    from vecsetx.terminal.tables import print_calibration

    chosen = model_or_built_in(model)
    members, cohort = ensemble_size(ensemble, draws, usual=8), CohortOptions(workers, dask, device)
    calibrated = run(chosen, data, split, fold, members, seed, few, cohort, out=out)
    print_calibration(calibrated.found)
    console.notice(f"see {calibrated.page}")
    return CommandResult.of_file(calibrated.page.with_suffix(".json"), calibrated.failed)
