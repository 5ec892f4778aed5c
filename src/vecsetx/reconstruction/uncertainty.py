"""How sure a reconstruction is: how far the surfaces of several draws of one heart lie apart.

A draw is another field of the same heart, made from a random part of what is observed of it. Near a
surface, a draw's own distance at a vertex is how far its surface lies from that vertex (to first
order), so the root mean square over the draws is the standard deviation of the surface there, about
the place where it is drawn. Ensembles of networks are judged alike (Lakshminarayanan et al.,
NeurIPS 2017); here the network is one and its input varies, which costs no further training.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32

from vecsetx.reconstruction.field import DistanceField, exclusive_distances


@dataclass(frozen=True, slots=True)
class Spread:
    """How far the draws lie apart at some points, for each structure.

    Attributes:
        sd_mm: Standard deviation of the structure's surface, were it to pass through the point.
        beyond_reach: Whether a draw's surface is farther away than distances can be relied on. Then
            the standard deviation is too small: that surface counts as if it lay that far away.
    """

    sd_mm: Float32[np.ndarray, "n k"]
    beyond_reach: Bool[np.ndarray, "n k"]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Several draws of one heart.

    Attributes:
        draws: The fields, each of K structures in one order.
        shown: Whether each draw was shown each structure. A structure that some draws were shown is
            judged by these alone: the heart's own field was shown it as well.
        factor: What the draws' spread is multiplied by, for all structures or for each of them,
            measured on hearts whose truth is known (``vecsetx calibrate``); 1 where nobody did.
        exclusive: Whether the surfaces are those of structures that share their walls, and not of
            each structure by itself.
    """

    draws: tuple[DistanceField, ...]
    shown: Bool[np.ndarray, "d k"]
    factor: float | Float[np.ndarray, " k"] = 1.0
    exclusive: bool = True

    @property
    def reach_mm(self) -> float:
        """No surface counts as farther away than this; standard deviations end at factor × this."""
        return min(draw.reach_mm for draw in self.draws)

    def spread(self, points_mm: Float[np.ndarray, "n 3"]) -> Spread:
        """Ask every draw at some points, as a rule the vertices of the heart's surfaces.

        Args:
            points_mm: RAS+ mm.
        """
        counts = self.shown | ~self.shown.any(axis=0)
        reach_mm = self.reach_mm
        squares = np.zeros((len(points_mm), self.shown.shape[1]))
        beyond = np.zeros(squares.shape, dtype=bool)
        for draw, counted in zip(self.draws, counts, strict=True):
            distances = draw.distances_mm(points_mm)
            if self.exclusive:
                distances = exclusive_distances(distances)
            off_mm = np.abs(distances)
            squares += np.where(counted, np.minimum(off_mm, reach_mm) ** 2, 0)
            beyond |= counted & (off_mm >= reach_mm)
        sd_mm = self.factor * np.sqrt(squares / counts.sum(axis=0))
        return Spread(sd_mm.astype(np.float32), beyond)

    def mapped(self, change: Callable[[DistanceField], DistanceField]) -> "Ensemble":
        """The same with every draw changed alike, as the heart's own field was."""
        return replace(self, draws=tuple(map(change, self.draws)))
