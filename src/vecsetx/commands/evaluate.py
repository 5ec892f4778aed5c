"""``vecsetx evaluate``: reconstruct hearts and score them on their label maps' own grids."""

import datetime
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx._version import __version__
from vecsetx.commands.progress import steps, warn
from vecsetx.data.dataset import DataSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.sources import HeartSource, source_of
from vecsetx.data.split import Split
from vecsetx.errors import InputError
from vecsetx.evaluation.bootstrap import Bootstrap
from vecsetx.evaluation.heart_scores import TOLERANCE_MM, penalty_mm
from vecsetx.evaluation.reconstruction_scores import (
    Reconstruction,
    SingleStructureField,
    score_hidden_structure,
    score_reconstruction,
)
from vecsetx.evaluation.score_measures import Value
from vecsetx.evaluation.scores import Score, summarize, write_scores
from vecsetx.evaluation.uncertainty import EnsembleScoring, HeartErrors
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.inference.ensemble import refuse_recycled_ensemble
from vecsetx.inference.heart_meshes import heart_surfaces
from vecsetx.inference.sd_factor import sd_factor_of
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.report.page import Report, write_report
from vecsetx.report.ranking import chosen, mean_dice
from vecsetx.report.scene import HeartView
from vecsetx.training.journal import read_journal

SHOWN_HEARTS = 6
"""Hearts to turn in 3-D on the page: the best, the median, the worst and some between."""

_PAGE_RESOLUTION, _PAGE_VOXELS = 128, 160
"""Voxels along the heart on the page; and along the longest side of the truth's grid, up to which
the page shows the very surfaces of that grid."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What became of an evaluation.

    Attributes:
        scores: As in ``scores.json``.
        failed: Heart → reason, for hearts that could not be scored.
    """

    scores: dict[str, Any]
    failed: dict[str, str]


def evaluate(
    model: Path,
    inputs: Sequence[Path],
    out: Path,
    split: Split,
    options: EncodeOptions,
    fold: int | None = None,
    tolerance_mm: float = TOLERANCE_MM,
    meshes: bool = True,
    drop_each: bool = False,
    ensemble: int = 0,
) -> Evaluated:
    """Score a model; writes ``scores.csv``, ``scores.json`` and ``report.html`` into ``out``.

    Args:
        model: A run's folder or a saved model's.
        inputs: One prepared data set, of which ``split`` is scored on the label maps it was made
            from, or hearts of any kind.
        out: Where to write.
        split: The split of a data set.
        options: How hearts are shown to the model. The truth is always the whole heart.
        fold: A fold of the data set, whose hearts are ``val``; None for its own split.
        tolerance_mm: Of the normalised surface distance.
        meshes: Whether meshes are scored, too: the true surfaces, and the model's on the grid of
            the truth.
        drop_each: Whether every heart is shown again without each of its structures in turn, which
            alone is scored then, as inferred.
        ensemble: Members the latent set, by which the model says how sure it is of the structures
            that are hidden from it; 0 for none.

    Raises:
        InputError: The tolerance is none, structures are to be dropped both at once and in turn,
            or none although hearts are drawn, the model or the inputs cannot be found, no heart
            can be scored, or hearts are drawn and the model was calibrated on all of them.
    """
    _refuse_contradictions(tolerance_mm, options.drop, drop_each, ensemble)
    refuse_recycled_ensemble(ensemble, options)
    trained = TrainedModel.from_pretrained(model)
    hearts = _hearts(inputs, split, fold, trained, options)
    drawing = None
    if ensemble:
        drawing = EnsembleScoring(trained, ensemble, options.seed, sd_factor_of(model, trained))
        drawing.check_hearts(hearts)
    scoring = _Scoring(trained, options, tolerance_mm, meshes, drawing)
    found = _scored(hearts, scoring, drop_each)
    bootstrap = Bootstrap()
    scores = summarize(found.rows, bootstrap)
    hidden = "each structure in turn" if drop_each else ", ".join(options.drop) or "nothing"
    told = {
        **scores,
        **({"calibration": drawing.summary(found.errors)} if drawing else {}),
        "scoring": {"tolerance_mm": tolerance_mm, "missed_mm": "diagonal of the true heart"},
        "bootstrap": asdict(bootstrap),
        "penalties_mm": found.penalties_mm,
        "provenance": _provenance(model, trained, inputs, hidden, hearts, options),
    }
    write_scores(out, found.rows, told)
    views = (
        _view(
            name,
            found.kept.get(name) or _again(hearts[name].source, found.fields[name], options),
            found.fields[name],
            found.dice[name],
            set(hearts[name].annotated()).difference(options.drop),
        )
        for name in chosen(found.dice, SHOWN_HEARTS)
    )
    _write_page(out / "report.html", model, told, views)
    return Evaluated(told, found.failed)


