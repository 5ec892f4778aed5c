"""Calibration of standard deviations: how often the true surface lies within a multiple of them.

The distance of a true surface from its reconstruction is assumed to be normally distributed, so
that 68.3, 95.4 and 99.7% of the vertices should lie within 1, 2 and 3 standard deviations.
Kuleshov et al. (ICML 2018) plot the same shares as a curve, Levi et al. (Sensors 2022) compare
errors and standard deviations in bins.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import igl
import numpy as np
from jaxtyping import Float
from scipy import special

from vecsetx.errors import InputError
from vecsetx.inference.ensemble import Ensemble
from vecsetx.inference.visibility import Visibility
from vecsetx.reconstruction.surfaces import Surface

__all__ = [
    "EXPECTED",
    "MULTIPLES",
    "Calibration",
    "VertexErrors",
    "summarize_structures",
    "vertex_errors",
]

MULTIPLES = (1, 2, 3)
"""Multiples of the standard deviation within which vertices are counted."""

EXPECTED = tuple(math.erf(multiple / math.sqrt(2)) for multiple in MULTIPLES)
"""Expected shares of the vertices within :data:`MULTIPLES` standard deviations, 0…1."""

_VERTICES = 500
"""Largest number of vertices of a surface, so that large and small ones weigh about the same."""

_NOMINAL = (*np.linspace(0.05, 0.95, 19).round(2).tolist(), 0.98, 0.99)
"""Expected shares at which the curve has points."""

_BINS = 10
_LEAST_SD_MM = 1e-6
"""Lower bound, for members that agree to the last digit."""


@dataclass(frozen=True, slots=True)
class VertexErrors:
    """Errors and standard deviations at n vertices of inferred surfaces of one or more hearts.

    Attributes:
        error_mm: Distance to the true surface, mm, not negative.
        sd_mm: Predicted standard deviation, mm.
    """

    error_mm: Float[np.ndarray, " n"]
    sd_mm: Float[np.ndarray, " n"]

    @classmethod
    def joined(cls, several: Iterable["VertexErrors"]) -> "VertexErrors":
        """Concatenate several; without any, there are no vertices."""
        found = [np.stack([one.error_mm, one.sd_mm]) for one in several]
        error_mm, sd_mm = np.concatenate([np.empty((2, 0)), *found], axis=1)
        return cls(error_mm, sd_mm)

    def scaled(self, factor: float) -> "VertexErrors":
        """Return the same errors, with the standard deviations multiplied by ``factor``."""
        return replace(self, sd_mm=factor * self.sd_mm)


@dataclass(frozen=True, slots=True)
class Bin:
    """Vertices with similar standard deviations.

    Attributes:
        sd_mm, error_mm: Root mean squares of the standard deviations and of the errors; they are
            equal if the standard deviations are right.
        vertices: Number of vertices.
    """

    sd_mm: float
    error_mm: float
    vertices: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well standard deviations agree with errors.

    Attributes:
        vertices: Number of vertices.
        mean_sd_mm: Mean standard deviation over all vertices.
        rms_error_mm: Root mean square error over all vertices.
        within: Shares of the vertices whose error is at most :data:`MULTIPLES` standard deviations,
            0…1.
        nominal, observed: The same as a curve: expected and observed shares, 0…1.
        bins: Groups of equal size, sorted by standard deviation (reliability diagram).
        factor: Factor by which to multiply the standard deviations, so that the expected share
            (:data:`EXPECTED`) of the vertices lies within two of them.
        rank_correlation: Spearman correlation of error and standard deviation, −1…1: whether large
            standard deviations show where errors are large. None if either is constant.
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
        """Compute the calibration of the standard deviations.

        Raises:
            InputError: There are no vertices.
        """
        error_mm, sd_mm = errors.error_mm, np.maximum(errors.sd_mm, _LEAST_SD_MM)
        if len(error_mm) == 0:
            raise InputError("there is no inferred surface to compare with a true one; add hearts")
        multiples = error_mm / sd_mm
        # Multiples of the standard deviation that contain each expected share of a normal variable.
        limits = math.sqrt(2) * special.erfinv(np.array(_NOMINAL))
        varied = np.ptp(error_mm) > 0 and np.ptp(sd_mm) > 0
        # Bins of equal size; a stable sort makes ties reproducible.
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
            # The multiple that contains 95.4% of the errors should be 2.
            factor=float(np.quantile(multiples, EXPECTED[1]) / 2),
            rank_correlation=_rank_correlation(error_mm, sd_mm) if varied else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return asdict(self)


def summarize_structures(
    hearts: Sequence[Mapping[str, VertexErrors]], structures: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """Summarize the calibration of each structure as plain data.

    Args:
        hearts: For each heart, structure → errors; no vertices if the structure was missed.
        structures: The structures to summarize.

    Returns:
        Structure → ``hearts`` (number of hearts in which it was inferred), ``missed`` (number of
        those in which it was not reconstructed), ``within``, ``mean_sd_mm`` and
        ``rms_error_mm`` (as in :class:`Calibration`; None without vertices).
    """
    summary: dict[str, dict[str, Any]] = {}
    for name in structures:
        found = [of_heart[name] for of_heart in hearts if name in of_heart]
        joined = VertexErrors.joined(found)
        of_all = Calibration.of(joined) if len(joined.sd_mm) else None
        summary[name] = {
            "hearts": len(found),
            "missed": sum(len(errors.sd_mm) == 0 for errors in found),
            "within": of_all and of_all.within,
            "mean_sd_mm": of_all and of_all.mean_sd_mm,
            "rms_error_mm": of_all and of_all.rms_error_mm,
        }
    return summary


def vertex_errors(
    surfaces: Mapping[int, tuple[Surface, Surface]],
    ensemble: Ensemble,
    generator: np.random.Generator,
    observed: Visibility | None = None,
    known: Visibility | None = None,
) -> VertexErrors:
    """Compute errors and standard deviations at random inferred vertices of some structures.

    Args:
        surfaces: Index 0…K−1 of a structure → its reconstructed and its true surface.
        ensemble: Members encoded from the same observation as the reconstruction.
        generator: Chooses at most 500 vertices of each structure.
        observed: The model's visibility of the heart: observed vertices are left out, since they
            are not inferred. None: all vertices are inferred.
        known: The truth's own visibility: vertices beyond its field of view are left out, since the
            truth is unknown there. None: it is known everywhere.
    """
    vertices_mm, structure, error_mm = [np.empty((0, 3))], [np.empty(0, int)], [np.empty(0)]
    for k, (reconstructed, true) in surfaces.items():
        inferred_mm = reconstructed.vertices_mm
        if observed is not None:
            inferred_mm = inferred_mm[~observed.observed_vertices(inferred_mm, k)]
        if known is not None:
            inferred_mm = inferred_mm[known.observed_vertices(inferred_mm, k)]
        chosen_mm = generator.permutation(inferred_mm)[:_VERTICES].astype(np.float64)
        if len(chosen_mm) == 0:
            continue
        squared, *_ = igl.point_mesh_squared_distance(
            chosen_mm, true.vertices_mm.astype(np.float64), true.faces
        )
        vertices_mm.append(chosen_mm)
        structure.append(np.full(len(chosen_mm), k))
        error_mm.append(np.sqrt(squared))
    numbers = np.concatenate(structure)
    if len(numbers) == 0:
        return VertexErrors.joined([])
    # One query of the ensemble for all structures: its fields compute all K distances anyway.
    sd_mm = ensemble.spread(np.concatenate(vertices_mm)).sd_mm[np.arange(len(numbers)), numbers]
    return VertexErrors(np.concatenate(error_mm), sd_mm.astype(np.float64))


def _rank_correlation(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    """Return Spearman's rank correlation, −1…1."""
    from scipy import stats  # here, because it takes half a second to import

    return float(stats.spearmanr(first, second)[0])


def _rms(values: Float[np.ndarray, " n"]) -> float:
    return float(np.sqrt(np.mean(values**2)))
