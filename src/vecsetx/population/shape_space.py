"""The space of shapes: mean heart and modes of a cohort's tables.

A heart is a table: a row per anchor with its position and its latent. Principal components of the
tables (Jolliffe, "Principal component analysis", 2002) are the modes. Positions and latents have
other scales: both are weighted so that their variances over the cohort are equal, as shape and
appearance are by Cootes et al. ("Active appearance models", IEEE TPAMI 2001;23:681).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from vecsetx.errors import InputError

__all__ = ["FEWEST_HEARTS", "FEW_HEARTS", "HeartTable", "ShapeSpace"]

FEWEST_HEARTS = 3
"""Two hearts have one mode, whose standard deviation nobody can estimate."""

FEW_HEARTS = 20
"""With fewer, modes hold the chance of single hearts."""

_LEADING = 0.9
"""The leading modes hold at least this share of the variance of the positions."""

_FILLINGS, _FILLED = 200, 1e-4
"""Most steps that fill missing rows, and the relative change below which they end."""


@dataclass(frozen=True, slots=True)
class HeartTable:
    """A heart with ordered latents.

    Attributes:
        positions: ``[M, 3]`` position of each anchor, units; 0 where there is none.
        latents: ``[M, Z]`` its latent; 0 where there is none.
        there: ``[M]`` whether the heart has the anchor's structure.
    """

    positions: Float[np.ndarray, "m 3"]
    latents: Float[np.ndarray, "m z"]
    there: Bool[np.ndarray, " m"]


@dataclass(frozen=True, slots=True)
class ShapeSpace:
    """Mean and modes of hearts' tables.

    Attributes:
        mean: ``[M, 3 + Z]`` mean position and latent of each anchor, each times its weight.
        modes: ``[k, M, 3 + Z]`` orthonormal modes, weighted likewise, the largest variance first.
        sd: ``[k]`` standard deviation of the cohort along each mode.
        weight: Weights of positions and of latents.
    """

    mean: Float[np.ndarray, "m d"]
    modes: Float[np.ndarray, "k m d"]
    sd: Float[np.ndarray, " k"]
    weight: tuple[float, float]

    @classmethod
    def fit(cls, hearts: Sequence[HeartTable]) -> "ShapeSpace":
        """Fit the space to a cohort; it has one mode less than hearts.

        Rows that a heart lacks are filled with what its other rows make likely, given the modes of
        all hearts; modes and rows are computed in turns until neither changes.

        Raises:
            InputError: There are fewer than three hearts, or an anchor that no heart has.
        """
        if len(hearts) < FEWEST_HEARTS:
            raise InputError(
                f"a shape space needs at least {FEWEST_HEARTS} hearts, not {len(hearts)}; give more"
            )
        there = np.stack([heart.there for heart in hearts])
        if not there.any(axis=0).all():
            raise InputError("an anchor's structure is in no heart; choose another template")
        weight = _weights(hearts, there)
        rows = np.stack([_weighted(heart, weight) for heart in hearts])
        rows = _filled(rows, there)
        mean = rows.mean(axis=0)
        modes, sd = _modes(rows - mean)
        return cls(mean, modes, sd, weight)

    @property
    def leading(self) -> int:
        """Number of the leading modes, which hold 90% of the variance of the positions.

        Further modes change latents rather than places, or hold the noise of single hearts.
        """
        shares = np.cumsum(self.position_shares)
        return min(int(np.searchsorted(shares, _LEADING)) + 1, len(self.sd))

    @property
    def position_shares(self) -> Float[np.ndarray, " k"]:
        """Share of the variance of the positions along each mode, in 0…1."""
        of_positions = self.sd**2 * (self.modes[:, :, :3] ** 2).sum(axis=(1, 2))
        return of_positions / max(float(of_positions.sum()), 1e-12)

    def filled(self, heart: HeartTable) -> HeartTable:
        """Return a heart with all rows: those that it lacks as its others make likely."""
        if heart.there.all():
            return heart
        rows = _weighted(heart, self.weight)
        whole = _likely(rows, heart.there, self.mean, self.modes, self.sd)
        return self._unweighted(np.where(heart.there[:, None], rows, whole))

    def coordinates(self, heart: HeartTable, modes: int | None = None) -> Float[np.ndarray, " k"]:
        """Return a heart's coordinates, in standard deviations, by the rows that it has.

        Args:
            heart: The heart.
            modes: Number of modes; None for all. Further coordinates are 0.
        """
        k = len(self.sd) if modes is None else modes
        offset = (_weighted(heart, self.weight) - self.mean)[heart.there]
        basis = self.modes[:k, heart.there].reshape(k, offset.size)
        scaled = np.zeros(len(self.sd))
        if heart.there.all():  # the modes are orthonormal
            scaled[:k] = basis @ offset.ravel()
        else:
            scaled[:k], *_ = np.linalg.lstsq(basis.T, offset.ravel(), rcond=None)
        return scaled / np.maximum(self.sd, 1e-12)

    def table(self, coordinates: Float[np.ndarray, " k"]) -> HeartTable:
        """Return the heart at coordinates, in standard deviations along the modes."""
        return self._unweighted(self.mean + np.tensordot(coordinates * self.sd, self.modes, axes=1))

    def _unweighted(self, rows: Float[np.ndarray, "m d"]) -> HeartTable:
        positions, latents = rows[:, :3] / self.weight[0], rows[:, 3:] / self.weight[1]
        there = np.ones(len(rows), dtype=bool)
        return HeartTable(positions.astype(np.float32), latents.astype(np.float32), there)


def _weights(hearts: Sequence[HeartTable], there: np.ndarray) -> tuple[float, float]:
    """Return weights by which the cohort's total variances of positions and of latents are 1."""
    found = []
    for values in ([h.positions for h in hearts], [h.latents for h in hearts]):
        stacked = np.stack(values).astype(np.float64)
        count = there.sum(axis=0)[:, None]
        mean = (stacked * there[..., None]).sum(axis=0) / count
        variance = ((stacked - mean) ** 2 * there[..., None]).sum(axis=0) / np.maximum(count - 1, 1)
        found.append(1 / np.sqrt(max(float(variance.sum()), 1e-12)))
    return found[0], found[1]


