"""``vecsetx evaluate``: reconstruct hearts and score them on the grids of their label maps."""

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vecsetx._version import __version__
from vecsetx.data.sources import HeartSource
from vecsetx.errors import InputError, too_large
from vecsetx.evaluation.bootstrap import Bootstrap
from vecsetx.evaluation.heart_scores import penalty_mm
from vecsetx.evaluation.inputs import (
    EvaluateOptions,
    ScoredHeart,
    find_scored_hearts,
    structures_in,
)
from vecsetx.evaluation.reconstruction_scores import (
    Reconstruction,
    SingleStructureField,
    score_hidden_structure,
    score_reconstruction,
)
from vecsetx.evaluation.score_measures import Value
from vecsetx.evaluation.scores import Score, summarize, write_scores
from vecsetx.evaluation.uncertainty import EnsembleScoring, HeartErrors
from vecsetx.inference.doubts import whole_only_remark
from vecsetx.inference.encode import encode_heart
from vecsetx.inference.ensemble import refuse_recycled_ensemble
from vecsetx.inference.sd_factor import sd_factor_of
from vecsetx.inference.support import Support
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.report.evaluation_page import (
    PAGE_VOXELS,
    SHOWN_HEARTS,
    heart_view,
    write_evaluation_page,
)
from vecsetx.report.ranking import chosen
from vecsetx.report.scene import HeartView
from vecsetx.terminal.progress_bars import steps, waiting, warn
from vecsetx.terminal.remarks import print_remarks
from vecsetx.terminal.table import counted
from vecsetx.workers.lock import only_writer

__all__ = ["EvaluateOptions", "Evaluated", "evaluate"]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The outcome of an evaluation.

    Attributes:
        scores: The contents of ``scores.json``.
        failed: Heart → reason, for hearts that could not be scored.
    """

    scores: dict[str, Any]
    failed: dict[str, str]


def evaluate(model: Path, inputs: Sequence[Path], out: Path, options: EvaluateOptions) -> Evaluated:
    """Score a model; write ``scores.csv``, ``scores.json`` and ``report.html`` into ``out``.

    Args:
        model: Folder of a run or of a saved model.
        inputs: One prepared data set, whose ``split`` is scored against the label maps that it was
            made from; or hearts of any kind.
        out: Folder for the results.
        options: The options.

    Raises:
        InputError: The options do not fit together, the model or the inputs cannot be found, no
            heart can be scored, an ensemble is requested and all hearts were used to calibrate the
            model, ``out`` cannot be written, or another run is writing into it.
    """
    _check(options)
    with only_writer(out):
        return _evaluate(model, inputs, out, options)


def _evaluate(
    model: Path, inputs: Sequence[Path], out: Path, options: EvaluateOptions
) -> Evaluated:
    # 1. What to score, and with what.
    with waiting("reading the model and the hearts"):
        trained = TrainedModel.from_pretrained(model)
        hearts = find_scored_hearts(inputs, options, trained)
    uncertainty = None
    if options.ensemble:
        factor = sd_factor_of(model, trained)
        uncertainty = EnsembleScoring(trained, options.ensemble, options.encode.seed, factor)
        uncertainty.check_hearts(hearts)
    # 2. Score all hearts.
    found = _score_all(hearts, _Scorer(trained, options, uncertainty))
    print_remarks(found.remarks)
    if trained.partial is False and (options.hide_each or options.encode.hide):
        hidden = ["each structure in turn"] if options.hide_each else options.encode.hide
        warn(whole_only_remark(hidden))
    # 3. Summarize and write.
    with waiting("writing scores and report"):
        bootstrap = Bootstrap()
        scores = {
            **summarize(found.rows, bootstrap),
            **({"calibration": uncertainty.summary(found.errors)} if uncertainty else {}),
            "scoring": {
                "tolerance_mm": options.tolerance_mm,
                "missed_mm": "diagonal of the true heart",
            },
            "bootstrap": asdict(bootstrap),
            "penalties_mm": found.penalties_mm,
            "options": _recorded(options),
            "refinement": found.refined,
            "lacks": found.lacks,
            "remarks": {name: list(remarks) for name, remarks in found.remarks.items() if remarks},
            "provenance": _provenance(model, trained, inputs, hearts, found, options),
        }
        write_scores(out, found.rows, scores)
        views = _views(hearts, found, options)
        write_evaluation_page(out / "report.html", model, scores, views)
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


@dataclass(frozen=True, slots=True)
class _Scorer:
    """Reconstructs hearts with a model and scores them.

    Attributes:
        trained: The model.
        options: The options of the evaluation.
        uncertainty: Compares standard deviations with errors; None without an ensemble.
    """

    trained: TrainedModel
    options: EvaluateOptions
    uncertainty: EnsembleScoring | None = None

    def score(
        self, name: str, heart: ScoredHeart
    ) -> tuple[Reconstruction, HeartField, list[Score], HeartErrors]:
        """Score a heart: a row for each of the model's structures, and errors of hidden ones."""
        options, hide = self.options, self.options.encode.hide
        whole = heart.source.segmentation(self.trained.structures)
        # The model receives the heart without the hidden structures; the truth keeps them.
        geometry = whole.geometry(hide)
        field = encode_heart(geometry, self.trained, options.encode)
        supports = None if options.keep_specks else Support(geometry)
        reconstruction = Reconstruction(whole, field, geometry.label_map, supports)
        annotated = heart.annotated(whole)
        rows = score_reconstruction(
            name, reconstruction, annotated, options.tolerance_mm, options.meshes, hide
        )
        errors: HeartErrors = {}
        hidden = set(hide).intersection(annotated)
        if self.uncertainty and hidden:
            surfaces = reconstruction.surfaces
            errors = self.uncertainty.errors(
                name, reconstruction, geometry, surfaces, hidden, field.domain
            )
        return reconstruction, field, rows, errors

    def score_hidden(
        self, name: str, heart: ScoredHeart, whole: Reconstruction, hidden: str
    ) -> tuple[list[Score], HeartErrors]:
        """Hide one structure and score it: its row and its errors.

        Both are empty if the heart does not contain or annotate the structure, or contains nothing
        else to show.
        """
        there = structures_in(whole.segmentation)
        if len(there) == 1 or hidden not in there.intersection(heart.annotated(whole.segmentation)):
            return [], {}
        geometry = whole.segmentation.geometry([hidden])
        field = encode_heart(geometry, self.trained, self.options.encode)
        options = self.options
        supports = None if options.keep_specks else Support(geometry)
        # The specks of all structures, as another structure may fill the place of a speck.
        left = Reconstruction(whole.segmentation, field, supports=supports).speckless
        alone = Reconstruction(whole.segmentation, SingleStructureField(left, hidden))
        row = score_hidden_structure(name, whole, alone, options.tolerance_mm, options.meshes)
        errors: HeartErrors = {}
        if self.uncertainty:
            errors = self.uncertainty.errors(
                name, whole, geometry, alone.surfaces, [hidden], field.domain
            )
        return [row], errors


