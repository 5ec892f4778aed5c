"""``vecsetx evaluate``: reconstruct hearts and score them on their label maps' own grids."""

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx import __version__
from vecsetx.anatomy.labelmap import LabelMap
from vecsetx.anatomy.source import HeartSource
from vecsetx.data.dataset import DataSet
from vecsetx.data.split import Split
from vecsetx.errors import InputError
from vecsetx.evaluation.bootstrap import Bootstrap
from vecsetx.evaluation.heart import (
    TOLERANCE_MM,
    penalty_mm,
    score_label_maps,
    with_mesh_scores,
)
from vecsetx.evaluation.measures import Value
from vecsetx.evaluation.scores import Score, summarize, write_scores
from vecsetx.model.field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.pipeline.hearts import EncodeOptions, encode_heart, read_heart
from vecsetx.pipeline.inputs import find_hearts, source_of
from vecsetx.pipeline.progress import console, steps
from vecsetx.pipeline.reconstruct import heart_surfaces
from vecsetx.reconstruction.field import DistanceField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import Descent, descend
from vecsetx.reconstruction.surfaces import Surface, descent_surfaces, label_map_surfaces
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
        scores: As in ``scores.json``, without the provenance.
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

    Raises:
        InputError: The tolerance is none, the model or the inputs cannot be found, or no heart can
            be scored.
    """
    if not 0 < tolerance_mm < math.inf:
        raise InputError(f"the tolerance is a length in mm, above 0, and not {tolerance_mm:g}")
    trained = TrainedModel.from_pretrained(model)
    hearts = _hearts(inputs, split, fold, trained, options)
    rows: list[Score] = []
    fields: dict[str, HeartField] = {}
    dice: dict[str, dict[str, dict[str, Value]]] = {}
    kept: dict[str, Reconstruction] = {}
    penalties_mm: dict[str, float] = {}
    failed: dict[str, str] = {}
    with steps("scoring hearts", len(hearts), "hearts") as progress:
        for name, heart in hearts.items():
            try:
                truth, geometry = read_heart(heart.source, trained.structures, options.drop)
                field = encode_heart(geometry, trained, options)
                made = Reconstruction(heart.source, truth, field, geometry.label_map)
                scored = score_reconstruction(name, made, heart.annotated(), tolerance_mm, meshes)
            except InputError as error:
                failed[name] = str(error)
            else:
                rows += scored
                penalties_mm[name] = penalty_mm(truth)
                if any(row.values["prediction_ml"] for row in scored):
                    fields[name] = field
                    dice[name] = {row.structure: {"dice": row.dice} for row in scored}
                    kept = _worth_keeping({**kept, name: made}, dice)
            progress.advance(note=name)
    if not rows:
        raise InputError("\n".join(failed.values()))
    bootstrap = Bootstrap()
    scores = summarize(rows, bootstrap)
    provenance = _provenance(model, trained, inputs, options, hearts)
    scoring = {"tolerance_mm": tolerance_mm, "missed_mm": "diagonal of the true heart"}
    how = {"scoring": scoring, "bootstrap": asdict(bootstrap), "penalties_mm": penalties_mm}
    told = {**scores, **how, "provenance": provenance}
    write_scores(out, rows, told)
    views = (
        _view(
            name, kept.get(name) or _again(hearts[name].source, field, options), field, dice[name]
        )
        for name, field in ((name, fields[name]) for name in chosen(dice, SHOWN_HEARTS))
    )
    _write_page(out / "report.html", model, told, views)
    return Evaluated(scores, failed)


@dataclass(frozen=True)
class Reconstruction:
    """A heart and what a field makes of it on the grid of its truth; worked out once, when asked.

    Attributes:
        source: Where the heart comes from; if that is meshes, they are the truth of the meshes.
        truth: Its label map, labels 1…K in the order of the field's structures.
        field: The field.
        shown: What the model was shown, likewise; None if that was no label map.
    """

    source: HeartSource
    truth: LabelMap
    field: DistanceField
    shown: LabelMap | None = None

    @cached_property
    def descent(self) -> Descent:
        """The field on the grid."""
        return descend(self.field, Grid.of(self.truth))

    @cached_property
    def surfaces(self) -> dict[str, Surface]:
        """Structure → surface of the field."""
        return descent_surfaces(self.descent)

    @cached_property
    def true_surfaces(self) -> dict[str, Surface]:
        """Structure → the heart's own mesh, or the smoothed surface of its label map."""
        if self.source.kind != "meshes":
            return label_map_surfaces(self.truth, self.field.structures)
        own = self.source.surfaces(self.field.structures)
        return {
            name: Surface(vertices_mm.astype(np.float32), faces)
            for name, (vertices_mm, faces) in zip(self.field.structures, own, strict=True)
            if len(faces)
        }


def score_reconstruction(
    heart: str,
    made: Reconstruction,
    annotated: Sequence[str],
    tolerance_mm: float = TOLERANCE_MM,
    meshes: bool = True,
) -> list[Score]:
    """Score a reconstruction on the grid of the truth: its label map, and its meshes.

    Args:
        heart: The heart's name.
        made: The reconstruction.
        annotated: Structures that the source annotates.
        tolerance_mm: Of the normalised surface distance.
        meshes: Whether meshes are scored, too.

    Returns:
        A row per structure.

    Raises:
        InputError: The truth holds none of the structures.
    """
    truth, structures = made.truth, made.field.structures
    predicted = LabelMap(made.descent.labels, truth.affine)
    rows = score_label_maps(heart, truth, predicted, structures, annotated, tolerance_mm)
    if not meshes:
        return rows
    return with_mesh_scores(
        rows, made.true_surfaces, made.surfaces, penalty_mm(truth), tolerance_mm
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


def _worth_keeping(
    made: Mapping[str, Reconstruction], dice: Mapping[str, Mapping[str, Mapping[str, Value]]]
) -> dict[str, Reconstruction]:
    """Those that the page may well show in the end, as far as they take little memory."""
    wanted = chosen(dice, 2 * SHOWN_HEARTS)
    return {
        name: one
        for name, one in made.items()
        if name in wanted and max(one.truth.shape) <= _PAGE_VOXELS
    }


def _again(source: HeartSource, field: HeartField, options: EncodeOptions) -> Reconstruction:
    truth, geometry = read_heart(source, field.structures, options.drop)
    return Reconstruction(source, truth, field, geometry.label_map)


def _view(
    name: str,
    made: Reconstruction,
    field: HeartField,
    found: Mapping[str, Mapping[str, Value]],
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
    options: EncodeOptions,
    hearts: Mapping[str, _Heart],
) -> dict[str, Any]:
    label_sets = sorted({heart.source.label_set.name for heart in hearts.values()})
    seen = sorted(hearts.keys() & set(trained.provenance["hearts"]))
    if seen:
        console.print(
            f"[yellow]{len(seen)} of {len(hearts)} hearts bear names of training hearts, so these "
            "may not be scores of unseen hearts[/]"
        )
    return {
        "model": str(model.resolve()),
        "trained on": f"{len(trained.provenance['hearts'])} hearts of {trained.provenance['data']}",
        "training": f"{trained.provenance['steps']} steps, seed {trained.provenance['seed']}",
        "scored": ", ".join(str(path.resolve()) for path in inputs),
        "truth": f"the hearts as given, label set {', '.join(label_sets)}",
        "trained on among them": ", ".join(seen) or "none, by name",
        "grid": "every voxel of each label map's own grid",
        "hidden from the model": ", ".join(options.drop) or "nothing",
        "VecSetX": __version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
