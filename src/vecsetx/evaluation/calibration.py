"""Whether standard deviations are right: how often the true surface lies within some of them.

Surfaces are said to lie about their place as a normal distribution has it, so that within 1, 2 and
3 standard deviations there should be 68.3, 95.4 and 99.7 % of the vertices (Kuleshov et al., ICML
2018, draw the same as a curve; Levi et al., Sensors 2022, compare in bins).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import igl
import numpy as np
from jaxtyping import Float
from scipy import special, stats

from vecsetx.errors import InputError
from vecsetx.inference.ensemble import Ensemble
from vecsetx.inference.visibility import Visibility
from vecsetx.reconstruction.surfaces import Surface

MULTIPLES = (1, 2, 3)
"""Standard deviations within which the share of the vertices is told."""

EXPECTED = tuple(math.erf(multiple / math.sqrt(2)) for multiple in MULTIPLES)
"""The share that should be there, 0…1."""

VERTICES = 500
"""Vertices of a surface at most: each surface weighs about the same, large or small."""

_NOMINAL = (*np.linspace(0.05, 0.95, 19).round(2).tolist(), 0.98, 0.99)
_BINS = 10
_LEAST_SD_MM = 1e-6  # of draws that agree to the last digit


@dataclass(frozen=True, slots=True)
class VertexErrors:
    """Some vertices of inferred surfaces, of one or of many hearts.

    Attributes:
        error_mm: Distance to the true surface, not negative.
        sd_mm: The standard deviation that is stated.
    """

    error_mm: Float[np.ndarray, " n"]
    sd_mm: Float[np.ndarray, " n"]

    @classmethod
    def joined(cls, several: Iterable["VertexErrors"]) -> "VertexErrors":
        """All vertices of several; none of none."""
        found = [np.stack([one.error_mm, one.sd_mm]) for one in several]
        error_mm, sd_mm = np.concatenate([np.empty((2, 0)), *found], axis=1)
        return cls(error_mm, sd_mm)

    def scaled(self, factor: float) -> "VertexErrors":
        """The same errors with standard deviations ``factor`` times as large."""
        return replace(self, sd_mm=factor * self.sd_mm)


@dataclass(frozen=True, slots=True)
class Bin:
    """Vertices of about the same standard deviation.

    Attributes:
        sd_mm, error_mm: Root mean squares of the standard deviations and of the errors, which are
            equal where the former are right.
        vertices: How many there are.
    """

    sd_mm: float
    error_mm: float
    vertices: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """What standard deviations are worth.

    Attributes:
        vertices: How many were looked at.
        mean_sd_mm, rms_error_mm: Of all of them.
        within: Share of them whose error is at most :data:`MULTIPLES` standard deviations, 0…1.
        nominal, observed: The same as a curve: the share that should be there, and that is.
        bins: Vertices in groups of equal size, by standard deviation.
        factor: What standard deviations have to be multiplied by so that two of them hold as many
            as they should (:data:`EXPECTED`).
        rank_correlation: Of error and standard deviation (Spearman), −1…1: whether it tells where
            the errors are large. None if either is the same everywhere.
    """

    vertices: int
    mean_sd_mm: float
    rms_error_mm: float
    within: tuple[float, ...]
    nominal: tuple[float, ...]
    observed: tuple[float, ...]
    bins: tuple[Bin, ...]
    factor: float
    rank_correlation: float | None

    @classmethod
    def of(cls, errors: VertexErrors) -> "Calibration":
        """Compare errors with standard deviations.

        Raises:
            InputError: There are no vertices.
        """
        error_mm, sd_mm = errors.error_mm, np.maximum(errors.sd_mm, _LEAST_SD_MM)
        if len(error_mm) == 0:
            raise InputError("there is no inferred surface to compare with a true one")
        multiples = error_mm / sd_mm
        limits = math.sqrt(2) * special.erfinv(np.array(_NOMINAL))
        varied = np.ptp(error_mm) > 0 and np.ptp(sd_mm) > 0
        groups = np.array_split(np.argsort(sd_mm, kind="stable"), _BINS)
        return cls(
            vertices=len(error_mm),
            mean_sd_mm=float(sd_mm.mean()),
            rms_error_mm=_rms(error_mm),
            within=tuple(float((multiples <= multiple).mean()) for multiple in MULTIPLES),
            nominal=_NOMINAL,
            observed=tuple(float((multiples <= limit).mean()) for limit in limits),
            bins=tuple(
                Bin(_rms(sd_mm[group]), _rms(error_mm[group]), len(group))
                for group in groups
                if len(group)
            ),
            factor=float(np.quantile(multiples, EXPECTED[1]) / 2),
            rank_correlation=float(stats.spearmanr(error_mm, sd_mm)[0]) if varied else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


def summarize_structures(
    hearts: Sequence[Mapping[str, VertexErrors]], structures: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """What standard deviations are worth of each structure, as plain data.

    Args:
        hearts: Of each heart, structure → its vertices; none where the structure was missed.
        structures: Which structures.

    Returns:
        Structure → ``hearts`` in which it was inferred, ``missed`` (those in which nothing of it
        was reconstructed), ``within``, ``mean_sd_mm`` and ``rms_error_mm`` (as in
        :class:`Calibration`; None where there are no vertices).
    """
    told: dict[str, dict[str, Any]] = {}
    for name in structures:
        found = [of_heart[name] for of_heart in hearts if name in of_heart]
        joined = VertexErrors.joined(found)
        of_all = Calibration.of(joined) if len(joined.sd_mm) else None
        told[name] = {
            "hearts": len(found),
            "missed": sum(len(errors.sd_mm) == 0 for errors in found),
            "within": of_all and of_all.within,
            "mean_sd_mm": of_all and of_all.mean_sd_mm,
            "rms_error_mm": of_all and of_all.rms_error_mm,
        }
    return told


def vertex_errors(
    made: Surface,
    truth: Surface,
    structure: int,
    ensemble: Ensemble,
    generator: np.random.Generator,
    visibility: Visibility | None = None,
) -> VertexErrors:
    """Errors and standard deviations at random vertices of one structure that was inferred.

    Args:
        made: Its reconstructed surface.
        truth: Its true surface.
        structure: Its index 0…K−1.
        ensemble: TrainingBatches that were shown what the reconstruction was made from.
        generator: Source of the choice of :data:`VERTICES` at most.
        visibility: What the true heart shows: vertices where a scan ends are left out, since what
            lies beyond is not known. None if it shows everything.
    """
    vertices_mm = made.vertices_mm
    if visibility is not None:
        vertices_mm = vertices_mm[visibility.observed_vertices(vertices_mm, structure)]
    chosen = generator.permutation(len(vertices_mm))[:VERTICES]
    vertices_mm = vertices_mm[chosen].astype(np.float64)
    if len(vertices_mm) == 0:
        return VertexErrors(np.empty(0), np.empty(0))
    squared, *_ = igl.point_mesh_squared_distance(
        vertices_mm, truth.vertices_mm.astype(np.float64), truth.faces
    )
    sd_mm = ensemble.spread(vertices_mm).sd_mm[:, structure]
    return VertexErrors(np.sqrt(squared), sd_mm.astype(np.float64))


def _rms(values: Float[np.ndarray, " n"]) -> float:
    return float(np.sqrt(np.mean(values**2)))
