"""Reconstruct one heart of a cohort, and write its files."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from vecsetx.cohort.identity import plain_encoding, plain_sd_factor, plain_source
from vecsetx.cohort.reconstruct_options import ReconstructOptions
from vecsetx.cohort.reconstruction_files import Setup, write_heart
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.heart_source import HeartSource
from vecsetx.errors import InputError
from vecsetx.evaluation.reconstructed_heart import ReconstructedHeart
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.heart import Heart
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.output_folder import SUMMARY
from vecsetx.workers.heart_work import HeartWork

__all__ = ["HeartToReconstruct", "Reconstructing", "reconstruct_heart"]


@dataclass(frozen=True, slots=True)
class HeartToReconstruct:
    """A heart to reconstruct.

    Attributes:
        source: The heart.
        folder: The folder for its files, an absolute path.
        views: The content of ``shifts.json``, if it was put together from views; else None.
    """

    source: HeartSource
    folder: Path
    views: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Reconstructing(HeartWork[HeartToReconstruct, dict[str, Any]]):
    """Reconstructs hearts; a result is the content of ``summary.json``.

    Attributes:
        model: The model.
        model_name: How the summaries name the model.
        options: The options.
        like: Grid of the label maps; None for the inputs' own.
        sd_factor: The calibration factors; None without an ensemble or if the model is
            uncalibrated.
        out: Folder of all results, an absolute path, which the command has locked.
    """

    name: ClassVar[str] = "reconstruct"

    model: WorkingModel
    model_name: str
    options: ReconstructOptions
    like: Grid | None
    sd_factor: SdFactor | None
    out: Path

    def setting(self) -> dict[str, Any]:
        """Return the model, the options and the grid."""
        # The label sets of views decide on their contours alone.
        options = replace(
            self.options, encode=EncodeOptions(), like=None, calibration=None, view_labels=()
        )
        like = self.like and [list(self.like.shape), self.like.affine.tolist()]
        return {
            "model": self.model.to_dict(),
            "model_name": self.model_name,
            "options": asdict(options) | {"encode": plain_encoding(self.options.encode)},
            "like": like,
            "sd_factor": plain_sd_factor(self.sd_factor),
        }

    def identity(self, heart: HeartToReconstruct) -> dict[str, Any]:
        """Return the heart's source and where its files lie."""
        folder = heart.folder.relative_to(self.out).as_posix()
        views = {"views": heart.views} if heart.views else {}
        return plain_source(heart.source) | {"folder": folder} | views

    def make(self, heart: HeartToReconstruct) -> dict[str, Any]:
        """Reconstruct a heart, and write its files.

        Raises:
            InputError: It cannot be read or encoded, or another run is writing into its folder.
        """
        path = str(heart.source.path)
        sd_factor = self.sd_factor
        if sd_factor and heart.views:
            sd_factor = sd_factor.between_slices(heart.views["stacked"])
        setup = Setup(self.model.trained(), self.model_name, sd_factor, self.options, self.out)
        try:
            made = reconstruct_heart(heart.source, self.like, setup)
            return write_heart(heart.folder, made, setup, heart.views)
        except InputError as error:
            message = str(error)
            raise InputError(message if path in message else f"{path}: {message}") from error

    def to_record(self, result: dict[str, Any]) -> Any:
        """Return the summary."""
        return result

    def of_record(self, record: Any) -> dict[str, Any]:
        """Return the summary."""
        return dict(record)

    def files(self, heart: HeartToReconstruct, result: dict[str, Any]) -> Sequence[Path]:
        """Return the files of a heart."""
        return [heart.folder / name for name in (*result["files"], SUMMARY)]


def reconstruct_heart(source: HeartSource, like: Grid | None, setup: Setup) -> ReconstructedHeart:
    """Reconstruct one heart.

    Args:
        source: The heart.
        like: Grid of the label map; None for the input's own.
        setup: Settings of the run.
    """
    options = setup.options
    times = [time.monotonic()]
    heart = Heart.of(
        source,
        setup.trained,
        options.encode,
        options.keep_observed,
        options.ensemble,
        setup.sd_factor,
    )
    times.append(time.monotonic())
    meshes = heart.meshes(options.meshes)
    known = heart.vertex_attributes(meshes)
    times.append(time.monotonic())
    labels = heart.label_map(meshes, like, options.enlarge) if options.labels else None
    times.append(time.monotonic())
    took = zip(("encode", "mesh", "label"), np.diff(times).tolist(), strict=True)
    return ReconstructedHeart(source, heart, meshes, known, labels, dict(took))
