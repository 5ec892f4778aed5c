"""The command ``train``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli import completions
from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.numbers import number
from vecsetx.cli.options import FLAG, PRESETS, Config, DataSetPath, Fold, Overrides, recipe_of
from vecsetx.errors import InputError
from vecsetx.launcher import is_first_rank
from vecsetx.ranges import Number


def train(
    data: DataSetPath,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the run.")],
    overrides: Overrides = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completions.presets,
            help=f"{PRESETS} Default: tiny; with --resume, the run's own recipe.",
        ),
    ] = None,
    config: Config = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Start from the weights of a run, a saved model, owner/name on the Hugging "
            "Face Hub or built-in, and with its size; structures that it does not know begin at "
            "random.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            metavar=FLAG,
            help="Continue from the run's checkpoint, with its recipe; also with more "
            "training.steps.",
        ),
    ] = False,
    stop_after: Annotated[
        int | None,
        number(
            Number.STEP,
            metavar="STEP",
            help="Stop with a checkpoint after this step; --resume continues.",
        ),
    ] = None,
    fold: Fold = None,
    preflight: Annotated[
        bool,
        typer.Option("--preflight", metavar=FLAG, help="Check that the run can start, then exit."),
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", metavar=FLAG, help="Also log the metrics to TensorBoard."),
    ] = False,
    wandb: Annotated[
        str | None,
        typer.Option(metavar="PROJECT", help="Also log the metrics to Weights & Biases."),
    ] = None,
) -> CommandResult:
    """Train a model on a data set.

    [dim]Example: vecsetx train data/ --out run/ --preset tiny training.steps=3000[/]
    """
    from vecsetx.commands.train import LogOptions, check_training, train_model
    from vecsetx.runs.run_folder import is_finished, next_command
    from vecsetx.terminal.next_step import print_next
    from vecsetx.terminal.progress_bars import console

    if preflight and stop_after is not None:
        raise InputError(f"--stop-after {stop_after}: --preflight makes no step; leave one out")
    own = out / "recipe.yaml"
    if resume and preset is None and config is None and own.exists():
        config = own
    recipe, logs = (
        recipe_of(preset or "tiny", config, overrides, start),
        LogOptions(tensorboard, wandb),
    )
    if preflight:
        check_training(data, out, recipe, resume, fold, logs)
        return CommandResult(lambda: {"path": str(out), "ready": True})
    train_model(data, out, recipe, resume, stop_after, fold, logs)
    if not is_first_rank():
        return CommandResult(lambda: {})
    console.notice(f"the model is in {out / 'model'}")
    finished = is_finished(out)
    print_next(next_command(out, finished))
    content = {"path": str(out), "model": str(out / "model"), "finished": finished}
    return CommandResult(lambda: content)
