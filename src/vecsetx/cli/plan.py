"""The command ``plan``."""

from typing import Annotated

from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.numbers import number
from vecsetx.cli.options import Config, DataSetPath, Overrides, Preset, recipe_of
from vecsetx.ranges import Number


def plan(
    data: DataSetPath,
    overrides: Overrides = None,
    preset: Preset = "tiny",
    config: Config = None,
    gpu_gb: Annotated[
        float,
        number(Number.GPU_GB, metavar="GB", help="Memory of one GPU, 10⁹ bytes."),
    ] = 40.0,
) -> CommandResult:
    """Estimate the GPU memory of a training step, and the time of a run on this machine.

    [dim]Example: vecsetx plan data/ --preset large --gpu-gb 40[/]
    """
    from vecsetx.commands.plan import plan_training
    from vecsetx.terminal.next_step import print_next, typed, unused_folder

    planned = plan_training(data, recipe_of(preset, config, overrides), gpu_gb)
    of_file = ["--config", config] if config else []
    changes = [*of_file, *(overrides or [])]
    print_next(typed("train", data, "--out", unused_folder("run"), "--preset", preset, *changes))
    return CommandResult(lambda: planned.to_dict())
