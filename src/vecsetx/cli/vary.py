"""The command ``vary``."""

from typing import Annotated

import typer

from vecsetx.cli.failures import report_failures
from vecsetx.cli.numbers import number
from vecsetx.cli.options import Dask, DataSetPath, Seed, Workers
from vecsetx.ranges import Number


def vary(
    data: DataSetPath,
    count: Annotated[
        int, number(Number.VARIANTS, metavar="N", help="Number of variants of each heart.")
    ] = 8,
    seed: Seed = 0,
    workers: Workers = None,
    dask: Dask = None,
) -> None:
    """Add variants of the training hearts, for models meant for hearts from other sources.

    A variant has another size and shape, and its vessels and valves end elsewhere. The model sees
    it as a poorer segmentation shows it: in coarse voxels or thick slices. Training draws hearts
    and their variants in turn. Variants that are there already are kept.

    [dim]Example: vecsetx vary data/ --count 8[/]
    """
    from vecsetx.commands.vary import VaryOptions
    from vecsetx.commands.vary import vary as run
    from vecsetx.terminal.next_step import print_next, typed, unused_folder

    dataset, failed = run(data, VaryOptions(count, seed, workers=workers, dask=dask))
    hearts = dataset.of_split("train")
    typer.echo(
        f"{data}: {sum(heart.variants for heart in hearts)} variants of {len(hearts)} training "
        "hearts"
    )
    print_next(typed("train", data, "--out", unused_folder("run")))
    report_failures(failed)
