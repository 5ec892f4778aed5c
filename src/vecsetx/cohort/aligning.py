"""Bring the slices of one heart together, and write their contours and shifts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vecsetx.cohort.identity import plain_source
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.sources import LabelMapSource
from vecsetx.files import write_json
from vecsetx.formats.points import LabelledPoints
from vecsetx.reconstruction.output_folder import CONTOURS, SHIFTS, SHIFTS_PICTURE, VIEW_FILES
from vecsetx.report.shifts_picture import write_shifts_picture
from vecsetx.views.contours_file import write_points
from vecsetx.views.one_heart import check_one_heart, shift_table, stacked_structures
from vecsetx.views.shifts import ShiftKind, align, holds_of
from vecsetx.views.views import read_views
from vecsetx.views.with_model import by_model
from vecsetx.workers.heart_work import HeartWork

__all__ = ["Aligning", "ViewsToAlign"]

_SCHEMA = 1
"""Version of ``shifts.json``, for the scripts that read it."""

ViewsToAlign = tuple[LabelMapSource, ...]
"""The views of one heart."""


@dataclass(frozen=True, slots=True)
class Aligning(HeartWork[ViewsToAlign, dict[str, Any]]):
    """Brings the slices of one heart together; a result is the content of ``shifts.json``.

    Attributes:
        model: The model.
        model_name: How the file names it.
        shifts: What shifts as one.
        through_plane_mm: Bound of shifts through the slices' planes.
        seed: Seed of the points that the model is shown.
        out: Folder of all results, an absolute path.
    """

    name: ClassVar[str] = "align views"

    model: WorkingModel
    model_name: str
    shifts: ShiftKind
    through_plane_mm: float
    seed: int
    out: Path

    def setting(self) -> dict[str, Any]:
        """Return the model and the options."""
        return {
            "model": self.model.to_dict(),
            "model_name": self.model_name,
            "shifts": self.shifts,
            "through_plane_mm": self.through_plane_mm,
            "seed": self.seed,
        }

    def identity(self, heart: ViewsToAlign) -> dict[str, Any]:
        """Return the views' files."""
        return {"views": [plain_source(source) for source in heart]}

    def make(self, heart: ViewsToAlign) -> dict[str, Any]:
        """Align the slices, and write their files.

        Raises:
            InputError: A view cannot be read, or they show no common heart.
        """
        trained = self.model.trained()
        views = read_views(heart, trained.structures)
        holds = holds_of(views.slices, self.shifts)
        reconstructed = by_model(trained, self.seed)
        aligned = align(views.slices, holds, reconstructed, self.through_plane_mm)
        check_one_heart(aligned, views.paths, self.shifts)
        table = shift_table(aligned, views.paths, self.shifts, views.remarks)
        contours = aligned.shifted()
        stacked = [trained.structures[k] for k in stacked_structures(contours, aligned.slices)]
        table |= {"stacked": stacked, "model": self.model_name, "seed": self.seed}
        points = LabelledPoints(contours.points_mm, contours.structure)
        write_points(self.out / CONTOURS, points, trained.structures)
        write_shifts_picture(self.out / SHIFTS_PICTURE, aligned, trained.structures)
        write_json(self.out / SHIFTS, {"schema": _SCHEMA, **table})
        return table

    def to_record(self, result: dict[str, Any]) -> Any:
        """Return the content of ``shifts.json``."""
        return result

    def of_record(self, record: Any) -> dict[str, Any]:
        """Return the content of ``shifts.json``."""
        return dict(record)

    def files(self, heart: ViewsToAlign, result: dict[str, Any]) -> Sequence[Path]:
        """Return the files of an alignment."""
        return [self.out / name for name in VIEW_FILES]
