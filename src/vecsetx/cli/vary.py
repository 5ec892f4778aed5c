"""The command ``vary``."""

from typing import Annotated

from vecsetx.cli.command_result import CommandResult
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
) -> CommandResult:
    """Add variants of the training hearts, for models meant for hearts from other sources.

    A variant has another size and shape, and its vessels and valves end elsewhere. The model sees
    it as a poorer segmentation shows it: in coarse voxels or thick slices. Training draws hearts
    and their variants in turn. Variants that are there already are kept.

    [dim]Example: vecsetx vary data/ --count 8[/]
    """
    from vecsetx.commands.vary import VaryOptions
    from vecsetx.commands.vary import vary as run
    from vecsetx.terminal.next_step import print_next, typed, unused_folder
    from vecsetx.terminal.progress_bars import console

    dataset, failed = run(data, VaryOptions(count, seed, workers=workers, dask=dask))
    hearts = dataset.of_split("train")
    variants = sum(heart.variants for heart in hearts)
    console.print(
        f"{data}: {variants} variants of {len(hearts)} training hearts",
        markup=False,
        soft_wrap=True,
    )
    print_next(typed("train", data, "--out", unused_folder("run")))
    content = {"path": str(data), "hearts": len(hearts), "variants": variants}
    return CommandResult(lambda: content, failed)
