"""``vecsetx evaluate``: reconstruct hearts and score them on their label maps' own grids."""

import datetime
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vecsetx import __version__
from vecsetx.anatomy.labelmap import LabelMap
from vecsetx.anatomy.source import HeartSource
from vecsetx.data.dataset import DataSet
from vecsetx.data.split import Split
from vecsetx.errors import InputError
from vecsetx.evaluation.scores import Score, score_heart, summarize, write_scores
from vecsetx.model.field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.pipeline.hearts import EncodeOptions, encode_heart, read_heart
from vecsetx.pipeline.inputs import find_hearts, source_of
from vecsetx.pipeline.progress import console, steps
from vecsetx.pipeline.reconstruct import heart_surfaces
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.surfaces import label_map_surfaces
from vecsetx.report.page import Report, write_report
from vecsetx.report.scene import HeartView
from vecsetx.training.journal import read_journal

SHOWN_HEARTS = 3
"""Hearts to turn in 3-D on the page."""

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

    Raises:
        InputError: The model or the inputs cannot be found, or no heart can be scored.
    """
    trained = TrainedModel.from_pretrained(model)
    hearts = _hearts(inputs, split, fold, trained, options)
    rows: list[Score] = []
    views: list[HeartView] = []
    failed: dict[str, str] = {}
    with steps("scoring hearts", len(hearts), "hearts") as progress:
        for name, heart in hearts.items():
            try:
                truth, geometry = read_heart(heart.source, trained.structures, options.drop)
                field = encode_heart(geometry, trained, options)
                predicted = rasterize(field, truth)
            except InputError as error:
                failed[name] = str(error)
            else:
                scored = _score(name, truth, predicted, trained, heart.annotated)
                rows += scored
                if len(views) < SHOWN_HEARTS and predicted.labels.any():
                    views.append(_view(name, truth, field, scored))
            progress.advance(note=name)
    if not rows:
        raise InputError("\n".join(failed.values()))
    provenance = _provenance(model, trained, inputs, options, hearts)
    write_scores(out, rows, provenance)
    scores = summarize(rows)
    report = Report(
        title="Reconstructed hearts",
        scores={**scores, "provenance": provenance},
        history=read_journal(model / "metrics.jsonl"),
        hearts=views,
        provenance={key: str(value) for key, value in provenance.items()},
    )
    write_report(out / "report.html", report)
    return Evaluated(scores, failed)


@dataclass(frozen=True, slots=True)
class _Heart:
    """A heart to score, and the structures that its label map annotates."""

    source: HeartSource
    annotated: tuple[str, ...]


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
    return {name: _Heart(source, source.label_set.structures) for name, source in found.items()}


def _relabelled(source: HeartSource, options: EncodeOptions) -> HeartSource:
    return replace(source, label_set=options.label_set) if options.label_set else source


def _score(
    name: str,
    truth: LabelMap,
    predicted: LabelMap,
    trained: TrainedModel,
    annotated: tuple[str, ...],
) -> list[Score]:
    """Scores of one heart; none for structures that it does not annotate at all."""
    return [
        score if score.structure in annotated else replace(score, dice=None, iou=None)
        for score in score_heart(name, truth.labels, predicted.labels, trained.structures)
    ]


def _view(name: str, truth: LabelMap, field: HeartField, scored: list[Score]) -> HeartView:
    known = [score.dice for score in scored if score.dice is not None]
    return HeartView(
        name,
        label_map_surfaces(truth, field.structures),
        heart_surfaces(field, _PAGE_RESOLUTION),
        statistics.fmean(known) if known else math.nan,
    )


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
