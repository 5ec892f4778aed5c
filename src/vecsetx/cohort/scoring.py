"""Score one heart of a cohort."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from pydantic import TypeAdapter

from vecsetx.cohort.identity import plain_encoding, plain_sd_factor, plain_source
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.evaluation.heart_measurement import errors_of_plain, plain_errors
from vecsetx.evaluation.heart_scores import penalty_mm
from vecsetx.evaluation.inputs import EvaluateOptions, ScoredHeart, structures_in
from vecsetx.evaluation.reconstruction_scores import (
    Reconstruction,
    SingleStructureField,
    score_hidden_structure,
    score_reconstruction,
)
from vecsetx.evaluation.scores import Score
from vecsetx.evaluation.uncertainty import EnsembleScoring, HeartErrors
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.inference.support import Support
from vecsetx.model.heart_field import HeartField, RefinementResult
from vecsetx.plain_data import validated
from vecsetx.progress import counted_parts, stage
from vecsetx.report.evaluation_page import PAGE_VOXELS, heart_view
from vecsetx.report.scene import HeartView
from vecsetx.workers.heart_work import HeartWork

__all__ = ["FoundScores", "Scoring"]


@dataclass(frozen=True, slots=True)
class FoundScores:
    """What is found of one heart.

    Attributes:
        rows: Its scores: a row per structure, and one per structure that was hidden in turn.
        penalty_mm: The distance that a missed structure counts as.
        found: Whether the model finds any structure.
        label_set: Name of the label set that it was read with.
        errors: Errors of hidden structures, if there is an ensemble.
        remarks: Notes for the user on its source.
        refined: What refinement gained; None if it was not refined.
        lacks: What the heart lacks of a whole one, in words; empty if it is whole.
        view: The heart as the page shows it, if that took no further work; records lack it.
    """

    rows: list[Score]
    penalty_mm: float
    found: bool
    label_set: str
    errors: HeartErrors
    remarks: tuple[str, ...]
    refined: dict[str, Any] | None
    lacks: str
    view: HeartView | None = None

    @property
    def dice(self) -> dict[str, dict[str, Any]]:
        """Structure → its Dice where it was observed, as in ``scores.json``."""
        once = {row.structure: {"dice": row.dice} for row in reversed(self.rows)}
        return {row.structure: once[row.structure] for row in self.rows}


@dataclass(frozen=True, slots=True)
class Scoring(HeartWork[ScoredHeart, FoundScores]):
    """Reconstructs hearts and scores them on the grids of their truths.

    Attributes:
        model: The model.
        options: The options of the evaluation.
        sd_factor: The model's calibration factors; None without an ensemble or if it is
            uncalibrated.
        few: Whether all hearts are so few that the page shows each.
    """

    name: ClassVar[str] = "evaluate"

    model: WorkingModel
    options: EvaluateOptions
    sd_factor: SdFactor | None
    few: bool = False

    def setting(self) -> dict[str, Any]:
        """Return the model and the options."""
        options = asdict(replace(self.options, encode=EncodeOptions(), calibration=None))
        return {
            "model": self.model.to_dict(),
            "options": options | {"encode": plain_encoding(self.options.encode)},
            "sd_factor": plain_sd_factor(self.sd_factor),
        }

    def identity(self, heart: ScoredHeart) -> dict[str, Any]:
        """Return the heart's source, and what it annotates."""
        named = None if heart.named is None else list(heart.named)
        return plain_source(heart.source) | {"annotated": named}

    def make(self, heart: ScoredHeart) -> FoundScores:
        """Score a heart, with each structure hidden in turn if the options say so.

        Raises:
            InputError: It cannot be read or encoded, or holds none of the model's structures.
        """
        heart = replace(heart, source=heart.source.resolved())
        reconstruction, field, rows, errors = self._score(heart)
        turns = self.model.trained().structures if self.options.hide_each else ()
        hidden_rows: list[Score] = []
        for hidden in counted_parts(turns, "hiding structures") if turns else ():
            row, of_turn = self._score_hidden(heart, reconstruction, hidden)
            hidden_rows += row
            errors = {**errors, **of_turn}
        found = FoundScores(
            rows=[*rows, *hidden_rows],
            penalty_mm=penalty_mm(reconstruction.truth),
            found=any(row.values["prediction_ml"] for row in rows),
            label_set=heart.source.label_set.name,
            errors=errors,
            remarks=reconstruction.segmentation.label_map.remarks,
            refined=asdict(field.refinement) if field.refinement else None,
            lacks=field.lacks,
        )
        is_small = max(reconstruction.truth.shape) <= PAGE_VOXELS
        # Without scores of meshes, surfaces are made only for hearts that the page shows.
        if found.found and (self.few or (self.options.meshes and is_small)):
            view = self._view(heart, reconstruction, field, found.dice)
            return replace(found, view=view)
        return found

    def view(self, heart: ScoredHeart, dice: Mapping[str, Mapping[str, Any]]) -> HeartView:
        """Return a heart as the page shows it, after reconstructing it again.

        Args:
            heart: The heart.
            dice: Its scores, as of :attr:`FoundScores.dice`.

        Raises:
            InputError: It cannot be read any more.
        """
        heart = replace(heart, source=heart.source.resolved())
        reconstruction, field, _ = self._reconstructed(heart)
        return self._view(heart, reconstruction, field, dice)

    def to_record(self, result: FoundScores) -> Any:
        """Return plain data of all but the view."""
        return asdict(replace(result, errors={}, view=None)) | {
            "errors": plain_errors(result.errors)
        }

    def of_record(self, record: Any) -> FoundScores:
        """Return a result without view from plain data."""
        refined = validated(_REFINED.validate_python, record["refined"])
        return FoundScores(
            rows=validated(_SCORES.validate_python, record["rows"]),
            penalty_mm=float(record["penalty_mm"]),
            found=bool(record["found"]),
            label_set=str(record["label_set"]),
            errors=errors_of_plain(record["errors"]),
            remarks=validated(_REMARKS.validate_python, record["remarks"]),
            refined=asdict(refined) if refined else None,
            lacks=str(record["lacks"]),
        )

    def _view(
        self,
        heart: ScoredHeart,
        reconstruction: Reconstruction,
        field: HeartField,
        dice: Mapping[str, Mapping[str, Any]],
    ) -> HeartView:
        annotated = heart.annotated(reconstruction.segmentation)
        observed = set(annotated).difference(self.options.encode.hide)
        return heart_view(heart.source.name, reconstruction, field, dice, observed)

    def _reconstructed(self, heart: ScoredHeart) -> tuple[Reconstruction, HeartField, Geometry]:
        trained, options = self.model.trained(), self.options
        with stage("reading"):
            whole = heart.source.segmentation(trained.structures)
            # The model receives the heart without the hidden structures; the truth keeps them.
            geometry = whole.geometry(options.encode.hide)
        field = encode_heart(geometry, trained, options.encode)
        supports = None if options.keep_specks else Support(geometry, field.limit is not None)
        return Reconstruction(whole, field, geometry.label_map, supports), field, geometry

    def _score(
        self, heart: ScoredHeart
    ) -> tuple[Reconstruction, HeartField, list[Score], HeartErrors]:
        """Score a heart: a row for each of the model's structures, and errors of hidden ones."""
        options, hide, name = self.options, self.options.encode.hide, heart.source.name
        reconstruction, field, geometry = self._reconstructed(heart)
        whole = reconstruction.segmentation
        annotated = heart.annotated(whole)
        rows = score_reconstruction(
            name, reconstruction, annotated, options.tolerance_mm, options.meshes, hide
        )
        errors: HeartErrors = {}
        hidden = set(hide).intersection(annotated)
        if options.ensemble and hidden:
            surfaces = reconstruction.surfaces
            errors = self._uncertainty().errors(
                name, reconstruction, geometry, surfaces, hidden, field.domain
            )
        return reconstruction, field, rows, errors

    def _score_hidden(
        self, heart: ScoredHeart, whole: Reconstruction, hidden: str
    ) -> tuple[list[Score], HeartErrors]:
        """Hide one structure and score it: its row and its errors.

        Both are empty if the heart does not contain or annotate the structure, or contains nothing
        else to show.
        """
        there = structures_in(whole.segmentation)
        if len(there) == 1 or hidden not in there.intersection(heart.annotated(whole.segmentation)):
            return [], {}
        geometry = whole.segmentation.geometry([hidden])
        options, name = self.options, heart.source.name
        field = encode_heart(geometry, self.model.trained(), options.encode)
        supports = None if options.keep_specks else Support(geometry, field.limit is not None)
        # The specks of all structures, as another structure may fill the place of a speck.
        left = Reconstruction(whole.segmentation, field, supports=supports).speckless
        alone = Reconstruction(whole.segmentation, SingleStructureField(left, hidden))
        row = score_hidden_structure(name, whole, alone, options.tolerance_mm, options.meshes)
        errors: HeartErrors = {}
        if options.ensemble:
            errors = self._uncertainty().errors(
                name, whole, geometry, alone.surfaces, [hidden], field.domain
            )
        return [row], errors

    def _uncertainty(self) -> EnsembleScoring:
        options = self.options
        return EnsembleScoring(
            self.model.trained(), options.ensemble, options.encode.seed, self.sd_factor
        )


_SCORES = TypeAdapter(list[Score])
_REMARKS = TypeAdapter(tuple[str, ...])
_REFINED = TypeAdapter(RefinementResult | None)
