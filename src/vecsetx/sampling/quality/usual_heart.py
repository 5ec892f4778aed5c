"""What is usual in the hearts that a model is trained on: volumes, places and numbers of pieces.

What a model infers has no truth to be held against, but it has the hearts that the model learned
from. The place of a structure is its surface's centroid, seen from the other structures: as the
distance to each one's centroid, which depends neither on the scanner's axes nor on which other
structures are shown. Larger hearts are wider, so that a distance is judged by the volume of the
structure that it starts from. If hearts only differed in size, distances would grow with the cube
root of a volume; volumes also differ by phase and shape, and half that exponent left the fewest
displaced structures unnoticed (lab log, 2026-11-28).
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float
from pydantic import ConfigDict, Field

from vecsetx.errors import InputError
from vecsetx.sampling.quality.cohort import MIN_HEARTS, Usual, whole_volumes_ml
from vecsetx.sampling.samples import SamplesFile

__all__ = ["UsualHeart", "UsualStructure", "scaled_distance"]

_log = logging.getLogger(__name__)

_POINTS = 10_000
"""Surface points of a heart that give its centroids: to about 1 mm, a fraction of their spread."""

_EXPONENT = 1 / 6
"""How distances grow with the volume of the structure that they start from."""

_LEAST_MM = 1.0
"""Smaller distances count as this; logarithms of almost nothing vary without meaning."""

_PIECES_Z = 4.0
"""Robust z-score, in pieces, up to which a number of pieces is usual …"""

_PIECES_SHARE = 0.98
"""… and so is a number that this share of the hearts does not exceed."""

_FEW_HEARTS = 50
"""With fewer hearts, one piece more than any of them has is usual, too."""

_VOLUMES_ML = 1e-6, 1e6
"""Other volumes are damaged files, which tell nothing."""

_Count = Annotated[int, Field(ge=0, le=10**9)]
_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class UsualStructure:
    """What is usual for one structure.

    Attributes:
        hearts: Number of hearts that have it whole, not cut by the field of view.
        lacking_share: Share, 0…1, of the hearts annotating it that lack it.
        volume_ml: Its volume; None with fewer than :data:`MIN_HEARTS` hearts.
        most_pieces: Largest usual number of its pieces; None with fewer hearts.
        distances: Other structure → :func:`scaled_distance` from its centroid to this one's. Those
            that fewer than :data:`MIN_HEARTS` hearts have whole together with this one are missing.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    hearts: _Count
    lacking_share: _Share
    volume_ml: Usual | None
    most_pieces: _Count | None
    distances: Mapping[str, Usual]


@dataclass(frozen=True, slots=True)
class UsualHeart:
    """What is usual for every structure of a cohort.

    Attributes:
        hearts: Number of hearts.
        structures: Structure → what is usual for it.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    hearts: _Count
    structures: Mapping[str, UsualStructure]

    @classmethod
    def of(
        cls,
        structures: Sequence[str],
        files: Iterable[SamplesFile],
        annotated: Iterable[Sequence[str]],
    ) -> "UsualHeart":
        """Find what is usual in prepared hearts. Files that cannot be read are left out.

        Args:
            structures: The K structures of the data set.
            files: The hearts' samples.
            annotated: The structures that each of them annotates.
        """
        hearts = []
        for file, names in zip(files, annotated, strict=True):
            try:
                hearts.append(_Measured.of(file, names))
            except InputError as error:
                _log.warning("left out of what is usual: %s", error)
        return cls(len(hearts), {name: _usual(name, hearts) for name in structures})

    def unknown_names(self, structures: Sequence[str]) -> set[str]:
        """Return the names in it that are not among those of a model's structures."""
        others = (usual.distances for usual in self.structures.values())
        return {*self.structures, *(name for names in others for name in names)} - {*structures}


@dataclass(frozen=True, slots=True)
class _Measured:
    """One heart: volumes, numbers of pieces and centroids of its whole structures."""

    volumes_ml: Mapping[str, float]
    pieces: Mapping[str, int]
    centroids_mm: Mapping[str, Float[np.ndarray, "3"]]
    present: frozenset[str]
    annotated: frozenset[str]

    @classmethod
    def of(cls, file: SamplesFile, annotated: Sequence[str]) -> "_Measured":
        info = file.info
        # The points are in random order and uniform on each surface: any of them will do.
        read = file.part((0, min(_POINTS, file.count("surface"))), (0, 0), (0, 0)).surface
        low, high = _VOLUMES_ML
        whole = whole_volumes_ml(info).items()
        volumes_ml = {name: ml for name, ml in whole if low < ml < high and name in info.pieces}
        centroids_mm = {}
        for k, name in enumerate(info.structures):
            points_mm = read.points_mm[read.structure == k].astype(np.float64)
            if name in volumes_ml and len(points_mm) and np.isfinite(points_mm).all():
                centroids_mm[name] = points_mm.mean(axis=0)
        pieces = {name: info.pieces[name] for name in volumes_ml}
        return cls(
            volumes_ml, pieces, centroids_mm, frozenset(info.structures), frozenset(annotated)
        )


def scaled_distance(
    centroid_mm: Float[np.ndarray, "3"], other_mm: Float[np.ndarray, "3"], other_ml: float
) -> float:
    """Distance between two centroids, mm, divided by the sixth root of the other's volume in ml."""
    distance_mm = max(float(np.linalg.norm(centroid_mm - other_mm)), _LEAST_MM)
    return distance_mm / other_ml**_EXPONENT


def _usual(name: str, hearts: Sequence[_Measured]) -> UsualStructure:
    annotating = [heart for heart in hearts if name in heart.annotated]
    whole = [heart for heart in hearts if name in heart.volumes_ml]
    lacking = sum(name not in heart.present for heart in annotating)
    others = dict.fromkeys(other for heart in whole for other in heart.centroids_mm)
    enough = len(whole) >= MIN_HEARTS
    return UsualStructure(
        hearts=len(whole),
        lacking_share=lacking / max(len(annotating), 1),
        volume_ml=Usual.of(np.array([h.volumes_ml[name] for h in whole])) if enough else None,
        most_pieces=_most_pieces([h.pieces[name] for h in whole]) if enough else None,
        distances={
            other: Usual.of(np.array(distances))
            for other in others
            if other != name and len(distances := _distances(name, other, whole)) >= MIN_HEARTS
        },
    )


def _distances(name: str, other: str, hearts: Sequence[_Measured]) -> list[float]:
    return [
        scaled_distance(
            heart.centroids_mm[name], heart.centroids_mm[other], heart.volumes_ml[other]
        )
        for heart in hearts
        if name in heart.centroids_mm and other in heart.centroids_mm
    ]


def _most_pieces(pieces: Sequence[int]) -> int:
    """Return the largest usual number of pieces.

    The median absolute deviation alone is 0 as soon as most hearts agree, the share of hearts alone
    is no more than the most that few hearts show.
    """
    median = float(np.median(pieces))
    spread = 1.4826 * float(np.median(np.abs(np.array(pieces) - median)))
    share = float(np.quantile(pieces, _PIECES_SHARE, method="higher"))
    return int(max(median + _PIECES_Z * spread, share)) + (len(pieces) < _FEW_HEARTS)
