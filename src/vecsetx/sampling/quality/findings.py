"""Turn a heart's measurements into problems, doubts and remarks; defines the bounds that decide."""

from collections.abc import Mapping

import numpy as np

from vecsetx.anatomy.frame import DOMAIN
from vecsetx.anatomy.sign import inside
from vecsetx.sampling.quality.measures import NEAR_WALL_MM, StructureQuality, thicknesses_mm
from vecsetx.sampling.quality.pose import pose
from vecsetx.sampling.quality.probes import Agreement
from vecsetx.sampling.samples import HeartInfo, Samples

THICKNESS_MM: Mapping[str, tuple[float, float]] = {
    "Myocardium": (3.0, 25.0),
    "RVWall": (1.5, 15.0),
    "LAWall": (1.0, 10.0),
}
"""Bounds on the mean thickness of each wall."""

_MIN_SHARE = 0.004
"""Minimum share of each group's points on (surface) or inside (near, volume) every structure of the
heart: 200 of 50 000."""

_MAX_OVERLAP_VOXELS = 0.1
_MAX_OVERLAP_SHARE = 0.01
"""Maximum share of surface points that lie more than :data:`_MAX_OVERLAP_VOXELS` inside another
structure. Where three structures meet, smoothing folds a few faces of the shared surface by a
fraction of a voxel."""

_INSIDE_SHARE = (0.25, 0.85)
"""Bounds on the share of near and volume points that lie inside any structure."""

_INSIDE_SHARE_NEAR_WALL = (0.02, 0.98)
"""Bounds on the share inside a structure of the near points within
:data:`~vecsetx.sampling.quality.measures.NEAR_WALL_MM` of its wall."""

_MAX_CONTRADICTING_SHARE = 0.005
"""Maximum share of points that contradict the label map at more than a voxel from every wall.
Smoothing shortens the tips of thin vessels, so that sound hearts have some."""

_MAX_STEEP_SHARE = 0.01
"""Maximum share of neighbouring points whose distances differ by more than the points are apart.
Sound hearts have less than a hundredth of this, or half of it where vessels are thinner than a
voxel."""

_MAX_SHIFT_VOXELS = 0.2
"""Maximum estimated shift of the points from the label map. Half a voxel, as from a corner to the
centre of a voxel, is too much."""

_SLOPE = (0.9, 1.1)
"""Bounds on the change of a signed distance per mm away from the surface."""

_NORMAL_PIECES: Mapping[str, int] = {"Aorta": 2, "PA": 2, "Coronary": 4, "PV": 4}
"""Maximum number of pieces that is normal; 1 for other structures. The field of view cuts
vessels, and the coronary tree has two roots."""

_MAX_SPECK_VOXELS = 200
_MAX_SPECK_SHARE = 0.0001
"""Numbers of speck voxels, in all and as a share of the heart, that are normal: real hearts have up
to 5. Coarse grids break up thin vessels: phantoms at 2.4 mm have up to 77."""

_MIN_WALL_VOXELS = 2.0

_IF_UNKNOWN = (
    "if it was not annotated, prepare the heart without --absent (masks), or with a label set that "
    "lacks it, into another --out (docs/data.md)"
)

_MAX_ROTATION_DEG = 60.0
"""Hearts lie within half of this from the usual pose."""

_LOOK = (
    *("left and right are a guess", "R and L were exchanged", "the heart is mirrored"),
    *("1 mm is assumed", "the spacing is probably missing", "sform and qform disagree"),
    *("from the rest of the heart", "a part between them may be missing"),
    *("empty masks", "left out, not in label set", "no structure has these names"),
    *(", which was used; ", "its name was used", "by anatomy they are those of"),
    *("check the spacing", "voxels are left out", "inferred by vecsetx", "inferred in part by"),
    "look whether both names are right",
)
"""Words of those remarks on sources that ask for a look: guessed sides, an assumed spacing or
place, spacing that stretches the heart, stray pieces and gaps, structures that are specks for a
large part, masks that are empty or were left out, and names that were chosen among several. Other
remarks, such as converted units, removed duplicates, other organs and names that the user has
confirmed, only inform."""


