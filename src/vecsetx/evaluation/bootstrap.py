"""Intervals of means, by drawing hearts anew."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are found: the percentile bootstrap (Efron, Tibshirani 1993) over hearts.

    Hearts are drawn with replacement, whole: the structures of one heart are not independent.

    Attributes:
        resamples: How often as many hearts are drawn as there are.
        level: Share of the draws' means that the interval holds.
        seed: The same seed gives the same intervals.
    """

    resamples: int = 2000
    level: float = 0.95
    seed: int = 0

    def interval(self, values: Float[np.ndarray, "hearts structures"]) -> list[float] | None:
        """Interval of :func:`mean_over_structures`.

        Args:
            values: NaN where there is nothing.

        Returns:
            Its two ends; None for fewer than two hearts.
        """
        there = values[~np.isnan(values).all(axis=1)]
        if len(there) < 2:
            return None
        if len(np.unique(there, axis=0)) == 1:  # scipy warns where every draw is the same
            return [mean_over_structures(there)] * 2

        def statistic(drawn: Int[np.ndarray, "..."], axis: int) -> np.ndarray:
            return _means(there[np.moveaxis(drawn, axis, -1)])

        found = stats.bootstrap(
            (np.arange(len(there)),),
            statistic,
            n_resamples=self.resamples,
            batch=100,  # of many hearts, all draws at once would fill the memory
            confidence_level=self.level,
            method="percentile",
            rng=np.random.default_rng(self.seed),
        ).confidence_interval
        return [float(found.low), float(found.high)]


def mean_over_structures(values: Float[np.ndarray, "hearts structures"]) -> float:
    """Mean over the structures of their means over the hearts: every structure weighs the same.

    Args:
        values: NaN where there is nothing, but not everywhere.
    """
    return float(_means(values))


def _means(values: Float[np.ndarray, "*n hearts structures"]) -> np.ndarray:
    there = ~np.isnan(values)
    counts = there.sum(axis=-2)
    sums = np.where(there, values, 0).sum(axis=-2)
    means = sums / np.maximum(counts, 1)
    scored = counts > 0
    return np.asarray(np.where(scored, means, 0).sum(axis=-1) / scored.sum(axis=-1))