def _refuse_contradictions(
    tolerance_mm: float, drop: Sequence[str], drop_each: bool, ensemble: int
) -> None:
    if not 0 < tolerance_mm < math.inf:
        raise InputError(f"the tolerance is a length in mm, above 0, and not {tolerance_mm:g}")
    if drop_each and drop:
        raise InputError(
            f"--drop {','.join(drop)} and --drop-each exclude each other: the one hides "
            "structures together, the other hides all of them, one at a time"
        )
    if ensemble and not (drop or drop_each):
        raise InputError(
            f"--ensemble {ensemble}: measures the uncertainty of structures hidden from the model, "
            "and none are; add --drop-each, or --drop with their names"
        )


@dataclass(frozen=True, slots=True)
class _Heart:
    """A heart to score.

    Attributes:
        source: Where it comes from.
        named: Structures that it annotates, as far as a data set says so.
    """

    source: HeartSource
    named: tuple[str, ...] | None = None

    def annotated(self) -> tuple[str, ...]:
        """Structures that it annotates: all of its label set's, if nothing says otherwise."""
        named = self.source.annotated() if self.named is None else self.named
        return self.source.label_set.structures if named is None else named


@dataclass(frozen=True, slots=True)
class _Scoring:
    """How hearts are shown to a model and scored.

    Attributes:
        trained: The model.
        options: How hearts are shown to it.
        tolerance_mm: Of the normalised surface distance.
        meshes: Whether meshes are scored, too.
        drawing: How they are drawn; None if they are not.
    """

    trained: TrainedModel
    options: EncodeOptions
    tolerance_mm: float
    meshes: bool
    drawing: EnsembleScoring | None = None

    def of_heart(
        self, name: str, heart: _Heart
    ) -> tuple[Reconstruction, HeartField, list[Score], HeartErrors]:
        """A heart's reconstruction, a row for each of the model's structures, and the errors."""
        whole = heart.source.segmentation(self.trained.structures)
        geometry = whole.geometry(self.options.drop)
        field = encode_heart(geometry, self.trained, self.options)
        made = Reconstruction(whole, field, geometry.label_map)
        how = self.tolerance_mm, self.meshes, self.options.drop
        rows = score_reconstruction(name, made, heart.annotated(), *how)
        errors: HeartErrors = {}
        hidden = set(self.options.drop).intersection(heart.annotated())
        if self.drawing and hidden:
            errors = self.drawing.errors(name, made, geometry, made.surfaces, hidden, field.domain)
        return made, field, rows, errors

    def of_turn(
        self, name: str, heart: _Heart, whole: Reconstruction, left_out: str
    ) -> tuple[list[Score], HeartErrors]:
        """The row and the errors of one structure that the model is not shown this time.

        There are none where the heart does not have or annotate it, or has nothing else to show.
        """
        structures = self.trained.structures
        there = {structures[label - 1] for label in np.unique(whole.truth.labels).tolist() if label}
        if len(there) == 1 or left_out not in there.intersection(heart.annotated()):
            return [], {}
        geometry = whole.segmentation.geometry([left_out])
        field = encode_heart(geometry, self.trained, self.options)
        alone = Reconstruction(whole.segmentation, SingleStructureField(field, left_out))
        row = score_hidden_structure(name, whole, alone, self.tolerance_mm, self.meshes)
        errors: HeartErrors = {}
        if self.drawing:
            errors = self.drawing.errors(
                name, whole, geometry, alone.surfaces, [left_out], field.domain
            )
        return [row], errors


@dataclass(frozen=True, slots=True)
class _Scored:
    """All hearts, scored.

    Attributes:
        rows: Their scores.
        failed: Heart → reason, for hearts that could not be scored.
        penalties_mm: Heart → what a missed structure counts as a distance.
        fields: Heart → its field, if the model finds anything there.
        dice: Heart → structure → Dice of these fields, as in ``scores.json``.
        kept: Those reconstructions that the page may well show.
        errors: Of each heart, those of what was hidden from it, if hearts are drawn.
    """

    rows: list[Score]
    failed: dict[str, str]
    penalties_mm: dict[str, float]
    fields: dict[str, HeartField]
    dice: dict[str, dict[str, dict[str, Value]]]
    kept: dict[str, Reconstruction]
    errors: list[HeartErrors]


