"""Measure the errors of one heart of a cohort, for a calibration."""

from dataclasses import dataclass
from typing import Any, ClassVar

from vecsetx.cohort.identity import plain_entry
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.evaluation.heart_measurement import HeartMeasurement
from vecsetx.evaluation.hidden_structures import SPACING_MM, measure_heart
from vecsetx.workers.heart_work import HeartWork

__all__ = ["Calibrating"]


@dataclass(frozen=True, slots=True)
class Calibrating(HeartWork[DataSet, HeartMeasurement]):
    """Measures the errors of structures that are hidden in turn; takes data sets of one heart.

    Attributes:
        model: The model.
        members: Number of ensemble members per heart and hidden structure.
        seed: Seed of everything that is drawn.
    """

    name: ClassVar[str] = "calibrate"

    model: WorkingModel
    members: int
    seed: int

    def setting(self) -> dict[str, Any]:
        """Return the model, the members and their seed."""
        return {
            "model": self.model.to_dict(),
            "members": self.members,
            "seed": self.seed,
            "mesh_resolution_mm": SPACING_MM,
        }

    def identity(self, heart: DataSet) -> dict[str, Any]:
        """Return the data set's heart and its source."""
        return plain_entry(heart)

    def make(self, heart: DataSet) -> HeartMeasurement:
        """Measure the only heart of a data set.

        Raises:
            InputError: It cannot be read.
        """
        (entry,) = heart.hearts
        try:
            return measure_heart(heart, entry, self.model.trained(), self.members, self.seed)
        except InputError as error:
            raise InputError(f"{entry.source}: {error}") from error

    def to_record(self, result: HeartMeasurement) -> Any:
        """Return the errors as plain data."""
        return result.to_dict()

    def of_record(self, record: Any) -> HeartMeasurement:
        """Return the errors from plain data."""
        return HeartMeasurement.from_dict(record)
