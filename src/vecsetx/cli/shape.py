"""The commands ``shape fit`` and ``shape sample``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vecsetx.cli.failures import report_failures
from vecsetx.cli.help_options import Command, Commands
from vecsetx.cli.model_option import Model, local_model
from vecsetx.cli.numbers import number
from vecsetx.cli.options import Dask, DataSetPath, Device, ModelWorkers, Seed
from vecsetx.ranges import Number

__all__ = ["shape"]

shape = typer.Typer(
    cls=Commands,
    help="Shape spaces: how the hearts of a cohort vary, and new hearts like them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@shape.command(cls=Command)
def fit(
    data: DataSetPath,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the space.")],
    model: Model = None,
    split: Annotated[
        Literal["train", "val", "test"], typer.Option(help="Whose hearts are fitted.")
    ] = "train",
    workers: ModelWorkers = None,
    dask: Dask = None,
    device: Device = "cpu",
) -> None:
    """Fit a shape space to the hearts of a data set: a mean heart and modes.

    [dim]Example: vecsetx shape fit data/ --out space/[/]
    """
    from vecsetx.cohort.cohort_options import CohortOptions
    from vecsetx.commands.shape_fit import fit_shape_space
    from vecsetx.model.built_in import recorded_name
    from vecsetx.terminal.next_step import print_next, typed, unused_folder
    from vecsetx.terminal.shape_tables import print_space

    folder = local_model(model)
    found = fit_shape_space(
        data, folder, recorded_name(folder), out, split, CohortOptions(workers, dask, device)
    )
    print_space(found.saved, found.template)
    words = ("--model", model) if model else ()
    print_next(typed("shape", "sample", out, *words, "--out", unused_folder("cohort")))
    report_failures(found.failed)


@shape.command(cls=Command)
def sample(
    space: Annotated[Path, typer.Argument(metavar="SPACE", help="Folder of a shape space.")],
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Folder for label maps, cohort.csv and cohort.json."),
    ],
    model: Model = None,
    count: Annotated[int, number(Number.HEARTS, metavar="N", help="Number of hearts.")] = 10,
    seed: Seed = 0,
    volume: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=ML",
            help="A volume or a range of volumes, such as LV=120:180; may be repeated.",
        ),
    ] = None,
    spacing_mm: Annotated[
        float, number(Number.VOXEL_MM, metavar="MM", help="Edge of a voxel of the label maps.")
    ] = 1.5,
    workers: ModelWorkers = None,
    dask: Dask = None,
    device: Device = "cpu",
) -> None:
    """Draw new hearts from a shape space, with their numbers.

    Each heart follows from the seed and its number, so that more of them leave the first ones as
    they are. cohort.csv says of each what sets it apart from the fitted hearts, which of them is
    nearest, and what vecsetx measure measures.

    [dim]Example: vecsetx shape sample space/ --count 100 --volume LV=120:180 --out cohort/[/]
    """
    from vecsetx.cohort.cohort_options import CohortOptions
    from vecsetx.commands.shape_sample import parse_volumes, sample_hearts
    from vecsetx.terminal.next_step import print_next, typed
    from vecsetx.terminal.shape_tables import print_cohort

    asked = parse_volumes(volume or [])
    cohort = CohortOptions(workers, dask, device)
    found = sample_hearts(space, local_model(model), out, count, seed, asked, spacing_mm, cohort)
    print_cohort(found.hearts, out)
    print_next(typed("inspect", out))
    report_failures(found.failed)
