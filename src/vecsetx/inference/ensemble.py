"""An ensemble of latent sets of one heart, and the spread of its members' surfaces.

A member is another field of the same heart, encoded from a random part of the observation. Near a
surface, a member's distance at a vertex is, to first order, the distance of its own surface from
that vertex. So the root mean square over the members is the standard deviation of the surface about
its vertices. Deep ensembles estimate uncertainty in the same way (Lakshminarayanan et al., NeurIPS
2017); here the network stays the same and its input varies, which needs no further training.

What varies between members was chosen on phantoms with three of ten structures hidden (lab log,
2026-11-23). Different surface points alone make hidden structures vary too little. With few points
and latents, and some observed structures hidden as well, the members differ where the model errs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32

from vecsetx.anatomy.frame import Frame, Rotation
from vecsetx.errors import InputError
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.posing import rotation_of
from vecsetx.inference.visibility import Visibility
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.progress import counted_parts
from vecsetx.reconstruction.distance_field import DistanceField, exclusive_distances
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.sampler import observe


@dataclass(frozen=True, slots=True)
class Spread:
    """The members' spread at some points, for each structure.

    Attributes:
        sd_mm: Standard deviation of the structure's surface, if it passes through the point.
        beyond_reach: Whether a member's surface is farther away than distances are reliable. The
            standard deviation is then too small: that surface counts as if it were at the limit.
    """

    sd_mm: Float32[np.ndarray, "n k"]
    beyond_reach: Bool[np.ndarray, "n k"]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Several fields of one heart, its members.

    Attributes:
        members: The fields, each with the same K structures.
        observed: Whether each member observed each structure. If some members observed a structure,
            only these count for it, because the heart's own field observed it as well.
        factor: Factor on the members' spread, for all structures or for each of them, measured on
            hearts with known truth (``vecsetx calibrate``); 1 if uncalibrated.
        exclusive: Whether surfaces are those of structures with shared walls, or else of each
            structure independently.
    """

    members: tuple[DistanceField, ...]
    observed: Bool[np.ndarray, "d k"]
    factor: float | Float[np.ndarray, " k"] = 1.0
    exclusive: bool = True

    @property
    def reach_mm(self) -> float:
        """Surfaces farther away count as this far: standard deviations are at most factor × it."""
        return min(member.reach_mm for member in self.members)

    def spread(self, points_mm: Float[np.ndarray, "n 3"]) -> Spread:
        """Compute the members' spread at some points, usually vertices of the heart's surfaces.

        Args:
            points_mm: RAS+ mm.
        """
        # The members that count for each structure: those that observed it, or else all.
        counts = self.observed | ~self.observed.any(axis=0)
        reach_mm = self.reach_mm
        squares = np.zeros((len(points_mm), self.observed.shape[1]))
        beyond = np.zeros(squares.shape, dtype=bool)
        for member, counted in zip(self.members, counts, strict=True):
            distances = member.distances_mm(points_mm)
            # For meshes with shared walls, the distances to these walls.
            if self.exclusive:
                distances = exclusive_distances(distances)
            deviation_mm = np.abs(distances)
            squares += np.where(counted, np.minimum(deviation_mm, reach_mm) ** 2, 0)
            beyond |= counted & (deviation_mm >= reach_mm)
        sd_mm = self.factor * np.sqrt(squares / counts.sum(axis=0))
        return Spread(sd_mm.astype(np.float32), beyond)

    def mapped(self, change: Callable[[DistanceField], DistanceField]) -> "Ensemble":
        """Apply ``change`` to every member, as to the heart's own field."""
        return replace(self, members=tuple(map(change, self.members)))


MEMBERS = 8
"""Default number of members: standard deviations are then accurate to about a quarter."""

_POINTS, _LATENTS, _HIDDEN = 4, 2, 3
"""A member gets a quarter of the points and half of the latents used in training. A third of the
observed structures, rounded down, are hidden from it."""


