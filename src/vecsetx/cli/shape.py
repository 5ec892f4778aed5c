"""The commands of shape spaces: ``shape fit``, ``sample``, ``modes`` and so on."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vecsetx.cli import completions
from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.help_options import Command, Commands
from vecsetx.cli.model_option import Model, local_model
from vecsetx.cli.numbers import number
from vecsetx.cli.options import FLAG, Dask, DataSetPath, Device, Labels, ModelWorkers, Seed
from vecsetx.ranges import Number

__all__ = ["shape"]

shape = typer.Typer(
    cls=Commands,
    help="Shape spaces: how the hearts of a cohort vary, and new hearts like them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

SpaceFolder = Annotated[Path, typer.Argument(metavar="SPACE", help="Folder of a shape space.")]
Out = Annotated[
    Path,
    typer.Option(metavar="FOLDER", help="Folder for the hearts, cohort.csv and cohort.json."),
]
Write = Annotated[
    Literal["labels", "meshes", "both"],
    typer.Option(
        help="What is written of each heart: a label map, a folder of meshes, or both.",
        case_sensitive=False,
    ),
]
SpacingMm = Annotated[
    float,
    number(
        Number.VOXEL_MM,
        metavar="MM",
        help="Edge of a voxel of the label maps, and of the grid for meshing.",
    ),
]
Surfaces = Annotated[
    Literal["shared", "closed"],
    typer.Option(
        help="Meshes. shared: structures share their walls; closed: each is watertight on its own.",
        case_sensitive=False,
    ),
]
Axes = Annotated[
    Literal["lps", "ras"],
    typer.Option("--space", help="Axes of mesh coordinates.", case_sensitive=False),
]
Format = Annotated[
    Literal["vtp", "stl", "ply", "obj"],
    typer.Option("--format", help="Format of the meshes.", case_sensitive=False),
]


@shape.command(cls=Command)
def fit(
    data: DataSetPath,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the space.")],
    model: Model = None,
    split: Annotated[
        Literal["train", "val", "test"], typer.Option(help="Whose hearts are fitted.")
    ] = "train",
    no_page: Annotated[
        bool,
        typer.Option("--no-page", metavar=FLAG, help="Leave out the page report.html."),
    ] = False,
    workers: ModelWorkers = None,
    dask: Dask = None,
    device: Device = "cpu",
) -> CommandResult:
    """Fit a shape space to the hearts of a data set: a mean heart and modes.

    [dim]Example: vecsetx shape fit data/ --out space/[/]
    """
    from vecsetx.cohort.cohort_options import CohortOptions
    from vecsetx.commands.info import describe
    from vecsetx.commands.shape.fit import fit_shape_space
    from vecsetx.model.built_in import recorded_name
    from vecsetx.report.space_scene import SpacePageSize
    from vecsetx.terminal.next_step import print_next, typed, unused_folder
    from vecsetx.terminal.progress_bars import console
    from vecsetx.terminal.shape_tables import print_space

    folder = local_model(model)
    cohort, page = CohortOptions(workers, dask, device), None if no_page else SpacePageSize()
    found = fit_shape_space(data, folder, recorded_name(folder), out, split, page, cohort)
    print_space(found.saved, found.template)
    if page:
        console.notice(f"modes to play, new hearts and the cohort: {out / 'report.html'}")
    words = ("--model", model) if model else ()
    print_next(typed("shape", "sample", out, *words, "--out", unused_folder("cohort")))
    return CommandResult(lambda: describe(out), found.failed)


@shape.command(cls=Command)
def sample(
    space: SpaceFolder,
    out: Out,
    model: Model = None,
    count: Annotated[int, number(Number.HEARTS, metavar="N", help="Number of hearts.")] = 10,
    seed: Seed = 0,
    volume: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=ML",
            autocompletion=completions.lengths,
            help="A volume or a range of volumes, such as LV=120:180; may be repeated.",
        ),
    ] = None,
    write: Write = "labels",
    spacing_mm: SpacingMm = 1.5,
    surfaces: Surfaces = "shared",
    axes: Axes = "lps",
    extension: Format = "vtp",
    workers: ModelWorkers = None,
    dask: Dask = None,
    device: Device = "cpu",
) -> CommandResult:
    """Draw new hearts from a shape space, with their numbers.

    Each heart follows from the seed and its number, so that more of them leave the first ones as
    they are. cohort.csv says of each what sets it apart from the fitted hearts, which of them is
    nearest, and what vecsetx measure measures.

    [dim]Example: vecsetx shape sample space/ --count 100 --volume LV=120:180 --out cohort/[/]
    """
    from vecsetx.cohort.cohort_options import CohortOptions
    from vecsetx.commands.shape.sample import parse_volumes, sample_hearts

    asked = parse_volumes(volume or [])
    files = _files(write, spacing_mm, surfaces, axes, extension)
    cohort = CohortOptions(workers, dask, device)
    found = sample_hearts(space, local_model(model), out, count, seed, asked, files, cohort)
    return _report(found, out)


@shape.command(cls=Command)
def modes(
    space: SpaceFolder,
    out: Out,
    model: Model = None,
    modes: Annotated[
        int, number(Number.HEARTS, metavar="N", help="Number of modes, the first ones.")
    ] = 3,
    sd: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Multiples of the standard deviation.")
    ] = "1,2,3",
    write: Write = "meshes",
    spacing_mm: SpacingMm = 1.5,
    surfaces: Surfaces = "shared",
    axes: Axes = "lps",
    extension: Format = "vtp",
    workers: ModelWorkers = None,
    dask: Dask = None,
    device: Device = "cpu",
) -> CommandResult:
    """Make the mean heart of a shape space, and hearts along its modes.

    mode01_plus2sd is the mean heart, moved along the first mode by twice the standard deviation of
    the cohort.

    [dim]Example: vecsetx shape modes space/ --out modes/[/]
    """
    from vecsetx.cohort.cohort_options import CohortOptions
    from vecsetx.commands.shape.modes import make_modes, parse_multiples

    files = _files(write, spacing_mm, surfaces, axes, extension)
    cohort = CohortOptions(workers, dask, device)
    multiples = parse_multiples(sd)
    found = make_modes(space, local_model(model), out, modes, multiples, files, cohort)
    return _report(found, out, each=True)


@shape.command(cls=Command)
def interpolate(
    space: SpaceFolder,
    first: Annotated[
        str,
        typer.Argument(
            metavar="FIRST", help="A heart: its file or folder, or its name in the space's cohort."
        ),
    ],
    second: Annotated[str, typer.Argument(metavar="SECOND", help="Another heart, likewise.")],
    out: Out,
    model: Model = None,
    labels: Labels = None,
    steps: Annotated[
        int, number(Number.MEMBERS, metavar="N", help="Number of hearts, both ends included.")
    ] = 5,
    write: Write = "meshes",
    spacing_mm: SpacingMm = 1.5,
    surfaces: Surfaces = "shared",
    axes: Axes = "lps",
    extension: Format = "vtp",
    workers: ModelWorkers = None,
    dask: Dask = None,
    device: Device = "cpu",
) -> CommandResult:
    """Make hearts on the way from one heart to another.

    They lie where the first heart does. step000 is that heart, as the model reconstructs it.

    [dim]Example: vecsetx shape interpolate space/ case01 patient.nii.gz --out between/[/]
    """
    from vecsetx.anatomy.label_sets import label_set
    from vecsetx.cohort.cohort_options import CohortOptions
    from vecsetx.commands.shape.interpolate import interpolate_hearts

    files = _files(write, spacing_mm, surfaces, axes, extension)
    cohort, ids = CohortOptions(workers, dask, device), label_set(labels) if labels else None
    folder = local_model(model)
    found = interpolate_hearts(space, folder, first, second, out, steps, files, ids, cohort)
    return _report(found, out, each=True)


@shape.command(cls=Command)
def project(
    space: SpaceFolder,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUTS",
            readable=False,
            help="Label maps, folders of them, folders with a mask or mesh per structure, or "
            "prepared samples.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for placement.csv and placement.json.")
    ],
    model: Model = None,
    labels: Labels = None,
    workers: ModelWorkers = None,
    dask: Dask = None,
    device: Device = "cpu",
) -> CommandResult:
    """Say where hearts lie in a shape space, and how unusual they are.

    distance is the Mahalanobis distance from the mean heart along the leading modes. residual_mm is
    what all modes leave of the heart. Percentiles say how many hearts of the cohort have less, each
    of them placed in the space of the others.

    [dim]Example: vecsetx shape project space/ patients/ --out placed/[/]
    """
    from vecsetx.anatomy.label_sets import label_set
    from vecsetx.cohort.cohort_options import CohortOptions
    from vecsetx.commands.shape.project import place_hearts
    from vecsetx.terminal.next_step import print_next, typed
    from vecsetx.terminal.shape_tables import print_placements

    cohort, ids = CohortOptions(workers, dask, device), label_set(labels) if labels else None
    found = place_hearts(space, local_model(model), inputs, out, ids, cohort)
    print_placements(found.hearts, found.cohort, out)
    print_next(typed("info", out))
    return CommandResult.of_file(out / "placement.json", found.failed)


def _files(write: Any, spacing_mm: float, surfaces: Any, axes: str, extension: str) -> Any:
    """Return :class:`~vecsetx.cohort.generating.NewHeartFiles` from the options of these names.

    Raises:
        InputError: An option is about meshes, but only label maps are written.
    """
    from vecsetx.cohort.generating import NewHeartFiles

    files = NewHeartFiles(write, spacing_mm, surfaces, axes, extension)
    files.check()
    return files


def _report(found: Any, out: Path, each: bool = False) -> CommandResult:
    from vecsetx.terminal.next_step import print_next, typed
    from vecsetx.terminal.shape_tables import print_cohort

    print_cohort(found.hearts, out, each)
    print_next(typed("inspect", out))
    return CommandResult.of_file(out / "cohort.json", found.failed)
