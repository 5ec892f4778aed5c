"""An ensemble of latent sets of one heart, and how far the surfaces of its members lie apart.

A member is another field of the same heart, encoded from a random part of what is observed of it.
Near a surface, a member's own distance at a vertex is how far its surface lies from that vertex (to
first order), so the root mean square over the members is the standard deviation of the surface
there, about the place where it is drawn. Ensembles of networks are judged alike (Lakshminarayanan
et al., NeurIPS 2017); here the network is one and its input varies, which costs no further
training.

What the members vary was measured on phantoms with three of ten structures hidden (lab log,
2026-11-23): points alone tell too little of what is hidden. With few points and latents, and some
of what is observed hidden as well, the members lie apart where the model is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32

from vecsetx.anatomy.frame import Frame
from vecsetx.errors import InputError
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.visibility import Visibility
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.distance_field import DistanceField, exclusive_distances
from vecsetx.sampling.geometry import Geometry
from vecsetx.sampling.sampler import Observation, observe


@dataclass(frozen=True, slots=True)
class Spread:
    """How far the members lie apart at some points, for each structure.

    Attributes:
        sd_mm: Standard deviation of the structure's surface, were it to pass through the point.
        beyond_reach: Whether a member's surface is farther away than distances can be relied on.
            Then
            the standard deviation is too small: that surface counts as if it lay that far away.
    """

    sd_mm: Float32[np.ndarray, "n k"]
    beyond_reach: Bool[np.ndarray, "n k"]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Several members of one heart.

    Attributes:
        members: The fields, each of K structures in one order.
        shown: Whether each member was shown each structure. A structure that some members were
            shown is judged by these alone: the heart's own field was shown it as well.
        factor: What the members' spread is multiplied by, for all structures or for each of them,
            measured on hearts whose truth is known (``vecsetx calibrate``); 1 where nobody did.
        exclusive: Whether the surfaces are those of structures that share their walls, and not of
            each structure by itself.
    """

    members: tuple[DistanceField, ...]
    shown: Bool[np.ndarray, "d k"]
    factor: float | Float[np.ndarray, " k"] = 1.0
    exclusive: bool = True

    @property
    def reach_mm(self) -> float:
        """No surface counts as farther away than this; standard deviations end at factor × this."""
        return min(member.reach_mm for member in self.members)

    def spread(self, points_mm: Float[np.ndarray, "n 3"]) -> Spread:
        """Ask every member at some points, as a rule the vertices of the heart's surfaces.

        Args:
            points_mm: RAS+ mm.
        """
        counts = self.shown | ~self.shown.any(axis=0)
        reach_mm = self.reach_mm
        squares = np.zeros((len(points_mm), self.shown.shape[1]))
        beyond = np.zeros(squares.shape, dtype=bool)
        for member, counted in zip(self.members, counts, strict=True):
            distances = member.distances_mm(points_mm)
            if self.exclusive:
                distances = exclusive_distances(distances)
            off_mm = np.abs(distances)
            squares += np.where(counted, np.minimum(off_mm, reach_mm) ** 2, 0)
            beyond |= counted & (off_mm >= reach_mm)
        sd_mm = self.factor * np.sqrt(squares / counts.sum(axis=0))
        return Spread(sd_mm.astype(np.float32), beyond)

    def mapped(self, change: Callable[[DistanceField], DistanceField]) -> "Ensemble":
        """The same with every member changed alike, as the heart's own field was."""
        return replace(self, members=tuple(map(change, self.members)))


MEMBERS = 8
"""Members that give a standard deviation to about a quarter of itself."""

_POINTS, _LATENTS, _HIDDEN = 4, 2, 3
"""A member has this part of the points and of the latents of training, and lacks this part of the
observed structures, if there are so many."""


def encode_ensemble(
    shown: Geometry | Observation,
    trained: TrainedModel,
    count: int,
    seed: int,
    factor: float | Float[np.ndarray, " k"] = 1.0,
    domain: Frame | None = None,
) -> Ensemble:
    """Show parts of a heart to a model.

    Each member is shown a quarter of the points and has half of the latents of the training,
    whatever
    the heart itself is shown, so that a factor holds for all; and it lacks a random third of the
    observed structures, if there are three or more. Its frame is that of what it is shown. Members
    are not refined.

    Args:
        shown: What is observed of the heart: structures in space, or labelled surface points.
        trained: The model.
        count: Members, 1 or more.
        seed: Seed of all members. The first of them are the same, however many there are.
        factor: As in :class:`~vecsetx.inference.ensemble.Ensemble`.
        domain: That of the heart's own field, about which the members are asked; None: each about
            what it was shown.
    """
    drawn = [_member(shown, trained, np.random.default_rng([seed, n])) for n in range(count)]
    fields = tuple(replace(field, domain=domain or field.domain) for field, _ in drawn)
    return Ensemble(fields, np.stack([present for _, present in drawn]), factor)


def refuse_recycled_ensemble(members: int, options: EncodeOptions) -> None:
    """Raise :class:`InputError` if an ensemble is asked for of hearts that are recycled.

    Their spread is calibrated for what a model makes at first.
    """
    if members and options.recycle:
        raise InputError(
            f"--ensemble {members} and --recycle {options.recycle} exclude each other: the "
            "standard deviations hold for what the model makes at first; ask for one of them"
        )


def _member(
    shown: Geometry | Observation, trained: TrainedModel, generator: np.random.Generator
) -> tuple[HeartField, Bool[np.ndarray, " k"]]:
    """A member, and which structures it was shown."""
    spec = trained.network.spec
    latents = max(spec.anchors // _LATENTS, 1) if spec.queries != "learnable" else None
    points = max(trained.points // _POINTS, latents or 1)
    present = _present(shown, len(trained.structures))
    hidden = np.zeros_like(present)
    names = np.flatnonzero(present)
    hidden[generator.permutation(names)[: len(names) // _HIDDEN]] = True
    if isinstance(shown, Geometry):
        left = shown.without(hidden)
        observation = observe(left, points, trained.mm_per_unit, int(generator.integers(2**32)))
    else:
        observation = _some(shown, hidden, points, generator)
    if latents is not None:
        latents = min(latents, len(observation.points_mm))
    return trained.encode(observation, latents), present & ~hidden


def _present(shown: Geometry | Observation, structure_count: int) -> Bool[np.ndarray, " k"]:
    if isinstance(shown, Geometry):
        return Visibility.of_geometry(shown).present
    return Visibility.of_points(shown.structure, structure_count).present


def _some(
    whole: Observation,
    hidden: Bool[np.ndarray, " k"],
    count: int,
    generator: np.random.Generator,
) -> Observation:
    """So many points of structures that are not hidden, at most half of them."""
    left = np.flatnonzero(~hidden[whole.structure])
    chosen = generator.permutation(left)[: min(count, -(-len(left) // 2))]
    points_mm, normals = whole.points_mm[chosen], whole.normals
    frame = Frame.around(points_mm, whole.frame.mm_per_unit)
    drawn = None if normals is None else normals[chosen]
    return Observation(points_mm, whole.structure[chosen], drawn, frame)
