"""``vecsetx calibrate``: calibrate a model's standard deviations on hearts it never saw."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from vecsetx._version import __version__
from vecsetx.cohort.calibrating import Calibrating
from vecsetx.cohort.cohort_options import CohortOptions
from vecsetx.cohort.out_folder import written_by_one
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.sources import source_of
from vecsetx.data.split import Split
from vecsetx.errors import InputError
from vecsetx.evaluation.calibration import (
    Calibration,
    VertexErrors,
    summarize_structures,
)
from vecsetx.evaluation.heart_measurement import HeartMeasurement
from vecsetx.evaluation.hidden_structures import SPACING_MM
from vecsetx.inference.ensemble import MEMBERS
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.model.built_in import is_built_in
from vecsetx.model.saved import REPOSITORY, TrainedModel, model_folder
from vecsetx.report.calibration_page import write_calibration_page
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.terminal.progress_bars import waiting, warn
from vecsetx.terminal.remarks import print_remarks
from vecsetx.workers.for_each import workers_or_here
from vecsetx.workers.heart_work import Records

__all__ = ["ENOUGH_HEARTS", "Calibrated", "CohortOptions", "calibrate"]

ENOUGH_HEARTS = 8
"""Least number of hearts, half of which give the factors. With fewer, factors can be off by several
times."""

KEPT = "calibration-unfinished"
"""Folder in that of the results, with the measurements of an incomplete calibration."""

LEAST_HEARTS = 3
"""Number of hearts in which a structure must be reconstructed to get its own factor."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The outcome of a calibration.

    Attributes:
        found: The contents of ``calibration.json``.
        page: Path of the page with the figures.
        failed: Heart → reason, for hearts that could not be used.
    """

    found: dict[str, Any]
    page: Path
    failed: dict[str, str]


def calibrate(
    model: Path,
    data: Path,
    split: Split = "val",
    fold: int | None = None,
    members: int = MEMBERS,
    seed: int = 0,
    few: bool = False,
    cohort: CohortOptions | None = None,
    *,
    out: Path | None = None,
) -> Calibrated:
    """Fit the factors that calibrate standard deviations, on structures hidden in turn.

    Each structure of each heart is hidden in turn, and its reconstructed surface is compared with
    the true one. In addition, a random plane cuts each heart, and the completion beyond it is
    compared with the truth. Half of the patients, chosen by the hash of their names, give the
    factors; the other half tests them. A structure that was reconstructed in fewer than
    :data:`LEAST_HEARTS` hearts of the first half gets the factor over all structures. Writes
    ``calibration.json`` and ``calibration.html``. If the calibration is killed, calling it again
    measures only the hearts that are missing, with the same result.

    Args:
        model: Folder of a run or of a saved model, or ``owner/name`` on the Hugging Face Hub.
        data: A prepared data set, whose source files still exist.
        split: Its split; as a rule one that the model was not trained on.
        fold: Fold of the data set whose hearts are ``val``; None for the data set's own split.
        members: Number of ensemble members per heart and hidden structure.
        seed: Seed of the halves, the members and the choice of vertices.
        few: Whether to accept fewer than :data:`ENOUGH_HEARTS` hearts. Every output then says so.
        cohort: Who does the work; None: this process, on the CPU.
        out: Folder for the results; None for the model's own, where ``reconstruct`` and
            ``evaluate`` find them. The built-in model and those of the Hub have none to write into.

    Raises:
        InputError: The model or the data set cannot be read, there are too few hearts or fewer than
            two patients, one of the halves has nothing to compare, ``out`` is None for a model
            without a folder to write into, or the folder cannot be written or another run is
            writing into it.
    """
    cohort = cohort or CohortOptions()
    cohort.check()
    folder = _model_s_own(model) if out is None else out
    with written_by_one(folder, KEPT):
        return _calibrate(
            model_folder(model), folder, data, split, fold, members, seed, few, cohort
        )


def _model_s_own(model: Path) -> Path:
    """Return the folder of a model, where its calibration belongs.

    Raises:
        InputError: There is no such model, or nothing is to be written into its folder.
    """
    on_hub = not model.exists() and REPOSITORY.fullmatch(model.as_posix())
    if on_hub or is_built_in(model):
        which = f"{model} on the Hugging Face Hub" if on_hub else "the built-in model"
        raise InputError(
            f"{which} has no folder to write into; add --out FOLDER, and give "
            "FOLDER/calibration.json to reconstruct and evaluate by --calibration"
        )
    return model_folder(model)


def _calibrate(
    model: Path,
    folder: Path,
    data: Path,
    split: Split,
    fold: int | None,
    members: int,
    seed: int,
    few: bool,
    cohort: CohortOptions,
) -> Calibrated:
    # 1. The hearts, in two halves.
    dataset = DataSet.read(data)
    hearts = dataset.of_split(split, fold)
    hearts = tuple(heart for heart in hearts if source_of(dataset, heart).has_volume)
    where = f"{data}: split {split!r}"
    first, second = _halves(hearts, seed, where)
    if not few:
        _check_count(len(hearts), "with label maps or meshes", where)
    with waiting("reading the model"):
        shared, trained = WorkingModel.of(model, cohort.device, cohort.is_here)
    _warn_of_training_hearts(trained, hearts)

    # 2. Errors and standard deviations of all hearts. Those that fail are left out.
    records = Records(folder.resolve() / KEPT, folder.resolve())
    work = Calibrating(shared, members, seed)
    measured = _measure(dataset, hearts, work, records, cohort)
    print_remarks(measured.remarks)
    failed = measured.failed
    if set(failed) >= set(first) or set(failed) >= set(second):
        raise InputError("\n".join(failed.values()))
    if not few:
        _check_count(len(measured.errors), "that could be measured", where, failed.values())
    first, second = measured.of(first), measured.of(second)

    # 3. Fit the factors to the first half, and test them on the second.
    factor = _fitted(measured, first, members)
    found = _tested(factor, measured.hidden(first), measured.hidden(second)) | {
        "beyond": _tested_beyond(factor, measured.cut(second)),
        "hearts_fitted": first,
        "hearts_tested": second,
        "provenance": {
            "data": str(data.resolve()),
            "split": split,
            "fold": fold,
            "seed": seed,
            "mesh_resolution_mm": SPACING_MM,
            "version": __version__,
        },
    }

    # 4. Write the factors and the page.
    path = factor.write(folder, trained, found)
    page = path.with_suffix(".html")
    found = factor.to_dict() | found
    with waiting("writing calibration.html"):
        write_calibration_page(page, found)
    records.remove(work, [heart.name for heart in hearts])
    return Calibrated(found, page, failed)


def _check_count(count: int, which: str, where: str, reasons: Iterable[str] = ()) -> None:
    if count < ENOUGH_HEARTS:
        hearts = "1 heart" if count == 1 else f"{count} hearts"
        message = (
            f"{where} has {hearts} {which}; calibration needs at least {ENOUGH_HEARTS}: add "
            "hearts, choose another --split or --fold, or give --few, with which every output says "
            "that the factors are unreliable"
        )
        raise InputError("\n".join([message, *reasons]))


def _halves(hearts: Sequence[HeartEntry], seed: int, where: str) -> tuple[list[str], list[str]]:
    """Split the patients at random, by their names and the seed; return the hearts of both halves.

    Raises:
        InputError: There are fewer than two patients.
    """
    patients = sorted(
        {heart.patient for heart in hearts},
        # A hash, not a random draw: adding patients leaves the order of the others unchanged.
        key=lambda patient: sha256(f"calibrate/{seed}/{patient}".encode()).digest(),
    )
    if len(patients) < 2:
        raise InputError(
            f"{where} has {'1 patient' if patients else 'no patients'} with label maps or meshes; "
            "calibration needs at least two, one to fit the factors and one to test them: add "
            "hearts, or prepare a data set with more of them set aside (--val-share)"
        )
    first = set(patients[: (len(patients) + 1) // 2])
    return (
        [heart.name for heart in hearts if heart.patient in first],
        [heart.name for heart in hearts if heart.patient not in first],
    )


def _warn_of_training_hearts(trained: TrainedModel, hearts: Sequence[HeartEntry]) -> None:
    seen = {heart.name for heart in hearts} & set(trained.provenance.get("hearts", ()))
    if seen:
        warn(
            f"{len(seen)} of {len(hearts)} hearts have names of training hearts, on which the "
            "model errs less than on others: the factor may be too small"
        )


@dataclass(frozen=True, slots=True)
class _Measured:
    """Errors and standard deviations of all hearts.

    Attributes:
        errors: Heart → structure → errors when that structure is hidden.
        beyond: Heart → errors beyond a plane that cuts it.
        failed: Heart → reason, for hearts that could not be used.
        remarks: Heart → remarks on its source.
    """

    errors: dict[str, dict[str, VertexErrors]]
    beyond: dict[str, VertexErrors]
    failed: dict[str, str]
    remarks: dict[str, tuple[str, ...]]

    def add(self, heart: str, found: HeartMeasurement) -> None:
        """Add what was measured on a heart."""
        self.errors[heart], self.beyond[heart] = found.hidden, found.beyond
        self.remarks[heart] = found.remarks

    def of(self, half: Sequence[str]) -> list[str]:
        """Return the hearts of a half that did not fail."""
        return [name for name in half if name in self.errors]

    def hidden(self, half: Sequence[str]) -> list[dict[str, VertexErrors]]:
        """Return the errors of hidden structures, for each heart of a half."""
        return [self.errors[name] for name in half]

    def cut(self, half: Sequence[str]) -> VertexErrors:
        """Return the errors beyond the planes that cut the hearts of a half."""
        return VertexErrors.joined(self.beyond[name] for name in half)


def _measure(
    dataset: DataSet,
    hearts: Sequence[HeartEntry],
    work: Calibrating,
    records: Records,
    cohort: CohortOptions,
) -> _Measured:
    """Measure the hearts, except for those whose measurements a stopped calibration has kept."""
    # Workers measure one heart each, so they get data sets of one heart.
    folder = dataset.folder.resolve()
    alone = {heart.name: replace(dataset, folder=folder, hearts=(heart,)) for heart in hearts}
    with workers_or_here(cohort.workers, cohort.dask) as workers:
        outcome = run_cohort("hiding structures in turn", work, alone, records, workers)
    found = _Measured({}, {}, outcome.failed, {})
    for heart in hearts:
        if heart.name in outcome.results:
            found.add(heart.name, outcome.results[heart.name])
    return found


_Half = Sequence[Mapping[str, VertexErrors]]
"""Structure → errors, for each heart of a half."""


def _fitted(measured: _Measured, first: Sequence[str], members: int) -> SdFactor:
    """Fit the factors to the hearts of the first half."""
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    cut_factor = _factor_of(measured.cut(first))
    few = len(measured.errors) < ENOUGH_HEARTS
    factors = _factors(measured.hidden(first))
    return SdFactor(*factors, cut_factor, members, tuple(first), date, few)


def _factors(first: _Half) -> tuple[float, dict[str, float]]:
    """Return the factor over all structures, and the structures' own factors."""
    own: dict[str, float] = {}
    for name in _names(first):
        found = [of_heart[name] for of_heart in first if name in of_heart]
        seen = [errors for errors in found if len(errors.sd_mm)]
        if len(seen) >= LEAST_HEARTS:
            own[name] = Calibration.of(VertexErrors.joined(seen)).factor
    return Calibration.of(_joined(first)).factor, own