@dataclass(frozen=True, slots=True)
class _Found:
    """The scores of all hearts.

    Attributes:
        rows: A row per heart and structure.
        failed: Heart → reason, for hearts that could not be scored.
        penalties_mm: Heart → the distance that a missed structure counts as.
        fields: Heart → its field, if the model finds any structure.
        dice: Heart → structure → Dice of these fields, as in ``scores.json``.
        kept: Heart → its reconstruction, if the page is likely to show it.
        errors: Errors of the hidden structures of each heart, if there is an ensemble.
        remarks: Heart → remarks on its source.
        refined: Heart → what refinement gained; only hearts that were refined.
        lacks: Heart → what it lacks of a whole heart, in words; only hearts that lack something.
    """

    rows: list[Score]
    failed: dict[str, str]
    penalties_mm: dict[str, float]
    fields: dict[str, HeartField]
    dice: dict[str, dict[str, dict[str, Value]]]
    kept: dict[str, Reconstruction]
    errors: list[HeartErrors]
    remarks: dict[str, tuple[str, ...]]
    refined: dict[str, dict[str, Any]]
    lacks: dict[str, str]


def _score_all(hearts: dict[str, ScoredHeart], scorer: _Scorer) -> _Found:
    """Score hearts, with each structure hidden in turn if the options say so.

    ``hearts`` gets the label sets that the files describe.

    Raises:
        InputError: None of them can be scored.
    """
    found = _Found([], {}, {}, {}, {}, {}, [], {}, {}, {})
    turns = scorer.trained.structures if scorer.options.hide_each else ()
    each, unit = 1 + len(turns), "reconstructions" if turns else "hearts"
    with steps("scoring hearts", each * len(hearts), unit) as progress:
        for number, name in enumerate(list(hearts), start=1):
            progress.begin(name)
            try:
                heart = replace(hearts[name], source=hearts[name].source.resolved())
                # Without the contents of the file, which take much memory.
                described = replace(
                    hearts[name].source, label_set=heart.source.label_set, chosen=True
                )
                hearts[name] = replace(heart, source=described)
                reconstruction, field, rows, errors = scorer.score(name, heart)
                progress.advance(note=name)
                of_turns: list[Score] = []
                for hidden in turns:
                    progress.begin(f"{name} without {hidden}")
                    row, of_turn = scorer.score_hidden(name, heart, reconstruction, hidden)
                    of_turns += row
                    errors = {**errors, **of_turn}
                    progress.advance(note=f"{name} without {hidden}")
            except (InputError, MemoryError) as error:
                found.failed[name] = str(error)
                if isinstance(error, MemoryError):
                    found.failed[name] = f"{hearts[name].source.path}: {too_large(error)}"
                progress.reach(number * each, note=name)  # skips the turns that are left
                continue
            # Only now, so that a heart that fails in one of its turns leaves no rows.
            found.rows.extend([*rows, *of_turns])
            found.errors.append(errors)
            found.remarks[name] = reconstruction.segmentation.label_map.remarks
            if field.refinement:
                found.refined[name] = asdict(field.refinement)
            if field.lacks:
                found.lacks[name] = field.lacks
            found.penalties_mm[name] = penalty_mm(reconstruction.truth)
            if any(row.values["prediction_ml"] for row in rows):
                found.fields[name] = field
                found.dice[name] = {row.structure: {"dice": row.dice} for row in rows}
                found.kept[name] = reconstruction
                _forget(found.kept, found.dice)
    if not found.rows:
        raise InputError("\n".join(found.failed.values()))
    return found


