"""``vecsetx shape sample``: new hearts of a shape space."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from vecsetx._version import __version__
from vecsetx.cohort.cohort_options import CohortOptions, missing_here
from vecsetx.cohort.generating import GeneratedHeart, Generating
from vecsetx.cohort.out_folder import results_folder
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.errors import InputError
from vecsetx.files import write_json, write_text
from vecsetx.measures.heart_measures import in_order
from vecsetx.model.weights import weights_sha256
from vecsetx.population.drawing import VolumeRange, check_volumes
from vecsetx.population.space_file import SavedSpace
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.terminal.progress_bars import waiting
from vecsetx.workers.for_each import workers_or_here
from vecsetx.workers.heart_work import Records

__all__ = ["GeneratedHearts", "parse_volumes", "sample_hearts"]


@dataclass(frozen=True, slots=True)
class GeneratedHearts:
    """What ``shape sample`` made.

    Attributes:
        hearts: Name → heart.
        failed: Name → why it could not be made.
    """

    hearts: Mapping[str, GeneratedHeart]
    failed: Mapping[str, str]


def sample_hearts(
    space: Path,
    model: Path,
    out: Path,
    count: int,
    seed: int = 0,
    volumes: Mapping[str, VolumeRange] | None = None,
    spacing_mm: float = 1.5,
    cohort: CohortOptions | None = None,
) -> GeneratedHearts:
    """Draw new hearts: label maps, ``cohort.csv`` and ``cohort.json``.

    Args:
        space: Folder of the space.
        model: Folder of its model.
        out: Folder for the hearts.
        count: Number of hearts; more of them leave the first ones as they are.
        seed: Seed; each heart follows from it and its number alone.
        volumes: Structure → its volume, where one is asked for.
        spacing_mm: Side of the label maps' voxels.
        cohort: Who does the work; None: this process, on the CPU.

    Raises:
        InputError: There is no such space or model, they do not fit each other, the cohort does not
            span the volumes, ``out`` cannot be written, or no heart could be made.
    """
    cohort, volumes = cohort or CohortOptions(), volumes or {}
    cohort.check()
    with results_folder(out):
        saved = SavedSpace.read(space)
        check_volumes(saved, volumes)
        with waiting("reading the model"):
            shared, trained = WorkingModel.of(model, cohort.device, cohort.is_here)
        if weights_sha256(trained.network) != saved.model_sha256:
            raise InputError(
                f"{space}: was fitted with another model than {model} ({saved.model}); fit it "
                "again, or name that model by --model"
            )
        place = out.resolve()
        work = Generating(shared, space.resolve(), saved.sha256, seed, volumes, spacing_mm, place)
        numbers = {f"heart{number:05d}": number for number in range(1, count + 1)}
        with workers_or_here(cohort.workers, cohort.dask) as workers:
            found = run_cohort("making hearts", work, numbers, Records.within(out), workers)
        if not found.results:
            raise InputError("\n".join(dict.fromkeys(found.failed.values())))
        failed = found.failed | missing_here(
            {name: out / work.file(numbers[name]).name for name in found.results}
        )
        write_text(out / "cohort.csv", _table(found.results))
        write_json(
            out / "cohort.json",
            {
                "provenance": {
                    "VecSetX": __version__,
                    "space": str(space),
                    "model": saved.model,
                    "seed": seed,
                    "volumes": {name: asdict(one) for name, one in volumes.items()},
                    "spacing_mm": spacing_mm,
                },
                "hearts": {name: work.to_record(heart) for name, heart in found.results.items()},
                "failed": failed,
            },
        )
    return GeneratedHearts(found.results, failed)


def parse_volumes(texts: list[str]) -> dict[str, VolumeRange]:
    """Parse ``LV=120:180`` or ``LV=90``, ml.

    Raises:
        InputError: A text is of another form, or its range is empty or not positive.
    """
    found: dict[str, VolumeRange] = {}
    for text in texts:
        name, _, numbers = text.partition("=")
        low, colon, high = numbers.partition(":")
        try:
            wanted = VolumeRange(float(low), float(high if colon else low))
        except ValueError:
            wanted = VolumeRange(0.0, 0.0)
        if not 0 < wanted.low_ml <= wanted.high_ml < float("inf"):
            raise InputError(f"--volume {text}: give a structure and ml, as LV=120:180 or LV=150")
        if name in found:
            raise InputError(f"--volume {text}: {name} is given twice; leave one out")
        found[name] = wanted
    return found


def _table(hearts: Mapping[str, GeneratedHeart]) -> str:
    columns = in_order(name for made in hearts.values() for name in made.heart.measures)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["heart", "faults", "nearest_heart", "nearest_mm", *columns])
    for name, made in hearts.items():
        known = {n: m for n, m in made.heart.measures.items() if m.known}
        cells = [f"{known[c].value:.6g}" if c in known else "" for c in columns]
        faults = "; ".join(made.faults)
        writer.writerow([name, faults, made.nearest, f"{made.nearest_mm:.3f}", *cells])
    return text.getvalue()
