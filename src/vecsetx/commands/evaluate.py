"""``vecsetx evaluate``: reconstruct hearts and score them on the grids of their label maps."""

import datetime
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from vecsetx._version import __version__
from vecsetx.cohort.cohort_options import CohortOptions
from vecsetx.cohort.identity import plain_file
from vecsetx.cohort.out_folder import results_folder
from vecsetx.cohort.scoring import FoundScores, Scoring
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.find_hearts import check_there
from vecsetx.errors import InputError
from vecsetx.evaluation.bootstrap import Bootstrap
from vecsetx.evaluation.inputs import EvaluateOptions, ScoredHeart, find_scored_hearts
from vecsetx.evaluation.score_measures import Value
from vecsetx.evaluation.scores import Score, summarize, write_scores
from vecsetx.evaluation.uncertainty import EnsembleScoring
from vecsetx.inference.doubts import whole_only_remark
from vecsetx.inference.ensemble import refuse_recycled_ensemble
from vecsetx.inference.sd_factor import refuse_idle_calibration, sd_factor_of
from vecsetx.model.built_in import recorded_name
from vecsetx.model.saved import TrainedModel
from vecsetx.report.evaluation_page import SHOWN_HEARTS, write_evaluation_page
from vecsetx.report.ranking import chosen
from vecsetx.report.scene import HeartView, PackedHeart, pack_heart
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.terminal.progress_bars import steps, waiting, warn
from vecsetx.terminal.remarks import print_remarks
from vecsetx.terminal.table import counted
from vecsetx.workers.base import Workers
from vecsetx.workers.for_each import for_each_heart, workers_or_here
from vecsetx.workers.heart_work import HeartWork, Records, do_heart

