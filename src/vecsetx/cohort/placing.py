"""Place one heart in a shape space."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from vecsetx.cohort.identity import plain_source
from vecsetx.cohort.working_space import WorkingSpace
from vecsetx.data.heart_source import HeartSource
from vecsetx.population.heart_tables import encode_table, observed_source
from vecsetx.population.unusual import Placement
from vecsetx.workers.heart_work import HeartWork

__all__ = ["PlacedHeart", "Placing"]


@dataclass(frozen=True, slots=True)
class PlacedHeart:
    """A heart in a shape space.

    Attributes:
        placement: Where it lies.
        without: Structures of the space that the heart lacks, or that the scan cuts; they take no
            part.
        remarks: Notes on its files, as sentences.
    """

    placement: Placement
    without: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placing(HeartWork[HeartSource, PlacedHeart]):
    """Places hearts of any source in a shape space.

    Attributes:
        space: The space.
    """

    name: ClassVar[str] = "shape project"

    space: WorkingSpace

    def setting(self) -> dict[str, Any]:
        """Return the space and its model."""
        return self.space.to_dict()

    def identity(self, heart: HeartSource) -> dict[str, Any]:
        """Return the source and its files."""
        return plain_source(heart)

    def make(self, heart: HeartSource) -> PlacedHeart:
        """Place a heart.

        Raises:
            InputError: It cannot be read, is points without normals, or has no whole structure of
                the space.
        """
        space = self.space.loaded()
        trained, saved = space.trained, space.saved
        observed, cut, remarks = observed_source(heart.resolved(), trained)
        encoded = encode_table(observed, trained, saved.template, cut)
        rows = saved.template.structure[: saved.template.anchors]
        there = {trained.structures[k] for k in rows[encoded.table.there]}
        without = tuple(name for name in saved.structures if name not in there)
        return PlacedHeart(space.placement(encoded), without, remarks)

    def to_record(self, result: PlacedHeart) -> Any:
        """Return the placement as plain data."""
        return asdict(result)

    def of_record(self, record: Any) -> PlacedHeart:
        """Return the placement from plain data."""
        plain = record["placement"]
        numbers = {
            name: float(plain[name])
            for name in ("distance", "distance_percentile", "residual_mm", "residual_percentile")
        }
        placement = Placement(
            coordinates=tuple(map(float, plain["coordinates"])),
            nearest=tuple(map(str, plain["nearest"])),
            nearest_mm=tuple(map(float, plain["nearest_mm"])),
            **numbers,
        )
        without, remarks = record["without"], record["remarks"]
        return PlacedHeart(placement, tuple(map(str, without)), tuple(map(str, remarks)))