def _forget(
    kept: dict[str, Reconstruction], dice: Mapping[str, Mapping[str, Mapping[str, Value]]]
) -> None:
    """Keep only reconstructions that the page is likely to show and that take little memory."""
    wanted = chosen(dice, 2 * SHOWN_HEARTS)
    for name in list(kept):
        if name not in wanted or max(kept[name].truth.shape) > PAGE_VOXELS:
            del kept[name]


def _views(
    hearts: Mapping[str, ScoredHeart], found: _Found, options: EvaluateOptions
) -> Iterable[HeartView]:
    """Yield the hearts of the page's viewer one by one, since each takes much memory."""
    for name in chosen(found.dice, SHOWN_HEARTS):
        heart, field = hearts[name], found.fields[name]
        # Large label maps were not kept, to save memory: evaluate the field on them again.
        reconstruction = found.kept.get(name) or _again(heart.source, field, options)
        observed = set(heart.annotated(reconstruction.segmentation)).difference(options.encode.hide)
        yield heart_view(name, reconstruction, field, found.dice[name], observed)


def _again(source: HeartSource, field: HeartField, options: EvaluateOptions) -> Reconstruction:
    whole = source.segmentation(field.structures)
    geometry = whole.geometry(options.encode.hide)
    supports = None if options.keep_specks else Support(geometry)
    return Reconstruction(whole, field, geometry.label_map, supports)


def _recorded(options: EvaluateOptions) -> dict[str, Any]:
    """Return the options that may change scores; None for the usual."""
    encode = options.encode
    return {
        "refine": encode.refine,
        "latents": encode.latents,
        "points": encode.points,
        "recycle": encode.recycle,
        "hide": list(encode.hide),
        "hide_each": options.hide_each,
        "keep_specks": options.keep_specks,
        "seed": encode.seed,
    }


def _provenance(
    model: Path,
    trained: TrainedModel,
    inputs: Sequence[Path],
    hearts: Mapping[str, ScoredHeart],
    found: _Found,
    options: EvaluateOptions,
) -> dict[str, Any]:
    """Return where the scores come from; warn if some hearts may be training hearts."""
    label_sets = sorted(
        {heart.source.label_set.name for heart in hearts.values() if heart.source.chosen}
    )
    made = trained.provenance
    seen = sorted(hearts.keys() & set(made["hearts"]))
    if seen:
        have = (
            "has the name of a training heart"
            if len(seen) == 1
            else "have names of training hearts"
        )
        warn(
            f"{len(seen)} of {counted(len(hearts), 'heart')} {have}, so these may not be scores of "
            "unseen hearts"
        )
    hidden = ", ".join(options.encode.hide) or "nothing"
    most = options.encode.refine_steps(whole=bool(found.refined))
    return {
        "model": str(model.resolve()),
        "trained on": f"{counted(len(made['hearts']), 'heart')} of {made['data']}",
        "training": f"{counted(made['steps'], 'step')}, seed {made['seed']}",
        "scored": ", ".join(str(path.resolve()) for path in inputs),
        "truth": f"the hearts as given, label set {', '.join(label_sets)}",
        "trained on among them": ", ".join(seen) or "none, by name",
        "grid": "every voxel of each label map's own grid",
        "hidden from the model": "each structure in turn" if options.hide_each else hidden,
        "recycled": counted(options.encode.recycle, "time"),
        "refined": f"{counted(len(found.refined), 'heart')}, {counted(most, 'step')} at most",
        "specks": "kept" if options.keep_specks else "removed where nothing observed supports them",
        "VecSetX": __version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
