"""``vecsetx reconstruct --one-heart``: the views of one heart become labelled points."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vecsetx.cohort.aligning import Aligning
from vecsetx.cohort.reconstruct_options import ReconstructOptions
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.idle_options import check_idle
from vecsetx.data.sources import LabelMapSource, PointsSource
from vecsetx.errors import InputError
from vecsetx.model.built_in import recorded_name
from vecsetx.model.saved import TrainedModel
from vecsetx.names import check_name
from vecsetx.reconstruction.output_folder import CONTOURS, VIEW_FILES
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.views.views import find_views
from vecsetx.workers.base import Workers
from vecsetx.workers.heart_work import Records

__all__ = ["OneHeart"]


class OneHeart:
    """The views of one heart, and the points that they become."""

    def __init__(
        self,
        inputs: Sequence[Path],
        out: Path,
        options: ReconstructOptions,
        model: Path,
        shared: WorkingModel,
        trained: TrainedModel,
    ) -> None:
        """Find the views; none is read yet.

        Args:
            inputs: Their files.
            out: Folder for the results.
            options: The options.
            model: The model's folder.
            shared: The model, as workers share it.
            trained: The model.

        Raises:
            InputError: An input is no label map, label sets do not fit the views, an option changes
                nothing, or a file of another origin has the name of a result.
        """
        label_set = options.encode.label_set
        label_sets = options.view_labels or ((label_set,) if label_set else ())
        self._views = find_views(
            inputs,
            label_sets,
            trained.label_set,
            options.most_voxels,
            trust_names=options.trust_names,
        )
        check_idle(self._views, False, options.input_space, options.units, False, "--input-space")
        there = out.resolve()
        name = recorded_name(model)
        shifts = options.shifts, options.through_plane_mm
        self._work = Aligning(shared, name, *shifts, options.encode.seed, there)
        self._records = Records.within(out)
        ids = label_set or trained.label_set
        self.source = PointsSource(_name(there, self._views), there / CONTOURS, ids)
        self._check_foreign(out)

    def aligned(self, workers: Workers | None) -> dict[str, Any]:
        """Bring the slices together, write their contours, and return ``shifts.json``.

        Raises:
            InputError: A view cannot be read, or they show no common heart.
        """
        given = {self.source.name: self._views}
        outcome = run_cohort("aligning views", self._work, given, self._records, workers)
        if outcome.failed:
            raise InputError("\n".join(outcome.failed.values()))
        return outcome.results[self.source.name]

    def _check_foreign(self, out: Path) -> None:
        """Check that the alignment replaces no files but those of an earlier one."""
        if self._records.are_there(self._work, self.source.name):
            return
        for name in VIEW_FILES:
            if os.path.lexists(out / name):
                raise InputError(
                    f"{out / name}: no earlier reconstruction wrote this file, and it would be "
                    "replaced; choose another --out, or move the file"
                )


def _name(out: Path, views: Sequence[LabelMapSource]) -> str:
    """Return the heart's name: that of the folder, or else that of the first view."""
    try:
        return check_name(out.name)
    except ValueError:
        return views[0].name