__all__ = ["CohortOptions", "EvaluateOptions", "Evaluated", "evaluate"]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The outcome of an evaluation.

    Attributes:
        scores: The contents of ``scores.json``.
        failed: Heart → reason, for hearts that could not be scored.
    """

    scores: dict[str, Any]
    failed: dict[str, str]


def evaluate(
    model: Path,
    inputs: Sequence[Path],
    out: Path,
    options: EvaluateOptions,
    cohort: CohortOptions | None = None,
) -> Evaluated:
    """Score a model; write ``scores.csv``, ``scores.json`` and ``report.html`` into ``out``.

    A heart that an earlier run into ``out`` has scored, with the same model and options, is not
    scored again (:mod:`~vecsetx.workers.heart_work`).

    Args:
        model: Folder of a run or of a saved model.
        inputs: One prepared data set, whose ``split`` is scored against the label maps that it was
            made from; or hearts of any kind.
        out: Folder for the results.
        options: The options.
        cohort: Who does the work; None: this process, on the CPU.

    Raises:
        InputError: The options do not fit together, the model or the inputs cannot be found, no
            heart can be scored, an ensemble is requested and all hearts were used to calibrate the
            model, ``out`` cannot be written, or another run is writing into it.
    """
    cohort = cohort or CohortOptions()
    _check(options)
    cohort.check()
    with results_folder(out):
        return _evaluate(model, inputs, out, options, cohort)


def _evaluate(
    model: Path,
    inputs: Sequence[Path],
    out: Path,
    options: EvaluateOptions,
    cohort: CohortOptions,
) -> Evaluated:
    # 1. What to score, and with what.
    check_there(inputs)
    with waiting("reading the model and the hearts"):
        shared, trained = WorkingModel.of(model, cohort.device, cohort.is_here)
        hearts = find_scored_hearts(inputs, options, trained)
    factor, uncertainty = None, None
    if options.ensemble:
        factor = sd_factor_of(model, trained, options.calibration)
        uncertainty = EnsembleScoring(trained, options.ensemble, options.encode.seed, factor)
        uncertainty.check_hearts(hearts)
    seen = _seen(trained, hearts)
    work = Scoring(shared, options, factor, few=len(hearts) <= SHOWN_HEARTS)
    with workers_or_here(cohort.workers, cohort.dask) as workers:
        # 2. Score all hearts.
        found = _score_all(hearts, work, out, workers)
        print_remarks(found.remarks)
        if trained.partial is False and (options.hide_each or options.encode.hide):
            hidden = ["each structure in turn"] if options.hide_each else options.encode.hide
            warn(whole_only_remark(hidden))

        # 3. Summarize and write.
        def remarks(name: str) -> list[str]:
            return [*found.remarks[name], *((_SEEN,) if name in seen else ())]

        with waiting("writing scores and report"):
            bootstrap = Bootstrap()
            errors = [one.errors for one in found.hearts.values()]
            scores = {
                **summarize(found.rows, bootstrap),
                **({"calibration": uncertainty.summary(errors)} if uncertainty else {}),
                "scoring": {
                    "tolerance_mm": options.tolerance_mm,
                    "missed_mm": "diagonal of the true heart",
                },
                "bootstrap": asdict(bootstrap),
                "penalties_mm": {name: one.penalty_mm for name, one in found.hearts.items()},
                "options": options.recorded(),
                "refinement": found.refined,
                "lacks": found.lacks,
                "remarks": {name: said for name in found.hearts if (said := remarks(name))},
                "provenance": _provenance(model, trained, inputs, found, options, seen),
            }
            write_scores(out, found.rows, scores)
        page = _Page(out.resolve() / "report.html", model, hearts, found, work, workers)
        records = Records.within(out)
        do_heart(("report.html", scores), page, replace(records, folder=records.folder / "page"))
    return Evaluated(scores, found.failed)


def _check(options: EvaluateOptions) -> None:
    hide, tolerance_mm = options.encode.hide, options.tolerance_mm
    if not 0 < tolerance_mm < math.inf:
        raise InputError(f"--tolerance {tolerance_mm:g}: must be a length above 0 mm")
    if options.hide_each and hide:
        raise InputError(
            f"--hide {','.join(hide)} and --hide-each exclude each other: the one hides these "
            "structures together, the other hides each structure in turn"
        )
    if options.ensemble and not (hide or options.hide_each):
        raise InputError(
            f"--ensemble {options.ensemble}: measures the uncertainty of hidden structures, and "
            "none are; add --hide-each, or --hide with their names"
        )
    refuse_recycled_ensemble(options.ensemble, options.encode)
    refuse_idle_calibration(options.calibration, options.ensemble)


@dataclass(frozen=True, slots=True)
class _Found:
    """The scores of all hearts.

    Attributes:
        hearts: Heart → its scores, of those that could be scored, in the order of the inputs.
        failed: Heart → reason, for hearts that could not be scored.
        kept: Heart → how the page shows it, if that is likely and took no further work.
    """

    hearts: dict[str, FoundScores]
    failed: dict[str, str]
    kept: dict[str, HeartView]

    @property
    def rows(self) -> list[Score]:
        """A row per heart and structure."""
        return [row for found in self.hearts.values() for row in found.rows]

    @property
    def refined(self) -> dict[str, dict[str, Any]]:
        """Heart → what refinement gained; only hearts that were refined."""
        return {name: one.refined for name, one in self.hearts.items() if one.refined}

    @property
    def lacks(self) -> dict[str, str]:
        """Heart → what it lacks of a whole one, in words; only hearts that lack something."""
        return {name: one.lacks for name, one in self.hearts.items() if one.lacks}

    @property
    def remarks(self) -> dict[str, tuple[str, ...]]:
        """Heart → remarks on its source."""
        return {name: one.remarks for name, one in self.hearts.items()}

    @property
    def dice(self) -> dict[str, dict[str, dict[str, Value]]]:
        """Heart → structure → Dice, of hearts in which the model finds any structure."""
        return {name: one.dice for name, one in self.hearts.items() if one.found}


def _score_all(
    hearts: Mapping[str, ScoredHeart], work: Scoring, out: Path, workers: Workers | None
) -> _Found:
    """Score hearts, except for those that an earlier run has scored.

    Raises:
        InputError: None of them can be scored.
    """
    kept: dict[str, HeartView] = {}
    dice: dict[str, dict[str, dict[str, Value]]] = {}

    def keep(name: str, found: FoundScores) -> FoundScores:
        if found.found:
            dice[name] = found.dice
        if found.view:
            kept[name] = found.view
            _forget(kept, dice)
        return replace(found, view=None)  # it takes much memory

    records = Records.within(out)
    outcome = run_cohort("scoring hearts", work, hearts, records, workers, keep)
    if not outcome.results:
        raise InputError("\n".join(outcome.failed.values()))
    in_order = {name: outcome.results[name] for name in hearts if name in outcome.results}
    return _Found(in_order, outcome.failed, kept)


def _forget(
    kept: dict[str, HeartView], dice: Mapping[str, Mapping[str, Mapping[str, Value]]]
) -> None:
    """Keep only the views that the page is likely to show."""
    wanted = chosen(dice, 2 * SHOWN_HEARTS)
    for name in list(kept):
        if name not in wanted:
            del kept[name]


def _packed_hearts(
    hearts: Mapping[str, ScoredHeart], found: _Found, work: Scoring, workers: Workers | None
) -> list[PackedHeart]:
    """Return the hearts of the page's viewer; those whose views were not kept are made again."""
    dice = found.dice
    shown = chosen(dice, SHOWN_HEARTS)
    given = {name: found.kept.get(name, (hearts[name], dice[name])) for name in shown}
    if not given:
        return []
    title = "packing" if found.kept.keys() >= given.keys() else "reconstructing"
    with steps(f"{title} hearts for the page", len(given), "hearts") as progress:
        outcome = for_each_heart(partial(_packed, work=work), given, workers, progress)
    for name, reason in outcome.failed.items():
        warn(f"the page lacks {name}: {reason}")
    return [outcome.results[name] for name in shown if name in outcome.results]


