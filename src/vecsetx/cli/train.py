"""The command ``train``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.options import Fold
from vecsetx.errors import InputError


def train(
    data: Annotated[
        Path | None, typer.Argument(help="A prepared data set.", show_default=False)
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes, as in training.steps=3000.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the run. Needed but with --plan or --diagnose.")
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help="tiny (CPU), small, base or large (GPUs); tiny-partial to large-partial learn to "
            "complete hearts."
        ),
    ] = "tiny",
    config: Annotated[
        Path | None, typer.Option(help="YAML file with changes to the preset.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    stop_after: Annotated[
        int | None,
        typer.Option(help="Stop with a checkpoint after this step; resume later.", min=1),
    ] = None,
    fold: Fold = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Print the memory that a step would take, and do nothing."),
    ] = False,
    gpu_gb: Annotated[
        float, typer.Option(help="With --plan: memory of a GPU, 10⁹ bytes.", min=0)
    ] = 40.0,
    diagnose: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Tell how the run in this folder went, draw its curves (curves.html), and do "
            "nothing; exit status 1 if there is a fault. Without DATA.",
        ),
    ] = None,
    preflight: Annotated[
        bool,
        typer.Option(
            "--preflight",
            help="See that all is in order, as every run does before its first step (data, folder, "
            "a step, memory, room, loggers), and do nothing else: before a queue is waited in.",
        ),
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the figures for TensorBoard, too.")
    ] = False,
    wandb: Annotated[
        str | None,
        typer.Option(metavar="PROJECT", help="Send the figures to Weights & Biases, too."),
    ] = None,
) -> None:
    """Train a model on a data set.

    [dim]vecsetx train data/ --out run/ --preset tiny training.steps=3000[/]

    [dim]vecsetx train data/ --preset large --plan --gpu-gb 40[/]

    [dim]vecsetx train data/ --out run/ --preset small --preflight[/]

    [dim]vecsetx train --diagnose run/[/]
    """
    if diagnose is not None:
        if data or out or plan or preflight:
            raise InputError("--diagnose looks at a run that was made; leave out DATA and --out")
        from vecsetx.commands.diagnose import diagnose_run

        if diagnose_run(diagnose).findings:
            raise typer.Exit(1)
        return
    if data is None:
        raise InputError("train needs DATA, a prepared data set (or --diagnose RUN)")
    from vecsetx.commands.plan import plan_training
    from vecsetx.commands.train import LogOptions, see_all_in_order, train_model
    from vecsetx.presets import preset as named
    from vecsetx.recipe import parse_overrides, read_changes

    recipe = named(preset)
    if config:
        recipe = recipe.changed(read_changes(config), str(config))
    recipe = recipe.changed(parse_overrides(overrides or []), "command line")
    if plan:
        plan_training(data, recipe, gpu_gb)
        return
    if out is None:
        raise InputError("train needs --out, a folder for the run (or --plan, to train nothing)")
    logs = LogOptions(tensorboard, wandb)
    if preflight:
        see_all_in_order(data, out, recipe, resume, fold, logs)
        return
    train_model(data, out, recipe, resume, stop_after, fold, logs)
    typer.echo(f"the model is in {out / 'model'}")
