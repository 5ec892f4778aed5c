"""``vecsetx vary``: add variants of the training hearts to a data set."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from vecsetx.cohort.out_folder import written_by_one
from vecsetx.data.dataset import DataSet
from vecsetx.data.variants import VariantTask, write_variants
from vecsetx.errors import InputError
from vecsetx.terminal.progress_bars import steps
from vecsetx.variation.variant import VariationSpec
from vecsetx.workers.for_each import for_each_heart, open_workers

__all__ = ["VaryOptions", "vary"]


@dataclass(frozen=True, slots=True)
class VaryOptions:
    """Options of the variants.

    Attributes:
        count: Number of variants per heart.
        seed: Seed of the variants.
        variation: How much they differ from their heart.
        workers: Number of processes; None for one per core.
        dask: Address of a Dask scheduler, whose workers are used instead.
    """

    count: int
    seed: int = 0
    variation: VariationSpec = field(default_factory=VariationSpec)
    workers: int | None = None
    dask: str | None = None


def vary(data: Path, options: VaryOptions) -> tuple[DataSet, dict[str, str]]:
    """Add variants of the training hearts to a data set.

    Variants that are there already are kept. A heart of which a variant fails keeps those that it
    had before.

    Args:
        data: Folder of the data set.
        options: The options.

    Returns:
        The data set, as written; and heart → reason, for hearts of which variants failed.

    Raises:
        InputError: There is no data set, it has no training hearts, or another run writes into it.
    """
    with written_by_one(data, "hearts"):
        dataset = DataSet.read(data)
        hearts = dataset.of_split("train")
        if not hearts:
            raise InputError(f"{data}: has no hearts in split train, of which variants are made")
        folder = data.resolve()
        tasks = {
            heart.name: VariantTask(
                replace(dataset, folder=folder, hearts=(heart,), failed=()),
                heart,
                options.count,
                options.seed,
                options.variation,
            )
            for heart in hearts
        }
        with (
            open_workers(options.workers, options.dask) as workers,
            steps("varying hearts", len(tasks), "hearts") as progress,
        ):
            outcome = for_each_heart(write_variants, tasks, workers, progress)
        varied = tuple(
            replace(heart, variants=options.count) if heart.name in outcome.results else heart
            for heart in dataset.hearts
        )
        dataset = replace(dataset, hearts=varied)
        dataset.write()
    return dataset, outcome.failed
