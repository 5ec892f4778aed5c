"""Make hearts of a shape space: their files, ``cohort.csv`` and ``cohort.json``."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vecsetx._version import __version__
from vecsetx.cohort.cohort_options import CohortOptions, missing_here
from vecsetx.cohort.generating import GeneratedHeart, Generating, NewHeartFiles
from vecsetx.cohort.new_hearts import NewHeart
from vecsetx.cohort.out_folder import results_folder
from vecsetx.cohort.working_space import WorkingSpace
from vecsetx.errors import InputError
from vecsetx.files import write_json, write_text
from vecsetx.measures.heart_measures import in_order
from vecsetx.plain_data import PlainDataError, read_json
from vecsetx.population.heart_space import HeartSpace
from vecsetx.schemas import NEW_HEARTS, check_schema, schema_of
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.terminal.progress_bars import waiting
from vecsetx.workers.for_each import workers_or_here
from vecsetx.workers.heart_work import Records

__all__ = ["GeneratedHearts", "make_hearts"]

_FILE = "cohort.json"


@dataclass(frozen=True, slots=True)
class GeneratedHearts:
    """What was made.

    Attributes:
        hearts: Name → heart.
        failed: Name → why it could not be made.
    """

    hearts: Mapping[str, GeneratedHeart]
    failed: Mapping[str, str]


def make_hearts(
    space: Path,
    model: Path,
    out: Path,
    choose: Callable[[HeartSpace], Sequence[NewHeart]],
    files: NewHeartFiles,
    made_by: Mapping[str, Any],
    cohort: CohortOptions | None = None,
) -> GeneratedHearts:
    """Make hearts of a space.

    Args:
        space: Folder of the space.
        model: Folder of its model.
        out: Folder for the hearts.
        choose: Returns the hearts that are made.
        files: What is written of each.
        made_by: How they were chosen, for ``cohort.json``; plain data. A folder holds hearts of one
            choice.
        cohort: Who does the work; None: this process, on the CPU.

    Raises:
        InputError: There is no such space or model, they do not fit each other, ``out`` cannot be
            written or holds other new hearts, or no heart could be made; or as ``choose`` does.
    """
    cohort = cohort or CohortOptions()
    cohort.check()
    with results_folder(out):
        with waiting("reading the model"):
            shared, loaded = WorkingSpace.of(space, model, cohort.device, cohort.is_here)
        hearts = {one.name: one for one in choose(loaded)}
        provenance = {
            "space": str(space),
            "space_sha256": loaded.saved.sha256,
            "model": loaded.saved.model,
            **made_by,
            "files": asdict(files),
        }
        _check_same(out, provenance)
        _write(out, provenance, {}, {}, finished=False)
        work = Generating(shared, files, out.resolve())
        with workers_or_here(cohort.workers, cohort.dask) as workers:
            found = run_cohort("making hearts", work, hearts, Records.within(out), workers)
        if not found.results:
            raise InputError("\n".join(dict.fromkeys(found.failed.values())))
        failed = found.failed | missing_here(
            {name: out / made.files[0] for name, made in found.results.items()}
        )
        write_text(out / "cohort.csv", _table(found.results))
        records = {name: work.to_record(heart) for name, heart in found.results.items()}
        _write(out, provenance, records, failed)
    return GeneratedHearts(found.results, failed)


def _check_same(out: Path, provenance: Mapping[str, Any]) -> None:
    """Check that a folder holds no hearts that were chosen otherwise: names would say the same.

    Raises:
        InputError: It does, or its ``cohort.json`` is damaged.
    """
    file = out / _FILE
    if not file.exists():
        return
    try:
        content = read_json(file)
        check_schema(file, schema_of(content), NEW_HEARTS, "choose another --out")
        before = content["provenance"]
        keys = [*dict.fromkeys(["command", *provenance])]
        changed = [k for k in keys if k != "space" and before.get(k) != provenance.get(k)]
    except (OSError, PlainDataError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: is damaged ({error}); choose another --out") from error
    if changed:
        raise InputError(
            f"{out}: holds new hearts of another run, with other {', '.join(changed)}; choose "
            "another --out"
        )


def _write(
    out: Path,
    provenance: Mapping[str, Any],
    hearts: Mapping[str, Any],
    failed: Mapping[str, str],
    finished: bool = True,
) -> None:
    origin = {"VecSetX": __version__, **provenance}
    content = {"schema": NEW_HEARTS, "provenance": origin, "finished": finished}
    write_json(out / _FILE, {**content, "hearts": hearts, "failed": failed})


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
