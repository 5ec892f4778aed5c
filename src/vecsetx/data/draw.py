"""One heart of a batch: random points from its file, hidden in part, augmented, in units."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.frame import UPRIGHT, Frame, Rotation
from vecsetx.data.augment import IDENTITY, AugmentSpec, random_augmentation
from vecsetx.data.batch import QUERY_GROUPS
from vecsetx.data.buffer import BatchBuffer
from vecsetx.data.cine.ventricle import Structures
from vecsetx.data.partial import ObservedPoints, PartialView
from vecsetx.errors import InputError
from vecsetx.ranges import Hearts, Points
from vecsetx.sampling.samples import HeartInfo, Samples, SamplesFile, SurfacePoints

__all__ = ["BatchSpec", "draw_heart"]


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """Size of a batch.

    Attributes:
        hearts: Hearts that go through the model together. A step of several passes or processes
            sees this number in each of them.
        points: Surface points per heart that the encoder receives.
        surface, near, volume: Query points per heart of each group.
        balance: Whether label sets take turns, so that each contributes equally many hearts however
            many it has.
        variants: Whether the variants of a heart (``vecsetx vary``) take turns with it, at random.
        pose: ``anatomy`` turns every heart as one of them lies, by where its chambers are, in
            training and in use. ``scan`` leaves hearts as they lie in their files.
    """

    hearts: Hearts = 4
    points: Points = 2048
    surface: Points = 256
    near: Points = 512
    volume: Points = 256
    balance: bool = True
    variants: bool = True
    pose: Literal["anatomy", "scan"] = "anatomy"

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Points per heart: for the encoder, then surface, near and volume queries."""
        return self.points, self.surface, self.near, self.volume


def draw_heart(
    file: SamplesFile,
    structures: tuple[str, ...],
    annotated: tuple[str, ...],
    spec: BatchSpec,
    augment: AugmentSpec | None,
    generator: np.random.Generator,
    buffer: BatchBuffer,
    view: PartialView | None = None,
    rotation: Rotation = UPRIGHT,
) -> None:
    """Draw one heart of a batch: input points and queries from its file, augmented, in units.

    Distances to a structure that the file lacks are infinite, and known to be so if the heart's
    data set annotates it.

    Args:
        file: The heart's samples.
        structures: Names of the K structures of the batch.
        annotated: Those that the heart's data set annotates.
        spec: Numbers of points.
        augment: Random augmentation, or None for the heart as it lies in its frame.
        generator: Source of randomness.
        buffer: The heart's part of the batch, which is filled.
        view: How the heart is hidden in part from the encoder, or None to show it whole. The frame
            is then computed from the observed points, as it is at inference.
        rotation: Turns the heart as the reference heart lies.

    Raises:
        InputError: The file can no longer be read, or holds impossible values.
    """
    # 1. Read: points that the encoder may receive, followed by the surface queries; near; volume.
    info = file.info
    candidates = spec.points
    if view is not None:  # hiding removes points, so more are needed
        view = view.decided(generator)
        candidates = min(view.candidates(spec.points), file.count("surface") - spec.surface)
    samples = _random_part(file, candidates + spec.surface, spec.near, spec.volume, generator)
    surface, near, volume = samples.surface, samples.near, samples.volume
    queried = slice(candidates, None)

    # 2. Hide parts of the heart from the encoder. The queries cover all of it.
    observed = ObservedPoints(
        surface.points_mm[:candidates], surface.structure[:candidates], surface.normals[:candidates]
    )
    frame = info.frame
    if view is not None:
        observed = view.observe(observed, spec.points, generator, Structures.of_info(info))
    if view is not None or rotation != UPRIGHT:
        frame = _frame_of(observed, info.frame, rotation)

    # 3. From mm to units, together with the augmentation: one affine map for all points.
    augmentation = IDENTITY if augment is None else random_augmentation(augment, generator)
    matrix, offset, factor, turn = augmentation.from_mm(frame)
    every_mm = (observed.points_mm, surface.points_mm[queried], near.points_mm, volume.points_mm)
    with np.errstate(invalid="ignore"):  # infinities are reported below
        np.concatenate([points_mm @ matrix for points_mm in every_mm], out=buffer.points)
        normals = surface.normals @ turn
        seen = normals[:candidates] if view is None else observed.normals @ turn
        np.concatenate([seen, normals[queried]], out=buffer.normals)
    for axis, by in enumerate(offset.tolist()):  # faster than adding rows of three
        buffer.points[:, axis] += by
    if not augmentation.normals:
        buffer.normals[: spec.points] = 0
    distances_mm = np.concatenate(
        (surface.distances_mm[queried], near.distances_mm, volume.distances_mm)
    )
    edge_mm = np.concatenate((surface.edge_mm[queried], near.edge_mm, volume.edge_mm))
    if fault := _invalid(
        buffer.points, normals, distances_mm, edge_mm, surface, len(info.structures)
    ):
        raise InputError(f"{file.path}: {fault}; prepare the data again")

    # 4. From the structures of the file to those of the batch.
    structure = np.concatenate([observed.structure, surface.structure[queried]])
    columns = _place_structures(info, structure, structures, annotated, buffer)
    buffer.distances[:, columns] = factor * distances_mm
    # Beyond the field of view a cut structure may go on: distances are known up to its edge.
    buffer.known[:, columns] = factor * info.known_mm(edge_mm) if info.cut else np.inf
    buffer.known[edge_mm == -np.inf] = -np.inf  # unknown voxels


