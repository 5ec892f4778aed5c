"""Whether slices show one heart, and what to say of their shifts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx.errors import InputError
from vecsetx.views.shifts import MOST_MM, Alignment, ShiftKind
from vecsetx.views.slices import Contours, Slice

__all__ = ["check_one_heart", "shift_table", "stacked_structures"]

_STRANGE_MM = 4.0
"""Median of the slices' residuals above which they show no common heart."""

_DISAGREEMENT_MM = 8.0
"""Mean mismatch above which slices that each shifted show no common heart. It is 3 to 4.5 mm of
one heart, and 12 to 18 mm where one or two of three views are another heart's (kcl)."""

_DOUBTFUL_MM = 5.0
"""Mean mismatch of slices that each shifted above which a remark asks to look: 6.5 mm where a
header leaves the gaps between slices out, 7.9 mm of a heart in two phases (phantoms)."""

_MOST_LEFT_OUT = 1 / 3
"""Share of the slices that may belong to no heart."""


def check_one_heart(aligned: Alignment, paths: Sequence[Path], shifts: ShiftKind) -> None:
    """Check that the slices show one heart.

    Args:
        aligned: The slices.
        paths: The views' files.
        shifts: What shifted as one. Only of slices that each shifted must labels agree in the end.

    Raises:
        InputError: No shifts within the bound make them agree.
    """
    of_view = np.array([one.view for one in aligned.slices])
    residuals_mm, kept = aligned.residuals_mm, aligned.kept
    mismatch_mm = aligned.mismatch_mm[1] if shifts == "slice" else 0.0
    median_mm = float(np.median(residuals_mm))
    views = np.unique(of_view)
    alone = len(views) > 1 and len(np.unique(of_view[kept])) == 1
    strange = median_mm > _STRANGE_MM or mismatch_mm > _DISAGREEMENT_MM
    if not (strange or alone or (~kept).mean() > _MOST_LEFT_OUT):
        return
    able = "slices do not fit together as they lie"
    if shifts != "none":
        able = f"no shifts of up to {MOST_MM:g} mm along each direction bring the slices together"
    each = [f"{paths[view]} {residuals_mm[of_view == view].mean():.1f} mm" for view in views]
    raise InputError(
        f"{', '.join(str(paths[view]) for view in views)}: {able}. "
        f"{_disagreement(aligned)}contours stay {median_mm:.1f} mm (median) "
        f"from the heart that the other slices show, and {(~kept).sum()} of {len(kept)} slices do "
        f"not fit it (mean by view: {', '.join(each)}); give views of one patient, in one phase, "
        "or leave out the view that does not belong"
    )


def _disagreement(aligned: Alignment) -> str:
    mismatch_mm = aligned.mismatch_mm[1]
    if np.isnan(mismatch_mm):
        return "Their "
    return f"Where two cross, they show different structures on {mismatch_mm:.1f} mm on average; "


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
                "along_mm": aligned.shifts_mm[index, :2].tolist(),
                "through_mm": float(aligned.shifts_mm[index, 2]),
                "directions": one.directions.tolist(),
                "residual_mm": float(aligned.residuals_mm[index]),
                "worst_mm": float(aligned.worst_mm[index]),
                "kept": bool(kept[index]),
            }
            for index, one in enumerate(aligned.slices)
        ],
    }


def stacked_structures(contours: Contours, slices: Sequence[Slice]) -> list[int]:
    """Return the indices of structures that several slices of one view show, sorted.

    Args:
        contours: Points on their outlines.
        slices: The slices.
    """
    of_view = np.array([one.view for one in slices])
    shown = np.unique(np.stack([contours.structure, contours.slice]), axis=1)
    structure, view = shown[0], of_view[shown[1]]
    pairs, counts = np.unique(np.stack([structure, view]), axis=1, return_counts=True)
    return np.unique(pairs[0, counts > 1]).tolist()


def _remarks(aligned: Alignment, shifts: ShiftKind) -> list[str]:
    """Say how large the shifts are, and which slices do not belong to the heart."""
    off_mm = np.maximum(aligned.residuals_mm, aligned.worst_mm)
    remarks, named = [], list(zip(aligned.slices, off_mm, aligned.kept, strict=True))
    lengths_mm = np.where(aligned.kept, np.linalg.norm(aligned.moves_mm, axis=1), -1.0)
    if shifts != "none":
        farthest = int(lengths_mm.argmax())
        remarks.append(
            f"slices were shifted by {lengths_mm[aligned.kept].mean():.1f} mm on average, and by "
            f"{lengths_mm[farthest]:.1f} mm at most ({aligned.slices[farthest].name})"
        )
        if np.isnan(aligned.mismatch_mm[0]):
            remarks.append("no slices cross, so the shifts come from the model alone")
        remarks += _bounded(aligned)
    remarks += _doubts(aligned, shifts)
    views = {one.view for one in aligned.slices}
    gone = views - {one.view for one, _, kept in named if kept}
    wrong = [
        f"{one.name} ({off_mm:.1f} mm off)"
        for one, off_mm, kept in named
        if not kept and one.view not in gone
    ]
    if wrong:
        remarks.append(
            "slices that do not fit the heart of the others (damaged, or of another phase) were "
            f"left out: {', '.join(wrong)}"
        )
    for view in sorted(gone):
        own = [(one, off_mm) for one, off_mm, _ in named if one.view == view]
        name = own[0][0].name.rsplit(" ", 1)[0]
        remarks.append(
            f"view {name} as a whole does not fit the heart of the others "
            f"({np.mean([off_mm for _, off_mm in own]):.1f} mm off) and was left out: check the "
            "spacing and orientation in its header, its label set, and whether it is of this "
            "patient and phase"
        )
    return remarks


def _doubts(aligned: Alignment, shifts: ShiftKind) -> list[str]:
    """Say if slices still differ where they cross."""
    mismatch_mm = aligned.mismatch_mm[1]
    if not mismatch_mm > (_DOUBTFUL_MM if shifts == "slice" else _DISAGREEMENT_MM):
        return []  # or none cross
    causes = (
        "views may be of different phases or patients, a header's slice spacing may be wrong (such "
        "as one without the gaps between slices), or a label set"
    )
    remedy = causes if shifts == "slice" else f"--shifts slice may bring them together, or {causes}"
    return [
        f"where two slices cross, they show different structures on {mismatch_mm:.1f} mm on "
        f"average{' after the shifts' if shifts != 'none' else ''}: {remedy}"
    ]


def _bounded(aligned: Alignment) -> list[str]:
    """Say how far slices were shifted through their planes, and which shifts are at a bound."""
    remarks, sizes_mm = [], np.abs(aligned.shifts_mm)
    within_mm, through_mm = float(aligned.most_mm[0]), float(aligned.most_mm[2])
    if through_mm > 0:
        mean_mm = sizes_mm[aligned.kept, 2].mean()
        remarks.append(f"of that, {mean_mm:.1f} mm on average are through the slices' planes")
    for bound_mm, at_mm, which in (
        (within_mm, sizes_mm[:, :2].max(axis=1), ""),
        (through_mm, sizes_mm[:, 2], " through the plane"),
    ):
        at_bound = (at_mm >= bound_mm) & aligned.kept & (bound_mm > 0)
        if names := [one.name for one, at in zip(aligned.slices, at_bound, strict=True) if at]:
            remarks.append(
                f"shifts{which or ' along a direction'} reached their bound of {bound_mm:g} mm, so "
                f"these slices may lie elsewhere: {', '.join(names)}"
            )
    return remarks