def _packed(given: HeartView | tuple[ScoredHeart, Mapping[str, Any]], work: Scoring) -> PackedHeart:
    """Make a heart for the page, unless its view is given, and pack it. Runs in a worker."""
    return pack_heart(given if isinstance(given, HeartView) else work.view(*given))


@dataclass(frozen=True, slots=True)
class _Page(HeartWork[dict[str, Any], None]):
    """Writes the page of all hearts, unless it is there and would be the same; takes the scores.

    The surfaces of the hearts that it shows are in no record, and take long to make again.
    """

    name: ClassVar[str] = "evaluate: page"

    path: Path
    model: Path
    hearts: Mapping[str, ScoredHeart]
    found: _Found
    work: Scoring
    workers: Workers | None

    def setting(self) -> dict[str, Any]:
        return {**self.work.setting(), "history": plain_file(self.model / "metrics.jsonl")}

    def identity(self, heart: dict[str, Any]) -> dict[str, Any]:
        shown = chosen(self.found.dice, SHOWN_HEARTS)
        return {"scores": heart, "shown": [self.work.identity(self.hearts[one]) for one in shown]}

    def make(self, heart: dict[str, Any]) -> None:
        packed = _packed_hearts(self.hearts, self.found, self.work, self.workers)
        with waiting("writing report.html"):
            write_evaluation_page(self.path, self.model, heart, packed)

    def to_record(self, result: None) -> Any:
        return None

    def of_record(self, record: Any) -> None:
        pass

    def files(self, heart: dict[str, Any], result: None) -> Sequence[Path]:
        return [self.path]


_POSES = {
    "anatomy": "each heart was turned as the training hearts lie, by where its chambers are",
    "scan": "hearts as they lie in their files",
}


_SEEN = "has the name of a training heart, so its scores may not be those of an unseen heart"


def _seen(trained: TrainedModel, hearts: Collection[str]) -> list[str]:
    """Return the hearts that have names of training hearts; warn if there are any."""
    seen = sorted(set(hearts) & set(trained.provenance["hearts"]))
    if seen:
        name = "has the name of a training heart"
        have = name if len(seen) == 1 else "have names of training hearts"
        warn(
            f"{len(seen)} of {counted(len(hearts), 'heart')} {have}, so these may not be scores of "
            "unseen hearts"
        )
    return seen


def _provenance(
    model: Path,
    trained: TrainedModel,
    inputs: Sequence[Path],
    found: _Found,
    options: EvaluateOptions,
    seen: Collection[str],
) -> dict[str, Any]:
    """Return where the scores come from."""
    label_sets = sorted({one.label_set for one in found.hearts.values()})
    made = trained.provenance
    hidden = ", ".join(options.encode.hide) or "nothing"
    most = options.encode.refine_steps(whole=bool(found.refined))
    return {
        "model": recorded_name(model),
        "trained on": f"{counted(len(made['hearts']), 'heart')} of {made['data']}",
        "training": f"{counted(made['steps'], 'step')}, seed {made['seed']}",
        "scored": ", ".join(str(path.resolve()) for path in inputs),
        "truth": f"the hearts as given, label set {', '.join(label_sets)}",
        "trained on among them": ", ".join(seen) or "none, by name",
        "grid": "every voxel of each label map's own grid",
        "hidden from the model": "each structure in turn" if options.hide_each else hidden,
        "recycled": counted(options.encode.recycle, "time"),
        "pose": _POSES["scan" if trained.pose is None else options.encode.pose],
        "refined": f"{counted(len(found.refined), 'heart')}, {counted(most, 'step')} at most",
        "specks": "kept" if options.keep_specks else "removed where nothing observed supports them",
        "VecSetX": __version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
