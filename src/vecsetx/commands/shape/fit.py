"""``vecsetx shape fit``: fit a shape space to the hearts of a data set."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vecsetx.cohort.cohort_options import CohortOptions
from vecsetx.cohort.ordering import OrderedHeart, Ordering, template_from
from vecsetx.cohort.out_folder import check_out, written_by_one
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.split import Split
from vecsetx.errors import InputError
from vecsetx.model.saved import TrainedModel
from vecsetx.model.weights import weights_sha256
from vecsetx.population.heart_space import HeartSpace
from vecsetx.population.heart_tables import check_ordered
from vecsetx.population.neighbours import always_touching
from vecsetx.population.shape_space import FEW_HEARTS, FEWEST_HEARTS, ShapeSpace
from vecsetx.population.space_file import Cohort, SavedSpace
from vecsetx.population.template import Template
from vecsetx.population.template_heart import template_heart
from vecsetx.population.unusual import left_out
from vecsetx.report.space_page import write_space_page
from vecsetx.report.space_scene import SpacePageSize, page_shapes
from vecsetx.sampling.quality.cohort import duplicates
from vecsetx.sampling.samples import HeartInfo
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.terminal.progress_bars import steps, waiting, warn
from vecsetx.terminal.table import counted
from vecsetx.workers.for_each import workers_or_here
from vecsetx.workers.heart_work import Records

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
    page: SpacePageSize | None = None,
    cohort: CohortOptions | None = None,
) -> FittedSpace:
    """Fit a shape space to the hearts of a data set, and write it into a folder.

    Args:
        data: Folder of the data set.
        model: Folder of the model.
        model_name: The model as commands take it.
        out: Folder for the space.
        split: Whose hearts are fitted.
        page: How much the page ``report.html`` holds; None for no page.
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
    with written_by_one(out):
        with waiting("reading the model"):
            shared, trained = WorkingModel.of(model, cohort.device, cohort.is_here)
        check_ordered(trained)
        infos = {e.name: dataset.open_file(e.file).info for e in entries}
        if len(infos) < FEWEST_HEARTS:
            raise InputError(
                f"{data}: has {counted(len(infos), 'heart')} in split {split}; a shape space needs "
                f"at least {FEWEST_HEARTS}"
            )
        _warn_of_duplicates(infos)
        if len(infos) < FEW_HEARTS:
            warn(
                f"{counted(len(infos), 'heart')}: with fewer than {FEW_HEARTS}, modes, and how "
                "unusual hearts are, say little"
            )
        whole = template_heart(infos, trained.structures)
        alone = {e.name: _alone(dataset, e) for e in entries}
        work = Ordering(shared, alone[whole])
        with workers_or_here(cohort.workers, cohort.dask) as workers:
            found = run_cohort("encoding hearts", work, alone, Records.within(out), workers)
        if len(found.results) < FEWEST_HEARTS:
            raise InputError("\n".join(found.failed.values()))
        with waiting("fitting the space"):
            template = template_from(alone[whole], shared)
            saved = _fitted(found.results, infos, template, trained, model_name)
            saved.write(out)
        if page is not None:
            _write_page(out / "report.html", HeartSpace.of(saved, trained), whole, page)
    return FittedSpace(saved, whole, found.failed)


def _alone(dataset: DataSet, entry: HeartEntry) -> DataSet:
    return replace(dataset, folder=dataset.folder.resolve(), hearts=(entry,))


def _warn_of_duplicates(infos: Mapping[str, HeartInfo]) -> None:
    for pair in duplicates(infos):
        warn(
            f"{pair.first} and {pair.second} have the same shape: together they count twice; "
            "remove one"
        )


def _fitted(
    hearts: Mapping[str, OrderedHeart],
    infos: Mapping[str, HeartInfo],
    template: Template,
    trained: TrainedModel,
    model_name: str,
) -> SavedSpace:
    rows = template.structure[: template.anchors]
    columns = np.unique(rows).tolist()
    structures = tuple(trained.structures[k] for k in columns)
    tables = [heart.table for heart in hearts.values()]
    space = ShapeSpace.fit(tables)
    coordinates = np.stack([space.coordinates(table) for table in tables])
    positions = np.stack([np.where(t.there[:, None], t.positions, np.nan) for t in tables])
    normals = np.stack([heart.normals for heart in hearts.values()])
    own = [infos[name] for name in hearts]
    whole = [[s in info.structures and s not in info.cut for s in structures] for info in own]
    volumes_ml = [[info.volumes_ml.get(s, np.nan) for s in structures] for info in own]
    pieces = [[info.pieces.get(s, 1) for s in structures] for info in own]
    areas_mm2 = [heart.contact_mm2[np.ix_(columns, columns)] for heart in hearts.values()]
    distances, residuals = left_out(space, coordinates, positions, normals, rows)
    cohort = Cohort(
        tuple(hearts),
        coordinates,
        positions.astype(np.float32),
        normals,
        rows,
        np.where(whole, np.array(volumes_ml, dtype=np.float64), np.nan),
        np.max(pieces, axis=0).astype(np.int64),
        always_touching(areas_mm2, [np.array(row) for row in whole]),
        distances,
        residuals,
    )
    sha256 = weights_sha256(trained.network)
    return SavedSpace(model_name, sha256, structures, space, template, cohort)


def _write_page(path: Path, space: HeartSpace, template: str, size: SpacePageSize) -> None:
    shapes = len(page_shapes(space, space.saved.cohort.names, size))
    with steps("making the page", shapes, "shapes") as progress:
        write_space_page(path, space, template, progress, size)