def problems(
    samples: Samples,
    found: Mapping[str, StructureQuality],
    shares: Mapping[str, float],
    compared: Agreement | None,
) -> list[str]:
    """Return the reasons why a heart is unfit for training; empty if it is fit.

    Args:
        samples: The heart. All its numbers are finite (:func:`not_numbers` returns nothing).
        found: Measurements of its structures.
        shares: Share, 0…1, of the ``near`` and ``volume`` points inside any structure.
        compared: Comparison with the label map; None if there is no label map.
    """
    return [
        *_inconsistent_samples(samples),
        *_too_few_points(samples, found),
        *_unbalanced(shares, found),
        *_outside_domain(samples),
        *_wrong_distances(found),
        *_contradictions(compared),
    ]


def doubts(samples: Samples, absent: list[str]) -> list[str]:
    """Return what a person should look at: it changes results, or is unusual.

    Args:
        samples: The heart.
        absent: Structures that are annotated but do not occur.
    """
    info = samples.info
    return [
        *(remark for remark in info.remarks if asks_for_a_look(remark)),
        *([f"annotated, but absent: {', '.join(absent)}; {_IF_UNKNOWN}"] if absent else []),
        *_odd_pieces(info),
        *_odd_walls(info),
        *_odd_pose(samples),
    ]


def remarks(info: HeartInfo, untrusted_share: float) -> list[str]:
    """Return what is worth knowing about a heart and needs no look.

    Args:
        info: The heart.
        untrusted_share: Share, 0…1, of the distances that are unknown because the field of view
            ends.
    """
    found = [remark for remark in info.remarks if not asks_for_a_look(remark)]
    if info.cut:
        found.append(
            f"cut by the field of view: {', '.join(info.cut)}; {untrusted_share:.1%} of all "
            "distances are unknown"
        )
    return found + _thin_walls(info)


def not_numbers(samples: Samples) -> list[str]:
    """Return problems with coordinates or distances that are not finite.

    If there are any, nothing else can be measured.
    """
    problems = []
    for group in ("surface", "near", "volume"):
        points = getattr(samples, group)
        if not np.isfinite(points.points_mm).all():
            problems.append(f"some {group} points have non-finite coordinates")
        if not np.isfinite(points.distances_mm).all():
            problems.append(f"some {group} points have non-finite distances")
        if np.isnan(points.edge_mm).any():
            problems.append(f"some {group} points have a NaN distance to the edge of the scan")
    if not np.isfinite(samples.surface.normals).all():
        problems.append("some normals are not finite")
    return problems


def _inconsistent_samples(samples: Samples) -> list[str]:
    """Points inside two structures, surface points inside another structure, and bad normals."""
    problems = []
    for group in ("near", "volume"):
        doubly = int((inside(getattr(samples, group).distances_mm).sum(axis=1) > 1).sum())
        if doubly:
            problems.append(f"inside more than one structure: {doubly} of the {group} points")
    overlap_mm = _MAX_OVERLAP_VOXELS * max(samples.info.spacing_mm)
    overlapping = float(inside(samples.surface.distances_mm + overlap_mm).any(axis=1).mean())
    if overlapping > _MAX_OVERLAP_SHARE:
        problems.append(
            f"{overlapping:.1%} of surface points lie more than {overlap_mm:.2f} mm inside another "
            "structure"
        )
    if not (np.abs(np.linalg.norm(samples.surface.normals, axis=1) - 1) < 1e-3).all():
        problems.append("some normals are not of unit length")
    return problems


def _too_few_points(samples: Samples, found: Mapping[str, StructureQuality]) -> list[str]:
    return [
        f"too few {group} points {'on' if group == 'surface' else 'in'} {name}: {count} "
        f"(at least {least:.0f} needed)"
        for name, structure in found.items()
        for group, count in (structure.points or {}).items()
        if count < (least := _MIN_SHARE * len(getattr(samples, group).points_mm))
    ]


def _unbalanced(shares: Mapping[str, float], found: Mapping[str, StructureQuality]) -> list[str]:
    checked = [
        (f"{group} points lie inside a structure", share, _INSIDE_SHARE)
        for group, share in shares.items()
    ]
    checked += [
        (
            f"near points within {NEAR_WALL_MM:g} mm of the wall of {name} lie inside it",
            structure.inside_share_near,
            _INSIDE_SHARE_NEAR_WALL,
        )
        for name, structure in found.items()
        if structure.inside_share_near is not None
    ]
    return [
        f"{share:.0%} of {what} (expected {low:.0%} to {high:.0%})"
        for what, share, (low, high) in checked
        if not low <= share <= high
    ]


