"""Doubts about what a model infers, which no truth tells right from wrong.

An inferred structure is held against the hearts that the model was trained on
(:class:`~vecsetx.sampling.quality.usual_heart.UsualHeart`) and against its own uncertainty. What
does not fit is *doubtful*, and so is all that is inferred by a model that was trained on whole
hearts only, and never learned to infer.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vecsetx.formats.own_results import OBSERVED_SHARE
from vecsetx.inference.heart_meshes import HeartMeshes, VertexAttributes
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.sampling.quality.cohort import MAX_Z, MIN_HEARTS
from vecsetx.sampling.quality.usual_heart import UsualHeart, UsualStructure, scaled_distance

__all__ = ["PLACE_Z", "WHOLE_ONLY", "doubts", "inference_remarks", "whole_only_remark"]

PLACE_Z = 4.5
"""Robust z-score beyond which a distance is unusual in a large cohort; ``Usual.limit`` widens it
for a small one. It is larger than :data:`MAX_Z`, as a structure has one volume, but a distance to
every structure observed."""

_OBSERVED_SHARE = 0.5
"""A structure with a smaller share of observed surface counts as inferred."""

WHOLE_ONLY = "the model was trained on whole hearts only"
"""Why whatever a model infers is doubtful, if nothing was hidden in its training."""

_LACKING_SHARE = 0.02
"""If a larger share of the training hearts lacks a structure, its absence is no reason to doubt."""

_UNCERTAIN_SHARE = 0.5
"""A standard deviation beyond this share of a structure's mean thickness is large. The Dice of a
surface that is off by it is about ``1 − 0.8 · 0.5 = 0.6``."""


def doubts(
    meshes: HeartMeshes,
    known: VertexAttributes,
    usual: UsualHeart | None,
    partial: bool | None = None,
) -> dict[str, list[str] | None]:
    """Say what is doubtful about each structure.

    Args:
        meshes: The heart's meshes.
        known: Visibility and uncertainty at their vertices.
        usual: What is usual in the model's training hearts; None if it is not known.
        partial: Whether parts of hearts were hidden in its training; None if it is not known.

    Returns:
        Structure name → doubts, as sentences with the value and its limits; empty if there are
        none; None if it was not checked, because it is observed, or because too few training hearts
        tell what is usual for it. A structure without a surface is doubtful even then, and so is
        one whose standard deviation is large, unless it is observed. With ``partial`` False,
        everything inferred is doubtful.
    """
    found: dict[str, list[str] | None] = {}
    for name, pieces in meshes.specks.pieces.items():
        one = _usual_of(name, usual)
        never_learned = [WHOLE_ONLY] if partial is False else []
        if name not in meshes.surfaces:
            lacks = one is not None and one.lacking_share > _LACKING_SHARE
            why = never_learned if name in known.hidden else []
            found[name] = [] if lacks else ["it has no surface", *why]
        elif not _inferred(name, known):
            found[name] = None
        else:
            reasons = [*_uncertain(meshes.surfaces[name], name, known), *never_learned]
            if one is not None:
                reasons = [
                    *_odd_volume(meshes.surfaces[name], one),
                    *_odd_place(name, one, meshes.surfaces, known),
                    *_odd_pieces(pieces, one),
                    *reasons,
                ]
            checked = one is not None and one.volume_ml is not None
            found[name] = reasons if reasons or checked else None
    return found


def inference_remarks(
    meshes: HeartMeshes,
    known: VertexAttributes,
    usual: UsualHeart | None,
    partial: bool | None = None,
) -> tuple[str, ...]:
    """Return remarks on what the model has not learned to infer, and on what cannot be checked.

    Args:
        meshes: The heart's meshes.
        known: Visibility of their vertices.
        usual: What is usual in the model's training hearts; None if it is not known.
        partial: Whether parts of hearts were hidden in its training; None if it is not known.
    """
    inferred = []
    for name in meshes.specks.pieces:
        share = 0.0 if name in known.hidden else 1.0
        if name in known.observed:
            share = float(known.observed[name].mean())
        if share < OBSERVED_SHARE:
            inferred.append(f"{1 - share:.0%} of {name}" if share else name)
    never_learned = (whole_only_remark(inferred),) if inferred and partial is False else ()
    return (*never_learned, *_unchecked(meshes, known, usual))


def whole_only_remark(inferred: Sequence[str]) -> str:
    """Say that a model never learned to infer, and which presets train one that does.

    Args:
        inferred: What it infers all the same.
    """
    from vecsetx.presets import PRESETS

    *others, last = (name for name in PRESETS if PRESETS[name].partial.hides)
    return (
        f"{WHOLE_ONLY}, so what it infers is not to be trusted ({', '.join(inferred)}): train one "
        f"that learns to infer, with --preset {', '.join(others)} or {last}"
    )


def _unchecked(
    meshes: HeartMeshes, known: VertexAttributes, usual: UsualHeart | None
) -> tuple[str, ...]:
    """Return remarks on what was inferred, but could not be held against training hearts."""
    inferred = [name for name in meshes.surfaces if _inferred(name, known)]
    if not inferred:
        return ()
    if usual is None:
        return (
            "what is inferred was not checked against training hearts: the model does not say what "
            "is usual in them (it was trained with an earlier version); train it again",
        )
    few = []
    for name in inferred:
        one = _usual_of(name, usual)
        if one is None or one.volume_ml is None:
            few.append(f"{name} (whole in {one.hearts if one else 0})")
    if not few:
        return ()
    return (
        f"not checked against training hearts, as at least {MIN_HEARTS} must have the structure "
        f"whole: {', '.join(few)}",
    )


def _usual_of(name: str, usual: UsualHeart | None) -> UsualStructure | None:
    return None if usual is None else usual.structures.get(name)


def _inferred(name: str, known: VertexAttributes) -> bool:
    return bool(known.observed[name].mean() < _OBSERVED_SHARE)


def _odd_volume(surface: Surface, usual: UsualStructure) -> Iterator[str]:
    if usual.volume_ml is None:
        return
    ml = surface.volume_mm3 / 1000
    low, high = usual.volume_ml.within(usual.volume_ml.limit(MAX_Z))
    if not low <= ml <= high:
        usual_ml = f"{_figure(low)} to {_figure(high)} ml"
        yield f"{_figure(ml)} ml in its mesh, and training hearts have {usual_ml}"


def _odd_place(
    name: str, usual: UsualStructure, surfaces: Mapping[str, Surface], known: VertexAttributes
) -> Iterator[str]:
    """Judge the distances to the structures that are observed; report the oddest."""
    oddest, sentence = 1.0, ""  # as a multiple of the limit
    centroid_mm = surfaces[name].centroid_mm
    for other, distance in usual.distances.items():
        if other not in surfaces or _inferred(other, known):
            continue
        other_ml = surfaces[other].volume_mm3 / 1000
        if other_ml <= 0:
            continue
        value = scaled_distance(centroid_mm, surfaces[other].centroid_mm, other_ml)
        limit = distance.limit(PLACE_Z)
        if (size := abs(distance.z(value)) / limit) <= oddest:
            continue
        scale = float(np.linalg.norm(centroid_mm - surfaces[other].centroid_mm)) / value
        low, high = (bound * scale for bound in distance.within(limit))
        oddest = size
        sentence = (
            f"its centre is {value * scale:.1f} mm from that of {other}, and training hearts have "
            f"{low:.1f} to {high:.1f} mm"
        )
    if sentence:
        yield sentence


def _odd_pieces(pieces: int, usual: UsualStructure) -> Iterator[str]:
    if usual.most_pieces is not None and pieces > usual.most_pieces:
        yield f"{pieces} pieces, and training hearts have at most {usual.most_pieces}"


def _uncertain(surface: Surface, name: str, known: VertexAttributes) -> Iterator[str]:
    """Compare the mean standard deviation of what is inferred with the mean thickness ``2 V / A``.

    A surface that is off by δ on average changes the volume by ``A δ``, so that Dice falls to about
    ``1 − A δ / 2V``; of a normal distribution with standard deviation σ, the mean of δ is 0.8 σ.
    """
    if name not in known.sd_mm:
        return
    sd_mm = float(known.sd_mm[name][~known.observed[name]].mean())
    thickness_mm = max(2 * surface.volume_mm3 / surface.area_mm2, 0.0)
    if sd_mm > _UNCERTAIN_SHARE * thickness_mm:
        yield (
            f"its surface has a standard deviation of {sd_mm:.1f} mm, more than half of its mean "
            f"thickness of {thickness_mm:.1f} mm"
        )


def _figure(value: float) -> str:
    """Format a volume with a decimal, and small ones with two digits."""
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"