def encode_ensemble(
    observed: Geometry | Observation,
    trained: TrainedModel,
    count: int,
    seed: int,
    factor: float | Float[np.ndarray, " k"] = 1.0,
    domain: Frame | None = None,
) -> Ensemble:
    """Encode random parts of the observed heart, one per member.

    Each member gets a quarter of the points and half of the latents used in training, however many
    the heart's own field has: so one factor is valid for all hearts. If three or more structures
    are observed, a random third of them is hidden from each member. A member's frame is centred
    on its own observation, and turned as that of the heart's own field. Members are not refined.

    Args:
        observed: The observed heart: structures in space, or labelled surface points.
        trained: The model.
        count: Number of members, 1 or more.
        seed: Seed of all members. Member n is the same for any ``count`` above n.
        factor: As in :class:`Ensemble`.
        domain: Domain of the heart's own field, whose rotation and box all members use; None for
            the rotation by the heart's anatomy, and for each member's own box, which is centred on
            its observation.
    """
    rotation = rotation_of(observed, trained, seed) if domain is None else domain.rotation
    # A generator per member, so that a member does not depend on the others.
    encoded = [
        _member(observed, trained, np.random.default_rng([seed, n]), rotation)
        for n in counted_parts(range(count), "ensemble")
    ]
    fields = tuple(replace(field, domain=domain or field.domain) for field, _ in encoded)
    return Ensemble(fields, np.stack([present for _, present in encoded]), factor)


def refuse_recycled_ensemble(members: int, options: EncodeOptions) -> None:
    """Reject an ensemble of recycled hearts: the spread is calibrated without recycling.

    Raises:
        InputError: Both an ensemble and recycling are requested.
    """
    if members and options.recycle:
        raise InputError(
            f"--ensemble {members} and --recycle {options.recycle} exclude each other: standard "
            "deviations are calibrated without recycling; leave out one of the two"
        )


def _member(
    observed: Geometry | Observation,
    trained: TrainedModel,
    generator: np.random.Generator,
    rotation: Rotation,
) -> tuple[HeartField, Bool[np.ndarray, " k"]]:
    """Encode a member; return its field and which structures it observed."""
    # 1. Fewer latents and points than in training.
    spec = trained.network.spec
    latents = max(spec.anchors // _LATENTS, 1) if spec.queries != "learnable" else None
    points = max(trained.points // _POINTS, latents or 1)
    # 2. Hide some observed structures. The generator's draws must stay in this order.
    present = _present(observed, len(trained.structures))
    hidden = np.zeros_like(present)
    indices = np.flatnonzero(present)
    hidden[generator.permutation(indices)[: len(indices) // _HIDDEN]] = True
    # 3. Sample points of the others.
    if isinstance(observed, Geometry):
        left = observed.without(hidden)
        member_seed = int(generator.integers(2**32))
        observation = observe(left, points, trained.mm_per_unit, member_seed, rotation)
    else:
        observation = _subset(observed, hidden, points, generator, rotation)
    if latents is not None:
        latents = min(latents, len(observation.points_mm))
    return trained.encode(observation, latents), present & ~hidden


def _present(observed: Geometry | Observation, structure_count: int) -> Bool[np.ndarray, " k"]:
    if isinstance(observed, Geometry):
        return Visibility.of_geometry(observed).present
    return Visibility.of_points(observed.structure, structure_count).present


def _subset(
    whole: Observation,
    hidden: Bool[np.ndarray, " k"],
    count: int,
    generator: np.random.Generator,
    rotation: Rotation,
) -> Observation:
    """Choose ``count`` random points of structures that are not hidden, at most half of them."""
    left = np.flatnonzero(~hidden[whole.structure])
    chosen = generator.permutation(left)[: min(count, -(-len(left) // 2))]
    points_mm, normals = whole.points_mm[chosen], whole.normals
    frame = Frame.around(points_mm, whole.frame.mm_per_unit, rotation)
    chosen_normals = None if normals is None else normals[chosen]
    return Observation(points_mm, whole.structure[chosen], chosen_normals, frame)
