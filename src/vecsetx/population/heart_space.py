"""A shape space with its model: coordinates in, hearts out. It is part of the Python API."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.frame import UPRIGHT, Frame
from vecsetx.errors import InputError
from vecsetx.inference.encode import EncodedHeart
from vecsetx.inference.heart import Heart
from vecsetx.inference.visibility import Visibility
from vecsetx.model.built_in import built_in_model
from vecsetx.model.saved import TrainedModel
from vecsetx.model.weights import weights_sha256
from vecsetx.population.drawing import VolumeRange, check_volumes, draw
from vecsetx.population.heart_tables import (
    EncodedTable,
    encode_table,
    field_of,
    label_map_of,
    observed_heart,
)
from vecsetx.population.shape_space import HeartTable
from vecsetx.population.space_file import SavedSpace
from vecsetx.population.surface_distance import surface_distance
from vecsetx.population.unusual import Placement, percentile
from vecsetx.sampling.observation import Observation

__all__ = ["HeartSpace", "SpaceHeart", "load_shape_space"]

_COARSE_MM = 3.0
"""Voxels by which volumes are measured while a heart is drawn."""

_NEAREST = 3
"""Hearts of the cohort that a placement names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceHeart(Heart):
    """A heart of a shape space, which nobody has.

    Attributes:
        table: Its anchors and latents.
        of_space: Names of the structures of the space.
    """

    table: HeartTable
    of_space: tuple[str, ...]

    @property
    def expected(self) -> tuple[str, ...]:
        """Names of the structures that the heart should have."""
        return self.of_space

    @property
    def anchors_mm(self) -> Float[np.ndarray, "m 3"]:
        """Positions of the anchors, RAS+ mm."""
        return self.encoded.field.frame.to_mm(self.table.positions.astype(np.float64))