def _outside_domain(samples: Samples) -> list[str]:
    """Surface points beyond the domain in which models work."""
    farthest = float(np.abs(samples.info.frame.to_unit(samples.surface.points_mm)).max())
    if farthest <= DOMAIN:
        return []
    reach = samples.info.frame.length_to_mm(DOMAIN)
    return [
        f"the heart extends {samples.info.frame.length_to_mm(farthest):.0f} mm from its "
        f"centre, but models cover only {reach:.0f} mm; crop long vessels or raise --mm-per-unit"
    ]


def _wrong_distances(found: Mapping[str, StructureQuality]) -> list[str]:
    low, high = _SLOPE
    slopes = {
        name: structure.slope
        for name, structure in found.items()
        if structure.slope is not None and not low <= structure.slope <= high
    }
    steep = {
        name: structure.steep_share
        for name, structure in found.items()
        if structure.steep_share is not None and structure.steep_share > _MAX_STEEP_SHARE
    }
    problems = []
    if slopes:
        problems.append(
            f"distances change by {_range(slopes, '.2f')} mm per mm away from the surface "
            f"(expected {low} to {high}): {', '.join(slopes)}"
        )
    if steep:
        problems.append(
            f"for {_range(steep, '.1%')} of neighbouring points, distances differ by more than the "
            f"points are apart: {', '.join(steep)}"
        )
    return problems


def _contradictions(compared: Agreement | None) -> list[str]:
    if compared is None:
        return []
    problems = []
    if compared.contradicting > _MAX_CONTRADICTING_SHARE * compared.points:
        problems.append(
            f"{compared.contradicting / compared.points:.1%} of points contradict the label map at "
            f"more than a voxel from any wall ({compared.share:.1%} agree): points and label map "
            "are in different coordinate systems, or the samples belong to another heart"
        )
    if (np.abs(compared.shift_voxels) > _MAX_SHIFT_VOXELS).any():
        i, j, k = compared.shift_voxels
        problems.append(
            f"points are shifted from the label map by about ({i:+.1f}, {j:+.1f}, {k:+.1f}) voxels"
        )
    return problems


def _range(values: Mapping[str, float], form: str) -> str:
    """The smallest and largest value, formatted; one number if they look the same."""
    low, high = (format(bound, form) for bound in (min(values.values()), max(values.values())))
    return low if low == high else f"{low} to {high}"


def asks_for_a_look(remark: str) -> bool:
    """Whether a remark that was made while the source was read asks for a person's look."""
    return any(words in remark for words in _LOOK)


def _odd_pieces(info: HeartInfo) -> list[str]:
    """Structures in too many pieces, and unusually many specks."""
    found = [
        f"{name} has {count} pieces (normally at most {most})"
        for name, count in info.pieces.items()
        if count > (most := _NORMAL_PIECES.get(name, 1))
    ]
    heart_voxels = 1000 * sum(info.volumes_ml.values()) / float(np.prod(info.spacing_mm))
    if info.speck_voxels > max(_MAX_SPECK_VOXELS, _MAX_SPECK_SHARE * heart_voxels):
        found.append(
            f"{info.speck_voxels} speck voxels were refilled, "
            f"{info.speck_voxels / heart_voxels:.2%} of the heart"
        )
    return found


def _odd_walls(info: HeartInfo) -> list[str]:
    """Walls whose mean thickness no heart has."""
    found_mm = thicknesses_mm(info)
    return [
        f"{name} is {found_mm[name]:.1f} mm thick (expected {low:g} to {high:g} mm)"
        for name, (low, high) in THICKNESS_MM.items()
        if name in found_mm and not low <= found_mm[name] <= high
    ]


def _thin_walls(info: HeartInfo) -> list[str]:
    """Walls too thin for their grid."""
    voxel_mm = float(np.prod(info.spacing_mm)) ** (1 / 3)
    return [
        f"{name} is {mm / voxel_mm:.1f} voxels thick (at least {_MIN_WALL_VOXELS:g} recommended)"
        for name, mm in thicknesses_mm(info).items()
        if name in THICKNESS_MM and mm < _MIN_WALL_VOXELS * voxel_mm
    ]


def _odd_pose(samples: Samples) -> list[str]:
    found = pose(samples)
    if found is None:
        return []
    if found.mirrored:
        return ["the heart is mirrored (left and right swapped): dextrocardia or a flipped file"]
    if found.rotation_deg > _MAX_ROTATION_DEG:
        return [
            f"the heart is rotated by {found.rotation_deg:.0f}° from the usual pose: its axes may "
            "be wrong (LPS read as RAS rotates by 180°)"
        ]
    return []