def _weighted(heart: HeartTable, weight: tuple[float, float]) -> np.ndarray:
    return np.concatenate(
        [weight[0] * heart.positions.astype(np.float64), weight[1] * heart.latents], axis=1
    )


def _filled(rows: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Fill the rows that hearts lack, ``[N, M, d]``, by the modes of all."""
    if there.all():
        return rows
    lacking = ~there
    mean = (rows * there[..., None]).sum(axis=0) / there.sum(axis=0)[:, None]
    filled = np.where(lacking[..., None], mean, rows)
    for _ in range(_FILLINGS):
        mean = filled.mean(axis=0)
        modes, sd = _modes(filled - mean)
        before, filled = filled, filled.copy()
        for heart in np.flatnonzero(lacking.any(axis=1)):
            whole = _likely(rows[heart], there[heart], mean, modes, sd)
            filled[heart, lacking[heart]] = whole[lacking[heart]]
        if np.abs(filled - before).max() <= _FILLED * max(np.abs(filled).max(), 1e-12):
            break
    return filled


def _likely(
    rows: np.ndarray, seen: np.ndarray, mean: np.ndarray, modes: np.ndarray, sd: np.ndarray
) -> np.ndarray:
    """Return all rows ``[M, d]`` of the heart that the seen ones make likely."""
    # The variance of what is not explained by half of the modes keeps the estimate near the mean.
    kept = max(len(sd) // 2, 1)
    noise = float((sd[kept:] ** 2).mean()) if kept < len(sd) else 0.0
    basis = (modes[:kept] * sd[:kept, None, None])[:, seen].reshape(kept, -1)
    offset = (rows - mean)[seen].ravel()
    normal = basis @ basis.T + max(noise, 1e-12) * np.eye(kept)
    b = np.linalg.solve(normal, basis @ offset)
    return mean + np.tensordot(b * sd[:kept], modes[:kept], axes=1)


def _modes(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return orthonormal modes ``[k, M, d]`` and standard deviations of centred tables."""
    count = len(offsets)
    _, singular, vectors = np.linalg.svd(offsets.reshape(count, -1), full_matrices=False)
    kept = count - 1  # centred tables are linearly dependent
    modes = vectors[:kept]
    # A mode's sign is arbitrary: its largest entry is positive.
    largest = modes[np.arange(kept), np.abs(modes).argmax(axis=1)]
    modes = modes * np.where(largest < 0, -1.0, 1.0)[:, None]
    return modes.reshape(kept, *offsets.shape[1:]), singular[:kept] / np.sqrt(count - 1)
