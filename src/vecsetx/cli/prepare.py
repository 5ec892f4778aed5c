"""The command ``prepare``."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from vecsetx.anatomy.structures import structure_names
from vecsetx.cli import completions
from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.numbers import number
from vecsetx.cli.options import (
    FLAG,
    LABEL_SETS,
    Absent,
    Dask,
    MaxVoxels,
    Space,
    TrustNames,
    Units,
    Workers,
)
from vecsetx.limits import VOXELS
from vecsetx.ranges import Number


def prepare(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUTS",
            readable=False,
            help="Label maps (NIfTI, NRRD, MetaImage), folders of them, an nnU-Net data set, or "
            "folders with a mask or mesh per structure.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Folder for the data set; hearts are added to it."),
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completions.label_sets,
            help=f"{LABEL_SETS} Default: what the files say of their labels, else 'default'.",
        ),
    ] = None,
    structures: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            autocompletion=completions.structures,
            help="Structures to learn, such as LV,RV (default: those that occur in the inputs).",
        ),
    ] = None,
    absent: Absent = "",
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX", help="Regular expression that finds the patient in a heart's name."
        ),
    ] = None,
    val_share: Annotated[
        float | None,
        number(
            Number.SHARE,
            metavar="SHARE",
            help="Share of the patients for validation (default: 0.2).",
        ),
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV file with columns heart and split (train, val or test); default: at random.",
        ),
    ] = None,
    split_by_folder: Annotated[
        bool,
        typer.Option(
            "--split-by-folder",
            metavar=FLAG,
            help="Take each heart's split from its folder: train, val or test.",
        ),
    ] = False,
    folds: Annotated[
        int | None,
        number(
            Number.FOLDS, metavar="N", help="Number of folds for cross-validation (default: 5)."
        ),
    ] = None,
    points: Annotated[
        int | None,
        number(
            Number.POINTS,
            metavar="N",
            help="Surface points per heart, and as many near and volume points (default: 50000).",
        ),
    ] = None,
    reach: Annotated[
        float | None,
        number(
            Number.REACH_MM,
            metavar="MM",
            help="Truncate stored distances at this value, mm; inf for no limit (default: 16).",
        ),
    ] = None,
    mm_per_unit: Annotated[
        float | None,
        number(
            Number.MM_PER_UNIT,
            metavar="MM",
            help="Length of one unit of the model's space, mm (default: 80).",
        ),
    ] = None,
    space: Space = "lps",
    units: Units = "mm",
    trust_names: TrustNames = False,
    max_voxels: MaxVoxels = VOXELS,
    seed: Annotated[
        int | None,
        number(Number.SEED, metavar="N", help="The same seed gives the same result (default: 0)."),
    ] = None,
    workers: Workers = None,
    dask: Dask = None,
) -> CommandResult:
    """Sample points with exact distances from label maps.

    The result is a data set for training, split by patient. Hearts added later are prepared with
    the data set's options; only new ones are sampled.

    [dim]Example: vecsetx prepare labels/ --out data/ --labels default[/]
    """
    from vecsetx.anatomy.label_sets import label_set
    from vecsetx.anatomy.structures import parse_names
    from vecsetx.commands.prepare import PrepareOptions
    from vecsetx.commands.prepare import prepare as run
    from vecsetx.data.prepare_options import taken_over
    from vecsetx.data.split import Split
    from vecsetx.terminal.next_step import print_next, typed
    from vecsetx.terminal.progress_bars import console

    chosen = label_set(labels) if labels else None
    known = chosen.structures if chosen else structure_names()
    options = PrepareOptions(
        label_set=chosen,
        structures=parse_names(structures, known, "--structures") if structures else None,
        absent=parse_names(absent, known, "--absent") if absent else (),
        group_by=group_by,
        split=split,
        split_by_folder=split_by_folder,
        workers=workers,
        dask=dask,
        space=space,
        units=units,
        trust_names=trust_names,
        most_voxels=max_voxels,
    ).given(
        labels=labels or None,
        structures=structures or None,
        absent=absent or None,
        group_by=group_by,
        val_share=val_share,
        folds=folds,
        seed=seed,
        points=points,
        reach=reach,
        mm_per_unit=mm_per_unit,
    )
    dataset, failed = run(inputs, out, options)
    hearts = len(dataset.hearts)
    sizes = {name: len(dataset.of_split(name)) for name in get_args(Split)}
    counts = ", ".join(f"{n} {name}" for name, n in sizes.items() if n or name != "test")
    kept = taken_over(dataset, options)
    console.print(
        f"{out}: {hearts} {'heart' if hearts == 1 else 'hearts'} ({counts}), "
        f"structures {', '.join(dataset.structures)}"
        + (f"; options taken over from the data set: {' '.join(kept)}" if kept else ""),
        markup=False,
        soft_wrap=True,
    )
    print_next(typed("check", out))
    content = {
        "path": str(out),
        "hearts": hearts,
        "splits": sizes,
        "structures": list(dataset.structures),
        "taken_over": kept,
    }
    return CommandResult(lambda: content, failed)
