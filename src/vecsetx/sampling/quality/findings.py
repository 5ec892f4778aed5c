"""What to say of a heart's measurements: problems and remarks, and the bounds that decide."""

from collections.abc import Mapping

import numpy as np

from vecsetx.anatomy.frame import DOMAIN
from vecsetx.anatomy.sign import inside
from vecsetx.sampling.quality.measures import StructureQuality, thicknesses_mm
from vecsetx.sampling.quality.pose import pose
from vecsetx.sampling.quality.probes import Agreement
from vecsetx.sampling.samples import HeartInfo, Samples

SMALLEST_SHARE = 0.004
"""Share of each set's points that must lie on (surface) or inside (near, volume) every structure of
the heart: 200 of 50 000."""

LARGEST_SLIP_VOXELS = 0.1
LARGEST_SLIPPED_SHARE = 0.01
"""The share of surface points that may lie farther than that inside another structure. Where three
structures meet, smoothing folds a few faces of the shared surface by a fraction of a voxel."""

INSIDE_SHARE = (0.25, 0.85)
"""Bounds on the share of near and volume points that lie inside some structure."""

INSIDE_SHARE_AROUND = (0.02, 0.98)
"""Bounds on the share, inside a structure, of the near points within that distance of its wall."""

LARGEST_ASTRAY_SHARE = 0.005
"""Share of points that may contradict the label map farther than a voxel from every wall: the tips
of thin vessels, which smoothing shortens."""

LARGEST_STEEP_SHARE = 0.01
"""Share of neighbours whose distances may differ more than they are apart. Sound hearts have less
than a hundredth of it, but half where vessels are thinner than a voxel."""

LARGEST_SHIFT_VOXELS = 0.2
"""How far points may seem to lie off the label map: half a voxel, as between its corner and its
centre, is too much."""

SLOPE = (0.9, 1.1)
"""Bounds on how fast distances grow with the way off the surface."""

NORMAL_COMPONENTS: Mapping[str, int] = {"Aorta": 2, "PA": 2, "Coronary": 4, "PV": 4}
"""Pieces that a structure may well have, else 1: the scan's edge cuts vessels, and the coronary
tree has two roots."""

THICKNESS_MM: Mapping[str, tuple[float, float]] = {
    "Myocardium": (3.0, 25.0),
    "RVWall": (1.5, 15.0),
    "LAWall": (1.0, 10.0),
}
"""What the mean thickness of a wall may be."""

THINNEST_WALL_VOXELS = 2.0

LARGEST_TURN_DEG = 60.0
"""Hearts lie within half of that from the usual pose."""


def problems(
    samples: Samples,
    found: Mapping[str, StructureQuality],
    shares: Mapping[str, float],
    compared: Agreement | None,
) -> list[str]:
    """Why a heart is not fit to learn from.

    Args:
        samples: The heart, all of it numbers (:func:`not_numbers`).
        found: What was measured of its structures.
        shares: Share of the ``near`` and ``volume`` points inside any structure.
        compared: The comparison with its label map; None if there was none.
    """
    return [
        *_disagreements(samples),
        *_starved(samples, found),
        *_unbalanced(shares, found),
        *_out_of_place(samples),
        *_wrong_distances(found),
        *_contradictions(compared),
    ]


def remarks(samples: Samples, absent: list[str], untrusted_share: float) -> list[str]:
    """What is worth a look.

    Args:
        samples: The heart.
        absent: Structures that are annotated and not there.
        untrusted_share: Share of the distances that the scan's edge leaves unknown.
    """
    return [
        *_about_structures(samples.info, absent, untrusted_share),
        *_odd_walls(samples.info),
        *_odd_pose(samples),
    ]


def not_numbers(samples: Samples) -> list[str]:
    """The problem with points or distances that are not finite, of which no more can be said."""
    problems = []
    for group in ("surface", "near", "volume"):
        points = getattr(samples, group)
        if not np.isfinite(points.points_mm).all():
            problems.append(f"{group} points are not all finite")
        if not np.isfinite(points.distances_mm).all():
            problems.append(f"distances of {group} points are not all finite")
        if np.isnan(points.edge_mm).any():
            problems.append(f"distances of {group} points to the scan's edge are not all numbers")
    if not np.isfinite(samples.surface.normals).all():
        problems.append("normals are not all finite")
    return problems


def _disagreements(samples: Samples) -> list[str]:
    """Points inside two structures, or surface points well inside a structure."""
    problems = []
    for group in ("near", "volume"):
        doubly = int((inside(getattr(samples, group).distances_mm).sum(axis=1) > 1).sum())
        if doubly:
            problems.append(f"{doubly} {group} points lie inside two structures at once")
    slip_mm = LARGEST_SLIP_VOXELS * max(samples.info.spacing_mm)
    slipped = float(inside(samples.surface.distances_mm + slip_mm).any(axis=1).mean())
    if slipped > LARGEST_SLIPPED_SHARE:
        problems.append(
            f"{slipped:.1%} of surface points lie more than {slip_mm:.2f} mm inside a structure"
        )
    if not (np.abs(np.linalg.norm(samples.surface.normals, axis=1) - 1) < 1e-3).all():
        problems.append("normals are not of length 1")
    return problems


