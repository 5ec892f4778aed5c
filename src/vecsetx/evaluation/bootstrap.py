"""Bootstrap confidence intervals of means over hearts."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

__all__ = ["MIN_HEARTS", "Bootstrap", "mean_over_structures"]

MIN_HEARTS = 10
"""Minimum number of hearts for an interval. Resamples of fewer hearts vary too little, so that the
interval would be too narrow; their range and number say what is known."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The percentile bootstrap (Efron and Tibshirani 1993) over hearts.

    Whole hearts are resampled with replacement, because the structures of a heart are not
    independent.

    Attributes:
        resamples: Number of resamples.
        level: Confidence level: share of the resamples' means inside the interval.
        seed: Seed of the resampling.
    """

    resamples: int = 2000
    level: float = 0.95
    seed: int = 0

    def interval(self, values: Float[np.ndarray, "hearts structures"]) -> list[float] | None:
        """Compute the confidence interval of :func:`mean_over_structures`.

        Args:
            values: NaN where there is no value.

        Returns:
            Its two ends; None for fewer than :data:`MIN_HEARTS` hearts with values.
        """
        with_values = values[~np.isnan(values).all(axis=1)]
        if len(with_values) < MIN_HEARTS:
            return None
        if len(np.unique(with_values, axis=0)) == 1:  # scipy warns if all resamples are the same
            return [mean_over_structures(with_values)] * 2
        from scipy import stats  # here, because it takes half a second to import

        # scipy resamples one-dimensional data, so it gets the hearts' indices.
        def statistic(indices: Int[np.ndarray, "..."], axis: int) -> np.ndarray:
            return _means(with_values[np.moveaxis(indices, axis, -1)])

        found = stats.bootstrap(
            (np.arange(len(with_values)),),
            statistic,
            n_resamples=self.resamples,
            batch=100,  # all resamples of many hearts at once would not fit into memory
            confidence_level=self.level,
            method="percentile",
            rng=np.random.default_rng(self.seed),
        ).confidence_interval
        return [float(found.low), float(found.high)]


def mean_over_structures(values: Float[np.ndarray, "hearts structures"]) -> float:
    """Average each structure over the hearts, then the structures: all have equal weight.

    Args:
        values: NaN where there is no value; at least one value is required.
    """
    return float(_means(values))


def _means(values: Float[np.ndarray, "*n hearts structures"]) -> np.ndarray:
    # Not nanmean: it warns where a structure has no value in any heart of a resample.
    is_value = ~np.isnan(values)
    counts = is_value.sum(axis=-2)
    sums = np.where(is_value, values, 0).sum(axis=-2)
    means = sums / np.maximum(counts, 1)
    scored = counts > 0
    return np.asarray(np.where(scored, means, 0).sum(axis=-1) / scored.sum(axis=-1))