def _tested(factor: SdFactor, first: _Half, second: _Half) -> dict[str, Any]:
    """Test the factors of the first half on the second; return plain data."""
    scaled = [
        {name: errors.scaled(factor.of(name)) for name, errors in of_heart.items()}
        for of_heart in second
    ]
    names = _names([*first, *second])
    before, after = summarize_structures(second, names), summarize_structures(scaled, names)
    return {
        "before": Calibration.of(_joined(second)).to_dict(),
        "after": Calibration.of(_joined(scaled)).to_dict(),
        "structures": {
            name: {
                "factor": factor.of(name),
                "own_factor": name in factor.factors,
                **after[name],
                "within_before": before[name]["within"],
            }
            for name in names
        },
    }


def _factor_of(errors: VertexErrors) -> float | None:
    return Calibration.of(errors).factor if len(errors.sd_mm) else None


def _tested_beyond(factor: SdFactor, second: VertexErrors) -> dict[str, Any] | None:
    """Test the factor of cut structures on the second half; None if nothing was cut."""
    if factor.cut_factor is None or len(second.sd_mm) == 0:
        return None
    scaled = second.scaled(factor.cut_factor)
    return {
        "before": Calibration.of(second).to_dict(),
        "after": Calibration.of(scaled).to_dict(),
    }


def _names(half: _Half) -> list[str]:
    """Structures that were hidden in at least one heart."""
    return list(dict.fromkeys(name for of_heart in half for name in of_heart))


def _joined(half: _Half) -> VertexErrors:
    return VertexErrors.joined(errors for of_heart in half for errors in of_heart.values())