@dataclass(frozen=True, slots=True)
class HeartSpace:
    """A shape space with its model.

    Attributes:
        saved: The space, and the cohort that it was fitted to.
        trained: The model.
    """

    saved: SavedSpace
    trained: TrainedModel

    @classmethod
    def of(cls, saved: SavedSpace, trained: TrainedModel, where: str = "") -> "HeartSpace":
        """Bring a space and its model together.

        Args:
            saved: The space.
            trained: The model.
            where: Names the space in messages.

        Raises:
            InputError: The space was fitted with another model.
        """
        if weights_sha256(trained.network) != saved.model_sha256:
            raise InputError(
                f"{where or 'the space'}: was fitted with another model ({saved.model}); fit it "
                "again, or name that model by --model"
            )
        return cls(saved, trained)

    def mean(self) -> SpaceHeart:
        """Return the mean heart."""
        return self.at(np.zeros(len(self.saved.space.sd)))

    def at(self, coordinates: Float[np.ndarray, " k"]) -> SpaceHeart:
        """Return the heart at coordinates, in standard deviations along the modes.

        Fewer coordinates than modes are those of the first modes; the others are 0.

        Raises:
            InputError: There are more coordinates than modes, or one is not finite.
        """
        modes = len(self.saved.space.sd)
        if len(coordinates) > modes or not np.isfinite(coordinates).all():
            raise InputError(
                f"{len(coordinates)} coordinates: the space has {modes} modes; give at most as "
                "many finite numbers"
            )
        whole = np.zeros(modes)
        whole[: len(coordinates)] = coordinates
        return self.heart(self.saved.space.table(whole))

    def heart(self, table: HeartTable, frame: Frame | None = None) -> SpaceHeart:
        """Return the heart of a table.

        Args:
            table: The table.
            frame: Where it lies; None: around the origin, as the model's training hearts lie.
        """
        trained = self.trained
        frame = frame or Frame((0.0, 0.0, 0.0), trained.mm_per_unit, UPRIGHT)
        field = field_of(table, trained, self.saved.structures, frame)
        nothing = Observation(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), None, frame)
        visibility = Visibility.of_points(nothing.structure, len(trained.structures))
        encoded = EncodedHeart(field, None, visibility, nothing)
        names = self.saved.structures
        return SpaceHeart(
            trained, trained.label_set, encoded, None, None, table=table, of_space=names
        )

    def sample(
        self,
        count: int,
        generator: np.random.Generator,
        volumes_ml: Mapping[str, float | tuple[float, float]] | None = None,
    ) -> list[SpaceHeart]:
        """Draw new hearts.

        Args:
            count: Number of hearts.
            generator: Source of the draws.
            volumes_ml: Structure → its volume or (smallest, largest) volume, where one is asked
                for.

        Raises:
            InputError: The cohort does not span the volumes, or no heart of the space has them.
        """
        ranges = {
            name: VolumeRange(*wanted) if isinstance(wanted, tuple) else VolumeRange(wanted, wanted)
            for name, wanted in (volumes_ml or {}).items()
        }
        check_volumes(self.saved, ranges)
        return [self.at(self.draw(generator, ranges)) for _ in range(count)]

    def draw(
        self, generator: np.random.Generator, volumes: Mapping[str, VolumeRange]
    ) -> Float[np.ndarray, " k"]:
        """Draw the coordinates of a new heart, as :func:`vecsetx.population.drawing.draw`."""
        columns = [self.trained.structures.index(name) for name in self.saved.structures]

        def volumes_ml(coordinates: np.ndarray) -> np.ndarray:
            found = label_map_of(self.at(coordinates).encoded.field, _COARSE_MM)
            voxels = np.bincount(found.labels.ravel(), minlength=len(self.trained.structures) + 1)
            return voxels[1:][columns] * found.voxel_volume_mm3 / 1000

        return draw(self.saved, generator, volumes, volumes_ml)

    def interpolate(self, first: Heart, second: Heart, t: float) -> SpaceHeart:
        """Return the heart a part of the way from one heart to another.

        Places and latents go straight from one to the other. The heart lies where the first one
        does. Structures that one of them lacks are filled in, as the cohort makes them likely.

        Args:
            first: The heart at 0.
            second: The heart at 1.
            t: The part of the way; below 0 and above 1, it goes beyond the hearts.

        Raises:
            InputError: As :meth:`table`.
        """
        space = self.saved.space
        (from_table, frame), (to_table, _) = self.table(first), self.table(second)
        begin, end = space.filled(from_table), space.filled(to_table)
        between = HeartTable(
            ((1 - t) * begin.positions + t * end.positions).astype(np.float32),
            ((1 - t) * begin.latents + t * end.latents).astype(np.float32),
            begin.there | end.there,
        )
        return self.heart(between, frame)

    def project(self, heart: Heart, modes: int | None = None) -> SpaceHeart:
        """Return the heart of the space that is nearest to a heart, where that lies.

        Args:
            heart: The heart.
            modes: Number of modes; None for all.

        Raises:
            InputError: As :meth:`table`.
        """
        table, frame = self.table(heart)
        space = self.saved.space
        return self.heart(space.table(space.coordinates(table, modes)), frame)

    def place(self, heart: Heart) -> Placement:
        """Return where a heart lies among those of the cohort, and how unusual it is.

        Raises:
            InputError: As :meth:`table`.
        """
        if isinstance(heart, SpaceHeart):
            raise InputError(
                "a heart that was made from the space cannot be placed in it; its coordinates are "
                "saved.space.coordinates(heart.table)"
            )
        return self.placement(self._encoded(heart))

    def placement(self, heart: EncodedTable) -> Placement:
        """Return where a heart lies among those of the cohort."""
        space, cohort, mm = self.saved.space, self.saved.cohort, self.trained.mm_per_unit
        coordinates = space.coordinates(heart.table)
        distance = float(np.linalg.norm(coordinates[: space.leading]))
        own = np.where(heart.table.there[:, None], heart.table.positions, np.nan)
        nearest = space.table(coordinates).positions
        rest = surface_distance(nearest, own, heart.normals, cohort.structure)
        near = cohort.nearest(own, _NEAREST)
        return Placement(
            tuple(coordinates.tolist()),
            distance,
            percentile(distance, cohort.distances),
            rest * mm,
            percentile(rest, cohort.residuals),
            tuple(name for name, _ in near),
            tuple(away * mm for _, away in near),
        )

    def table(self, heart: Heart) -> tuple[HeartTable, Frame]:
        """Return a heart's table with the template's anchors, and the frame of its positions.

        Raises:
            InputError: The heart was encoded by another model, from points without normals, or has
                no structure of the template.
        """
        if isinstance(heart, SpaceHeart):
            return heart.table, heart.encoded.field.frame
        found = self._encoded(heart)
        return found.table, found.frame

    def _encoded(self, heart: Heart) -> EncodedTable:
        if heart.trained.network is not self.trained.network and (
            weights_sha256(heart.trained.network) != self.saved.model_sha256
        ):
            raise InputError(
                "the heart was encoded by another model than the space; encode it again"
            )
        observed, cut = observed_heart(heart.encoded.shown, self.trained)
        return encode_table(observed, self.trained, self.saved.template, cut)


def load_shape_space(folder: str | Path, model: TrainedModel | None = None) -> HeartSpace:
    """Load a shape space that ``vecsetx shape fit`` made.

    Example: ``space = load_shape_space("space/"); surfaces(space.mean())``

    Args:
        folder: Its folder.
        model: The model that it was fitted with, from :func:`vecsetx.load`; None for the built-in
            one.

    Raises:
        InputError: There is no space, it is damaged, or was fitted with another model.
    """
    trained = model or TrainedModel.from_pretrained(built_in_model())
    return HeartSpace.of(SavedSpace.read(Path(folder)), trained, str(folder))
