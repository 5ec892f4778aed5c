"""The command ``prepare``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.anatomy.structures import structure_names
from vecsetx.cli.failures import report_failures
from vecsetx.cli.options import LABEL_SETS, Absent, Seed, Space, TrustNames, Units, Workers


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
            help=f"{LABEL_SETS} Default: what the files say of their labels, else 'default'.",
        ),
    ] = None,
    structures: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
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
        float,
        typer.Option(metavar="SHARE", help="Share of the patients for validation.", min=0, max=1),
    ] = 0.2,
    folds: Annotated[
        int, typer.Option(metavar="N", help="Number of folds for cross-validation.", min=2)
    ] = 5,
    points: Annotated[
        int,
        typer.Option(
            metavar="N", help="Surface points per heart, and as many near and volume points.", min=1
        ),
    ] = 50_000,
    reach: Annotated[
        float,
        typer.Option(
            metavar="MM", help="Truncate stored distances at this value, mm; inf for no limit."
        ),
    ] = 16.0,
    mm_per_unit: Annotated[
        float, typer.Option(metavar="MM", help="Length of one unit of the model's space, mm.")
    ] = 80.0,
    space: Space = "lps",
    units: Units = "mm",
    trust_names: TrustNames = False,
    seed: Seed = 0,
    workers: Workers = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address of a Dask scheduler, such as tcp://node:8786 (docs/cluster.md).",
        ),
    ] = None,
) -> None:
    """Sample points with exact distances from label maps.

    The result is a data set for training, split by patient.

    [dim]Example: vecsetx prepare labels/ --out data/ --labels default[/]
    """
    from vecsetx.anatomy.label_sets import label_set
    from vecsetx.anatomy.structures import parse_names
    from vecsetx.commands.prepare import PrepareOptions
    from vecsetx.commands.prepare import prepare as run
    from vecsetx.sampling.sampler import SamplingSpec

    chosen = label_set(labels) if labels else None
    known = chosen.structures if chosen else structure_names()
    options = PrepareOptions(
        label_set=chosen,
        structures=parse_names(structures, known) if structures else None,
        absent=parse_names(absent, known) if absent else (),
        sampling=SamplingSpec(points, points, points, reach_mm=reach, mm_per_unit=mm_per_unit),
        val_share=val_share,
        folds=folds,
        group_by=group_by,
        seed=seed,
        workers=workers,
        dask=dask,
        space=space,
        units=units,
        trust_names=trust_names,
    )
    dataset, failed = run(inputs, out, options)
    train, val = (len(dataset.of_split(split)) for split in ("train", "val"))
    typer.echo(
        f"{out}: {len(dataset.hearts)} hearts ({train} train, {val} val), "
        f"structures {', '.join(dataset.structures)}"
    )
    report_failures(failed)
