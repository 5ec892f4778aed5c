"""Whether slices show one heart, and what to say of their shifts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx.errors import InputError
from vecsetx.views.shifts import MOST_MM, Alignment, ShiftKind

__all__ = ["check_one_heart", "shift_table"]

_STRANGE_MM = 4.0
"""Median of the slices' residuals above which they show no common heart."""

_MOST_LEFT_OUT = 1 / 3
"""Share of the slices that may belong to no heart."""


def check_one_heart(aligned: Alignment, paths: Sequence[Path]) -> None:
    """Check that the slices show one heart.

    Args:
        aligned: The slices.
        paths: The views' files.

    Raises:
        InputError: No shifts within the bound make them agree.
    """
    residuals_mm = aligned.residuals_mm
    median_mm, left_out = float(np.median(residuals_mm)), ~aligned.kept
    if median_mm <= _STRANGE_MM and left_out.mean() <= _MOST_LEFT_OUT:
        return
    of_view = np.array([one.view for one in aligned.slices])
    views = [
        f"{paths[view]} {residuals_mm[of_view == view].mean():.1f} mm"
        for view in np.unique(of_view)
    ]
    raise InputError(
        f"{', '.join(map(str, paths))}: no shifts within {MOST_MM:g} mm bring the slices together; "
        f"their contours stay {median_mm:.1f} mm (median) from the heart that the others show, and "
        f"{left_out.sum()} of {len(left_out)} slices do not fit it (mean by view: "
        f"{', '.join(views)}); give views of one patient, in one phase, or leave out the view that "
        "does not belong"
    )


def shift_table(
    aligned: Alignment, paths: Sequence[Path], shifts: ShiftKind, remarks: Sequence[str]
) -> dict[str, Any]:
    """Return the slices' shifts as plain data.

    Args:
        aligned: The slices.
        paths: The views' files.
        shifts: What shifted as one.
        remarks: Notes on the views; those on the shifts are added.

    Returns:
        ``space`` of the vectors; ``shifts``, what shifted as one; ``views``, the files; ``mean_mm``
        and ``largest_mm``, lengths of the kept slices' shifts; ``mismatch_mm`` ``before`` and
        ``after``, None where no slices cross; ``left_out``, names of slices; ``remarks``; and
        ``slices``, a table each.
    """
    kept = aligned.kept
    lengths_mm = np.linalg.norm(aligned.moves_mm, axis=1)
    before, after = (None if np.isnan(mean) else mean for mean in aligned.mismatch_mm)
    return {
        "space": "RAS",
        "shifts": shifts,
        "views": [str(path) for path in paths],
        "mean_mm": float(lengths_mm[kept].mean()),
        "largest_mm": float(lengths_mm[kept].max()),
        "mismatch_mm": {"before": before, "after": after},
        "left_out": [
            one.name for one, is_kept in zip(aligned.slices, kept, strict=True) if not is_kept
        ],
        "remarks": [*remarks, *_remarks(aligned, shifts)],
        "slices": [
            {
                "view": str(paths[one.view]),
                "slice": one.number,
                "shift_mm": aligned.moves_mm[index].tolist(),
                "along_mm": aligned.shifts_mm[index].tolist(),
                "directions": one.directions.tolist(),
                "residual_mm": float(aligned.residuals_mm[index]),
                "kept": bool(kept[index]),
            }
            for index, one in enumerate(aligned.slices)
        ],
    }


def _remarks(aligned: Alignment, shifts: ShiftKind) -> list[str]:
    """Say how large the shifts are, and which slices do not belong to the heart."""
    remarks, named = [], list(zip(aligned.slices, aligned.residuals_mm, aligned.kept, strict=True))
    lengths_mm = np.where(aligned.kept, np.linalg.norm(aligned.moves_mm, axis=1), -1.0)
    if shifts != "none":
        farthest = int(lengths_mm.argmax())
        remarks.append(
            f"slices were shifted by {lengths_mm[aligned.kept].mean():.1f} mm on average, and by "
            f"{lengths_mm[farthest]:.1f} mm at most ({aligned.slices[farthest].name})"
        )
        if np.isnan(aligned.mismatch_mm[0]):
            remarks.append("no slices cross, so the shifts come from the model alone")
        at_bound = np.abs(aligned.shifts_mm).max(axis=1) >= MOST_MM
        if bound := [one.name for one, at in zip(aligned.slices, at_bound, strict=True) if at]:
            remarks.append(f"shifts reached their bound of {MOST_MM:g} mm: {', '.join(bound)}")
    if wrong := [f"{one.name} ({off_mm:.1f} mm off)" for one, off_mm, kept in named if not kept]:
        remarks.append(
            "slices that do not fit the heart of the others (damaged, or of another phase) were "
            f"left out: {', '.join(wrong)}"
        )
    return remarks
