"""The picture of shifts: which slices it shows, and that these move."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from support.cine import NAMES, cine, sliced, true_distances

from vecsetx.report.shifts_picture import write_shifts_picture
from vecsetx.views.shifts import Alignment, align

DOTS = 110 * 4  # of a panel's side


def picture(folder: Path, names: tuple[str, ...], shift_mm: float) -> np.ndarray:
    """The picture of some views without an estimate: all slices move alike."""
    views = {name: cine(largest_mm=0.0)[0][name] for name in names}
    found = align(sliced(views), None, true_distances())
    moved_mm = np.zeros_like(found.shifts_mm)
    moved_mm[0, :2] = shift_mm
    parts = (found.slices, found.contours, moved_mm, found.residuals_mm, found.most_mm, found.kept)
    write_shifts_picture(
        folder / "shifts.png", Alignment(*parts, found.mismatch_mm, found.worst_mm), NAMES
    )
    return imread(folder / "shifts.png")


@pytest.mark.parametrize(
    ("views", "panels"),
    [
        (("sax", "4ch", "2ch"), 2),  # those with long axes
        (("sax", "4ch"), 1),
        (("4ch", "2ch"), 2),
        (("sax",), 2),  # from two sides
    ],
)
def test_long_axis_slices_are_shown(tmp_path: Path, views: tuple[str, ...], panels: int) -> None:
    still = picture(tmp_path, views, 0.0)
    assert still.shape[:2] == (2 * DOTS, panels * DOTS)
    assert (still[..., :3] < 0.9).any(axis=-1).mean() > 0.005
    assert not np.array_equal(still, picture(tmp_path, views, 8.0))