def _scored(hearts: Mapping[str, _Heart], scoring: _Scoring, drop_each: bool) -> _Scored:
    """Score hearts, and where ``drop_each`` says so, without each structure in turn.

    Raises:
        InputError: None of them can be scored.
    """
    found = _Scored([], {}, {}, {}, {}, {}, [])
    turns = scoring.trained.structures if drop_each else ()
    each, unit = 1 + len(turns), "reconstructions" if turns else "hearts"
    with steps("scoring hearts", each * len(hearts), unit) as progress:
        for number, (name, heart) in enumerate(hearts.items(), start=1):
            try:
                made, field, rows, errors = scoring.of_heart(name, heart)
                progress.advance(note=name)
                of_turns: list[Score] = []
                for left_out in turns:
                    row, of_turn = scoring.of_turn(name, heart, made, left_out)
                    of_turns += row
                    errors = {**errors, **of_turn}
                    progress.advance(note=f"{name} without {left_out}")
            except InputError as error:
                found.failed[name] = str(error)
                progress.reach(number * each, note=name)
                continue
            found.rows.extend([*rows, *of_turns])
            found.errors.append(errors)
            found.penalties_mm[name] = penalty_mm(made.truth)
            if any(row.values["prediction_ml"] for row in rows):
                found.fields[name] = field
                found.dice[name] = {row.structure: {"dice": row.dice} for row in rows}
                found.kept[name] = made
                _forget(found.kept, found.dice)
    if not found.rows:
        raise InputError("\n".join(found.failed.values()))
    return found


def _hearts(
    inputs: Sequence[Path],
    split: Split,
    fold: int | None,
    trained: TrainedModel,
    options: EncodeOptions,
) -> dict[str, _Heart]:
    if len(inputs) == 1 and DataSet.is_at(inputs[0]):
        dataset = DataSet.read(inputs[0])
        hearts = {
            entry.name: _Heart(_relabelled(source_of(dataset, entry), options), entry.annotated)
            for entry in dataset.of_split(split, fold)
        }
        if not hearts:
            raise InputError(f"{inputs[0]}: has no hearts in split {split!r}")
        return hearts
    found = find_hearts(inputs, options.label_set or trained.label_set)
    return {name: _Heart(source) for name, source in found.items()}


def _relabelled(source: HeartSource, options: EncodeOptions) -> HeartSource:
    return replace(source, label_set=options.label_set) if options.label_set else source


def _forget(
    made: dict[str, Reconstruction], dice: Mapping[str, Mapping[str, Mapping[str, Value]]]
) -> None:
    """Keep those that the page may well show in the end, as far as they take little memory."""
    wanted = chosen(dice, 2 * SHOWN_HEARTS)
    for name in list(made):
        if name not in wanted or max(made[name].truth.shape) > _PAGE_VOXELS:
            del made[name]


def _again(source: HeartSource, field: HeartField, options: EncodeOptions) -> Reconstruction:
    whole = source.segmentation(field.structures)
    return Reconstruction(whole, field, whole.geometry(options.drop).label_map)


def _view(
    name: str,
    made: Reconstruction,
    field: HeartField,
    found: Mapping[str, Mapping[str, Value]],
    observed: Collection[str],
) -> HeartView:
    as_scored = max(made.truth.shape) <= _PAGE_VOXELS
    dice = mean_dice(found)
    return HeartView(
        name,
        truth=made.true_surfaces,
        reconstruction=made.surfaces if as_scored else heart_surfaces(field, _PAGE_RESOLUTION),
        dice=math.nan if dice is None else dice,
        shown=made.shown,
        structures=field.structures,
        inferred=tuple(name for name in field.structures if name not in observed),
    )


def _write_page(
    path: Path,
    model: Path,
    scores: dict[str, Any],
    views: Iterable[HeartView],
) -> None:
    report = Report(
        title="Reconstructed hearts",
        scores=scores,
        history=read_journal(model / "metrics.jsonl"),
        hearts=views,
        provenance={key: str(value) for key, value in scores["provenance"].items()},
    )
    write_report(path, report)


def _provenance(
    model: Path,
    trained: TrainedModel,
    inputs: Sequence[Path],
    hidden: str,
    hearts: Mapping[str, _Heart],
    options: EncodeOptions,
) -> dict[str, Any]:
    label_sets = sorted({heart.source.label_set.name for heart in hearts.values()})
    seen = sorted(hearts.keys() & set(trained.provenance["hearts"]))
    if seen:
        warn(
            f"{len(seen)} of {len(hearts)} hearts have names of training hearts, so these may not "
            "be scores of unseen hearts"
        )
    return {
        "model": str(model.resolve()),
        "trained on": f"{len(trained.provenance['hearts'])} hearts of {trained.provenance['data']}",
        "training": f"{trained.provenance['steps']} steps, seed {trained.provenance['seed']}",
        "scored": ", ".join(str(path.resolve()) for path in inputs),
        "truth": f"the hearts as given, label set {', '.join(label_sets)}",
        "trained on among them": ", ".join(seen) or "none, by name",
        "grid": "every voxel of each label map's own grid",
        "hidden from the model": hidden,
        "recycled": f"{options.recycle} times",
        "refined": f"in {options.refine} steps at most",
        "VecSetX": __version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
