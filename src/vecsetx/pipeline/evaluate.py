"""``vecsetx evaluate``: reconstruct hearts and score them on their label maps' own grids."""

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
from vecsetx.evaluation.scores import Score, summarize, write_scores
from vecsetx.model.field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.pipeline.hearts import EncodeOptions, encode_heart, read_heart
from vecsetx.pipeline.inputs import find_hearts, source_of
from vecsetx.pipeline.progress import console, steps
from vecsetx.pipeline.reconstruct import heart_surfaces
from vecsetx.reconstruction.field import DistanceField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import descend
from vecsetx.reconstruction.surfaces import Surface, descent_surfaces, label_map_surfaces
from vecsetx.report.page import Report, write_report
from vecsetx.report.ranking import chosen, mean_dice
from vecsetx.report.scene import HeartView
from vecsetx.training.journal import read_journal

SHOWN_HEARTS = 6
"""Hearts to turn in 3-D on the page: the best, the median, the worst and some between."""

_PAGE_RESOLUTION = 128


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
    penalties_mm: dict[str, float] = {}
    failed: dict[str, str] = {}
    with steps("scoring hearts", len(hearts), "hearts") as progress:
        for name, heart in hearts.items():
            try:
                truth, geometry = read_heart(heart.source, trained.structures, options.drop)
                field = encode_heart(geometry, trained, options)
                scored = score_field(
                    name, heart.source, heart.annotated(), truth, field, tolerance_mm, meshes
                )
            except InputError as error:
                failed[name] = str(error)
            else:
                rows += scored
                penalties_mm[name] = penalty_mm(truth)
                if any(row.values["prediction_ml"] for row in scored):
                    fields[name] = field
            progress.advance(note=name)
    if not rows:
        raise InputError("\n".join(failed.values()))
    bootstrap = Bootstrap()
    scores = summarize(rows, bootstrap)
    provenance = _provenance(model, trained, inputs, options, hearts)
    scoring = {"tolerance_mm": tolerance_mm, "missed_mm": "diagonal of the true heart"}
    how = {"scoring": scoring, "bootstrap": asdict(bootstrap), "penalties_mm": penalties_mm}
    write_scores(out, rows, {**scores, **how, "provenance": provenance})
    shown = chosen({name: scores["hearts"][name] for name in fields}, SHOWN_HEARTS)
    views = (_view(hearts[name].source, fields[name], options.drop, name, scores) for name in shown)
    _write_page(out / "report.html", model, scores, views, provenance)
    return Evaluated(scores, failed)


def score_field(
    heart: str,
    source: HeartSource,
    annotated: Sequence[str],
    truth: LabelMap,
    field: DistanceField,
    tolerance_mm: float = TOLERANCE_MM,
    meshes: bool = True,
) -> list[Score]:
    """Score a field on the grid of the truth: its label map, and its meshes.

    Args:
        heart: The heart's name.
        source: Where it comes from; if that is meshes, they are the truth of the meshes.
        annotated: Structures that the source annotates.
        truth: Its label map, labels 1…K in the order of the field's structures.
        field: The reconstruction.
        tolerance_mm: Of the normalised surface distance.
        meshes: Whether meshes are scored, too.

    Returns:
        A row per structure.

    Raises:
        InputError: The truth holds none of the structures.
    """
    descent = descend(field, Grid.of(truth))
    predicted = LabelMap(descent.labels, truth.affine)
    rows = score_label_maps(heart, truth, predicted, field.structures, annotated, tolerance_mm)
    if not meshes:
        return rows
    true_surfaces = _true_surfaces(source, truth, field.structures)
    return with_mesh_scores(
        rows, true_surfaces, descent_surfaces(descent), penalty_mm(truth), tolerance_mm
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


def _true_surfaces(
    source: HeartSource, truth: LabelMap, structures: tuple[str, ...]
) -> dict[str, Surface]:
    """A heart's own meshes, or the smoothed surfaces of its label map."""
    if source.kind != "meshes":
        return label_map_surfaces(truth, structures)
    closed = zip(structures, source.surfaces(structures), strict=True)
    return {
        name: Surface(vertices_mm.astype(np.float32), faces)
        for name, (vertices_mm, faces) in closed
        if len(faces)
    }


def _view(
    source: HeartSource,
    field: HeartField,
    drop: tuple[str, ...],
    name: str,
    scores: dict[str, Any],
) -> HeartView:
    truth, geometry = read_heart(source, field.structures, drop)
    dice = mean_dice(scores["hearts"][name])
    return HeartView(
        name,
        truth=_true_surfaces(source, truth, field.structures),
        reconstruction=heart_surfaces(field, _PAGE_RESOLUTION),
        dice=math.nan if dice is None else dice,
        shown=geometry.label_map,
        structures=field.structures,
    )


def _write_page(
    path: Path,
    model: Path,
    scores: dict[str, Any],
    views: Iterable[HeartView],
    provenance: dict[str, Any],
) -> None:
    report = Report(
        title="Reconstructed hearts",
        scores={**scores, "provenance": provenance},
        history=read_journal(model / "metrics.jsonl"),
        hearts=views,
        provenance={key: str(value) for key, value in provenance.items()},
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
