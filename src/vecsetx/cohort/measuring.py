"""Measure one heart of a cohort."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from vecsetx.cohort.identity import plain_source
from vecsetx.data.heart_source import HeartSource
from vecsetx.measures.heart_measures import measure_heart
from vecsetx.measures.measured import Measured, Measures
from vecsetx.workers.heart_work import HeartWork

__all__ = ["MeasuredHeart", "Measuring"]


@dataclass(frozen=True, slots=True)
class MeasuredHeart:
    """What is measured of a heart.

    Attributes:
        label_set: Name of the label set that it was read with.
        measures: Its numbers by name.
        remarks: Notes on its files, as sentences.
    """

    label_set: str
    measures: Measures
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the heart as plain data; numbers that are unknown are None."""
        return {
            "label_set": self.label_set,
            "measures": {
                name: {"value": one.value if one.known else None, "reason": one.reason}
                for name, one in self.measures.items()
            },
            "remarks": list(self.remarks),
        }

    @classmethod
    def from_dict(cls, data: Any) -> "MeasuredHeart":
        """Return the heart from plain data."""
        measures = {
            str(name): Measured(
                math.nan if one["value"] is None else float(one["value"]), str(one["reason"])
            )
            for name, one in data["measures"].items()
        }
        return cls(str(data["label_set"]), measures, tuple(map(str, data["remarks"])))


@dataclass(frozen=True, slots=True)
class Measuring(HeartWork[HeartSource, MeasuredHeart]):
    """Measures hearts of any source that has a volume."""

    name: ClassVar[str] = "measure"

    def setting(self) -> dict[str, Any]:
        """Return nothing: there are no options that change a number."""
        return {}

    def identity(self, heart: HeartSource) -> dict[str, Any]:
        """Return the source and its files."""
        return plain_source(heart)

    def make(self, heart: HeartSource) -> MeasuredHeart:
        """Measure a heart.

        Raises:
            InputError: It cannot be read, or has no volume.
        """
        source = heart.resolved()
        segmentation = source.segmentation(source.label_set.structures)
        geometry = segmentation.geometry()
        measures = measure_heart(geometry, segmentation.structures)
        return MeasuredHeart(source.label_set.name, measures, geometry.label_map.remarks)

    def to_record(self, result: MeasuredHeart) -> Any:
        """Return the numbers as plain data."""
        return result.to_dict()

    def of_record(self, record: Any) -> MeasuredHeart:
        """Return the numbers from plain data."""
        return MeasuredHeart.from_dict(record)
