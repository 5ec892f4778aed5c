"""Which heart of a shape space is made."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vecsetx.anatomy.frame import Frame
from vecsetx.population.drawing import VolumeRange
from vecsetx.population.heart_space import HeartSpace, SpaceHeart
from vecsetx.population.shape_space import HeartTable

__all__ = ["DrawnHeart", "GivenHeart", "NewHeart"]


@dataclass(frozen=True, slots=True)
class NewHeart(ABC):
    """A heart that is to be made.

    Attributes:
        name: Its name, of letters, digits and ``_``.
    """

    name: str

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return plain data that tell it from others of its space."""

    @abstractmethod
    def of(self, space: HeartSpace) -> SpaceHeart:
        """Return the heart.

        Raises:
            InputError: The space has no such heart.
        """


@dataclass(frozen=True, slots=True)
class DrawnHeart(NewHeart):
    """A heart that is drawn at random.

    Attributes:
        number: Its number; heart by heart, the draws are independent.
        seed: Seed of all hearts.
        volumes: Structure → its volume, where one is asked for.
    """

    number: int
    seed: int
    volumes: Mapping[str, VolumeRange]

    def identity(self) -> dict[str, Any]:
        """Return number, seed and volumes."""
        volumes = {name: asdict(one) for name, one in self.volumes.items()}
        return {"number": self.number, "seed": self.seed, "volumes": volumes}

    def of(self, space: HeartSpace) -> SpaceHeart:
        """Draw the heart."""
        generator = np.random.default_rng([self.seed, self.number])
        return space.at(space.draw(generator, self.volumes))


@dataclass(frozen=True, slots=True)
class GivenHeart(NewHeart):
    """A heart whose anchors and latents are given.

    Attributes:
        table: The anchors and latents.
        frame: Where it lies; None: around the origin, as the model's training hearts lie.
    """

    table: HeartTable
    frame: Frame | None = None

    def identity(self) -> dict[str, Any]:
        """Return a hash of anchors and latents, and the frame."""
        found = hashlib.sha256()
        for part in (self.table.positions, self.table.latents, self.table.there):
            found.update(np.ascontiguousarray(part).tobytes())
        return {"sha256": found.hexdigest(), "frame": self.frame and asdict(self.frame)}

    def of(self, space: HeartSpace) -> SpaceHeart:
        """Return the heart."""
        return space.heart(self.table, self.frame)