def _starved(samples: Samples, found: Mapping[str, StructureQuality]) -> list[str]:
    return [
        f"only {count} {group} points of {name} (at least {fewest:.0f})"
        for name, structure in found.items()
        for group, count in (structure.points or {}).items()
        if count < (fewest := SMALLEST_SHARE * len(getattr(samples, group).points_mm))
    ]


def _unbalanced(shares: Mapping[str, float], found: Mapping[str, StructureQuality]) -> list[str]:
    checked = [(f"{group} points", share, INSIDE_SHARE) for group, share in shares.items()]
    checked += [
        (f"near points around {name}", structure.inside_share_near, INSIDE_SHARE_AROUND)
        for name, structure in found.items()
        if structure.inside_share_near is not None
    ]
    return [
        f"{share:.0%} of {what} lie inside (expected {low:.0%} to {high:.0%})"
        for what, share, (low, high) in checked
        if not low <= share <= high
    ]


def _out_of_place(samples: Samples) -> list[str]:
    farthest = float(np.abs(samples.info.frame.to_unit(samples.surface.points_mm)).max())
    if farthest <= DOMAIN:
        return []
    reach = samples.info.frame.length_to_mm(DOMAIN)
    return [
        f"the heart reaches {samples.info.frame.length_to_mm(farthest):.0f} mm from its "
        f"centre, models see {reach:.0f} mm; crop long vessels or raise --mm-per-unit"
    ]


def _wrong_distances(found: Mapping[str, StructureQuality]) -> list[str]:
    low, high = SLOPE
    slopes = {
        name: structure.slope
        for name, structure in found.items()
        if structure.slope is not None and not low <= structure.slope <= high
    }
    steep = {
        name: structure.steep_share
        for name, structure in found.items()
        if structure.steep_share is not None and structure.steep_share > LARGEST_STEEP_SHARE
    }
    problems = []
    if slopes:
        problems.append(
            f"distances grow by {_range(slopes, '.2f')} mm per mm off the surface (expected "
            f"{low} to {high}): {', '.join(slopes)}"
        )
    if steep:
        problems.append(
            f"distances differ more than the points are apart, for {_range(steep, '.1%')} of "
            f"neighbours: {', '.join(steep)}"
        )
    return problems


def _contradictions(compared: Agreement | None) -> list[str]:
    if compared is None:
        return []
    problems = []
    if compared.astray > LARGEST_ASTRAY_SHARE * compared.points:
        problems.append(
            f"{compared.astray / compared.points:.1%} of points contradict the label map more than "
            f"a voxel from any wall ({compared.share:.1%} agree): points and labels lie in "
            "different spaces, or the samples are another heart's"
        )
    if (np.abs(compared.shift_voxels) > LARGEST_SHIFT_VOXELS).any():
        i, j, k = compared.shift_voxels
        problems.append(
            f"points lie off the label map by about ({i:+.1f}, {j:+.1f}, {k:+.1f}) voxels"
        )
    return problems


def _range(values: Mapping[str, float], form: str) -> str:
    low, high = (format(bound, form) for bound in (min(values.values()), max(values.values())))
    return low if low == high else f"{low} to {high}"


def _about_structures(info: HeartInfo, absent: list[str], untrusted: float) -> list[str]:
    said = list(info.remarks)
    if absent:
        said.append(f"absent, though annotated: {', '.join(absent)}")
    if info.cut:
        said.append(
            f"cut by the scan's edge: {', '.join(info.cut)}; {untrusted:.1%} of all distances are "
            "unknown"
        )
    for name, count in info.components.items():
        most = NORMAL_COMPONENTS.get(name, 1)
        if count > most:
            said.append(f"{name} has {count} pieces (normally at most {most})")
    return said


def _odd_walls(info: HeartInfo) -> list[str]:
    voxel_mm = float(np.prod(info.spacing_mm)) ** (1 / 3)
    said = []
    for name, mm in thicknesses_mm(info).items():
        if name not in THICKNESS_MM:
            continue
        low, high = THICKNESS_MM[name]
        if not low <= mm <= high:
            said.append(f"{name} is {mm:.1f} mm thick (expected {low:g} to {high:g} mm)")
        if mm < THINNEST_WALL_VOXELS * voxel_mm:
            said.append(f"{name} is {mm / voxel_mm:.1f} voxels thick (at least 2 are wanted)")
    return said


def _odd_pose(samples: Samples) -> list[str]:
    lies = pose(samples)
    if lies is None:
        return []
    if lies.mirrored:
        return ["it is mirrored, left for right: a heart on the right side, or a flipped file"]
    if lies.turned_deg > LARGEST_TURN_DEG:
        return [
            f"it lies turned by {lies.turned_deg:.0f}° from the usual: axes may have been "
            "mistaken (LPS for RAS turns by 180°)"
        ]
    return []
