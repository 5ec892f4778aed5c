"""The measures of a score: names in files and on pages, and perfect values."""

from dataclasses import dataclass

Value = int | float | None
"""Value of a measure; None if there is nothing to score."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of one structure.

    Attributes:
        name: Name in ``scores.json`` and ``scores.csv``, with its unit.
        title: Name on pages and in tables.
        perfect: Value if truth and prediction are the same; None for a measure that describes a
            structure without rating it.
        signed: Whether the value is a signed error, whose magnitude counts.
    """

    name: str
    title: str
    perfect: float | None
    signed: bool = False

    @property
    def higher_is_better(self) -> bool:
        """Whether the measure is an agreement (1 is perfect), not an error (0 is perfect)."""
        return self.perfect == 1.0


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("dice", "Dice", 1.0),
        Measure("iou", "IoU", 1.0),
        Measure("nsd", "NSD", 1.0),
        Measure("assd_mm", "ASSD (mm)", 0.0),
        Measure("hd95_mm", "HD95 (mm)", 0.0),
        Measure("cldice", "clDice", 1.0),
        Measure("volume_error_ml", "Volume error (ml)", 0.0, signed=True),
        Measure("volume_error_relative", "Relative volume error", 0.0, signed=True),
        Measure("piece_error", "Piece error", 0.0, signed=True),
        Measure("truth_ml", "True volume (ml)", None),
        Measure("prediction_ml", "Predicted volume (ml)", None),
        Measure("truth_pieces", "True pieces", None),
        Measure("prediction_pieces", "Predicted pieces", None),
        Measure("mesh_nsd", "NSD of the meshes", 1.0),
        Measure("mesh_assd_mm", "ASSD of the meshes (mm)", 0.0),
        Measure("mesh_hd95_mm", "HD95 of the meshes (mm)", 0.0),
        Measure("mesh_volume_error_ml", "Volume error of the meshes (ml)", 0.0, signed=True),
    )
}
"""All measures by name, in the order of columns."""
