"""``vecsetx shape fit``: fit a shape space to the hearts of a data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vecsetx.cohort.cohort_options import CohortOptions
from vecsetx.cohort.ordering import Ordering, template_from
from vecsetx.cohort.out_folder import check_out
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.split import Split
from vecsetx.errors import InputError
from vecsetx.model.weights import weights_sha256
from vecsetx.population.heart_tables import check_ordered
from vecsetx.population.shape_space import FEWEST_HEARTS, HeartTable, ShapeSpace
from vecsetx.population.space_file import Cohort, SavedSpace
from vecsetx.population.template_heart import template_heart
from vecsetx.sampling.quality.cohort import duplicates
from vecsetx.sampling.samples import HeartInfo
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.terminal.progress_bars import waiting, warn
from vecsetx.workers.for_each import workers_or_here
from vecsetx.workers.heart_work import Records
from vecsetx.workers.lock import only_writer

__all__ = ["FittedSpace", "fit_shape_space"]


@dataclass(frozen=True, slots=True)
class FittedSpace:
    """What ``shape fit`` made.

    Attributes:
        saved: The space.
        template: Name of the template heart.
        failed: Heart → why it is not in the cohort.
    """

    saved: SavedSpace
    template: str
    failed: Mapping[str, str]


def fit_shape_space(
    data: Path,
    model: Path,
    model_name: str,
    out: Path,
    split: Split = "train",
    cohort: CohortOptions | None = None,
) -> FittedSpace:
    """Fit a shape space to the hearts of a data set, and write it into a folder.

    Args:
        data: Folder of the data set.
        model: Folder of the model.
        model_name: The model as commands take it.
        out: Folder for the space.
        split: Whose hearts are fitted.
        cohort: Who does the work; None: this process, on the CPU.

    Raises:
        InputError: There is no data set or model, the model's latents cannot be ordered, there are
            too few hearts, or ``out`` cannot be written.
    """
    cohort = cohort or CohortOptions()
    cohort.check()
    check_out(out)
    dataset = DataSet.read(data)
    entries = dataset.of_split(split)
    with only_writer(out):
        with waiting("reading the model"):
            shared, trained = WorkingModel.of(model, cohort.device, cohort.is_here)
        check_ordered(trained)
        infos = {e.name: dataset.open_file(e.file).info for e in entries}
        if len(infos) < FEWEST_HEARTS:
            raise InputError(
                f"{data}: has {len(infos)} hearts in split {split}; a shape space needs at least "
                f"{FEWEST_HEARTS}"
            )
        _warn_of_duplicates(infos)
        whole = template_heart(infos, trained.structures)
        alone = {e.name: _alone(dataset, e) for e in entries}
        work = Ordering(shared, alone[whole])
        with workers_or_here(cohort.workers, cohort.dask) as workers:
            found = run_cohort("encoding hearts", work, alone, Records.within(out), workers)
        if len(found.results) < FEWEST_HEARTS:
            raise InputError("\n".join(found.failed.values()))
        with waiting("fitting the space"):
            template = template_from(alone[whole], shared)
            space = ShapeSpace.fit(list(found.results.values()))
            structures = tuple(
                trained.structures[k] for k in np.unique(template.structure[: template.anchors])
            )
            of_cohort = _cohort(found.results, infos, structures, space)
            saved = SavedSpace(
                model_name,
                weights_sha256(trained.network),
                structures,
                space,
                template,
                of_cohort,
            )
            saved.write(out)
    return FittedSpace(saved, whole, found.failed)


def _alone(dataset: DataSet, entry: HeartEntry) -> DataSet:
    return replace(dataset, folder=dataset.folder.resolve(), hearts=(entry,))


def _warn_of_duplicates(infos: Mapping[str, HeartInfo]) -> None:
    for pair in duplicates(infos):
        warn(
            f"{pair.first} and {pair.second} have the same shape: together they count twice; "
            "remove one"
        )


def _cohort(
    tables: Mapping[str, HeartTable],
    infos: Mapping[str, HeartInfo],
    structures: Sequence[str],
    space: ShapeSpace,
) -> Cohort:
    positions = [
        np.where(table.there[:, None], table.positions, np.nan) for table in tables.values()
    ]
    volumes_ml = [
        [
            infos[name].volumes_ml.get(s, np.nan) if s not in infos[name].cut else np.nan
            for s in structures
        ]
        for name in tables
    ]
    pieces = [[infos[name].pieces.get(s, 1) for s in structures] for name in tables]
    return Cohort(
        tuple(tables),
        np.stack([space.coordinates(table) for table in tables.values()]),
        np.stack(positions).astype(np.float32),
        np.array(volumes_ml, dtype=np.float64),
        np.max(pieces, axis=0).astype(np.int64),
    )