def _random_part(
    file: SamplesFile, surface: int, near: int, volume: int, generator: np.random.Generator
) -> Samples:
    """Read random points of each group, given their numbers.

    Files are in random order, so that consecutive rows from a random start are a random sample.
    """
    shares = zip(QUERY_GROUPS, generator.random(3).tolist(), strict=True)
    start, start_near, start_volume = (int(share * file.count(group)) for group, share in shares)
    return file.part((start, surface), (start_near, near), (start_volume, volume))


def _place_structures(
    info: HeartInfo,
    structure: np.ndarray,
    structures: tuple[str, ...],
    annotated: tuple[str, ...],
    buffer: BatchBuffer,
) -> slice | np.ndarray:
    """Write each point's structure into the buffer, and prepare the columns of other structures.

    Returns:
        The columns of the batch that belong to the file's structures, in the file's order.
    """
    if info.structures == structures:
        buffer.structure[:] = structure
        return slice(None)
    columns = np.array([structures.index(name) for name in info.structures])
    buffer.structure[:] = columns[structure]
    # An annotated structure without points is absent. Of an unannotated one, nothing is known.
    buffer.distances[:] = np.inf
    buffer.known[:] = [np.inf if name in annotated else -np.inf for name in structures]
    return columns


def _frame_of(observed: ObservedPoints, frame: Frame, rotation: Rotation) -> Frame:
    """The frame of the observed points; the heart's own where they are not finite."""
    finite = math.isfinite(np.vdot(observed.points_mm, observed.points_mm))
    return Frame.around(observed.points_mm, frame.mm_per_unit, rotation) if finite else frame


def _invalid(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "s 3"],
    distances_mm: Float[np.ndarray, "q k"],
    edge_mm: Float[np.ndarray, " q"],
    surface: SurfacePoints,
    structures: int,
) -> str | None:
    """What is wrong with a heart's values, or None; quick checks that catch damaged files.

    A sum of squares is finite only if all values are, and that of unit vectors is their number.
    """
    for values, what in ((points, "points"), (distances_mm, "distances")):
        if not math.isfinite(np.vdot(values, values)):
            return f"{what} that are not finite"
    if math.isnan(edge_mm.min()):
        return "distances to the scan's edge that are not numbers"
    if surface.structure.max() >= structures:
        return f"points of structure {surface.structure.max()}, but it has {structures} structures"
    if not abs(np.vdot(normals, normals) / len(normals) - 1) < 1e-3:
        return "normals that are not of length 1"
    return None
