"""Reconstruct one frame of a cine, and write its files."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from vecsetx.anatomy.frame import Frame, Row
from vecsetx.anatomy.structures import structure_names
from vecsetx.cohort.identity import plain_encoding, plain_source
from vecsetx.cohort.reconstruct_options import ReconstructOptions
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.heart_source import HeartSource
from vecsetx.errors import InputError, NamesError
from vecsetx.evaluation.misfit import misfit
from vecsetx.evaluation.reconstructed_heart import ReconstructedHeart
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.heart import Heart
from vecsetx.inference.heart_files import label_map_files
from vecsetx.measures.measured import Measured, Measures
from vecsetx.measures.solid import measure_solid
from vecsetx.model.built_in import BUILT_IN
from vecsetx.reconstruction.mesh_export import write_surface
from vecsetx.report.cine_scene import PackedFrame, pack_frame
from vecsetx.sampling.observation import Observation
from vecsetx.workers.heart_work import HeartWork

__all__ = [
    "FRAME_REFINE_STEPS",
    "FrameToReconstruct",
    "ReconstructedFrame",
    "ReconstructingFrames",
    "folder_of",
]

FRAME_REFINE_STEPS = 30
"""Default number of refinement steps of a frame. Volumes are those of structures that it shows, and
refinement brings these closer to it (docs/views.md)."""


def folder_of(number: int) -> str:
    """Return the folder of a frame's files, within that of all results."""
    return f"frames/{number:03d}"


@dataclass(frozen=True, slots=True)
class FrameToReconstruct:
    """A frame to reconstruct.

    Attributes:
        number: Its number.
        source: Its label map, or its contours.
        before: Anchors of the frame before; None for the first.
    """

    number: int
    source: HeartSource
    before: Observation | None


@dataclass(frozen=True, slots=True)
class ReconstructedFrame:
    """A reconstructed frame.

    Attributes:
        volumes: Volume of each structure.
        anchors: Its anchors, from which the next frame begins.
        label_set: The label set of its label map, as plain data.
        structures: Structures that have a mesh.
        shown: What the page shows of it; None without a page.
        misfit: Why the model does not fit it; None if it does.
        remarks: Notes for the user, as sentences.
        files: Its files, from the folder of all results.
        seconds: How long it took.
    """

    volumes: Measures
    anchors: Observation
    label_set: dict[str, Any]
    structures: tuple[str, ...]
    shown: PackedFrame | None
    misfit: str | None
    remarks: tuple[str, ...]
    files: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class ReconstructingFrames(HeartWork[FrameToReconstruct, ReconstructedFrame]):
    """Reconstructs the frames of a heart, one after the other.

    Attributes:
        model: The model.
        model_name: How summaries name it.
        options: The options.
        page_faces: Triangles of each frame on the page; 0 for no page.
        out: Folder of all results, an absolute path.
    """

    name: ClassVar[str] = "reconstruct frames"

    model: WorkingModel
    model_name: str
    options: ReconstructOptions
    page_faces: int
    out: Path

    def setting(self) -> dict[str, Any]:
        """Return the model and the options."""
        options = replace(self.options, encode=EncodeOptions(), like=None, calibration=None)
        return {
            "model": self.model.to_dict(),
            "model_name": self.model_name,
            "options": asdict(options) | {"encode": plain_encoding(self.options.encode)},
            "page_faces": self.page_faces,
        }

    def identity(self, heart: FrameToReconstruct) -> dict[str, Any]:
        """Return the frame's file and number, and the anchors that it begins from."""
        before = heart.before and _plain_anchors(heart.before)
        return plain_source(heart.source) | {"frame": heart.number, "before": before}

    def make(self, heart: FrameToReconstruct) -> ReconstructedFrame:
        """Reconstruct a frame and write its files.

        Raises:
            InputError: It cannot be encoded, or holds no heart.
        """
        path = heart.source.path
        try:
            return self._made(heart)
        except InputError as error:
            message = str(error).removeprefix(f"{path}: ")
            if isinstance(error, NamesError):
                message += (
                    f". Options hold for all frames: if only frame {heart.number} has other "
                    "ids than the rest, mend these in the file, or clear its labels"
                )
            raise InputError(f"{path}, frame {heart.number}: {message}") from error

    def to_record(self, result: ReconstructedFrame) -> Any:
        """Return the frame as plain data."""
        volumes = {
            name: [one.value if one.known else None, one.reason]
            for name, one in result.volumes.items()
        }
        plain = {
            "volumes": volumes,
            "anchors": _plain_anchors(result.anchors),
            "shown": result.shown and asdict(result.shown),
        }
        rest = ("label_set", "structures", "misfit", "remarks", "files", "seconds")
        return plain | {key: getattr(result, key) for key in rest}

    def of_record(self, record: Any) -> ReconstructedFrame:
        """Return the frame from plain data."""
        return ReconstructedFrame(
            {
                str(name): Measured(math.nan if value is None else float(value), str(reason))
                for name, (value, reason) in record["volumes"].items()
            },
            _anchors_of(record["anchors"]),
            dict(record["label_set"]),
            tuple(map(str, record["structures"])),
            record["shown"] and PackedFrame(**record["shown"]),
            None if record["misfit"] is None else str(record["misfit"]),
            tuple(map(str, record["remarks"])),
            tuple(map(str, record["files"])),
            float(record["seconds"]),
        )

    def files(self, heart: FrameToReconstruct, result: ReconstructedFrame) -> Sequence[Path]:
        """Return the frame's files."""
        return [self.out / name for name in result.files]

    def _made(self, frame: FrameToReconstruct) -> ReconstructedFrame:
        began, options, trained = time.monotonic(), self.options, self.model.trained()
        heart = Heart.of(frame.source, trained, options.encode, before=frame.before)
        meshes = heart.meshes(options.meshes)
        known = heart.vertex_attributes(meshes)
        labels = heart.label_map(meshes, None) if options.labels else None
        made = ReconstructedHeart(frame.source, heart, meshes, known, labels, {})
        unlike = None
        if self.model_name == BUILT_IN:
            unlike = misfit(made.agreement, made.observed)
        wanted = options.structures or heart.structures
        surfaces = {name: meshes.surfaces[name] for name in wanted if name in meshes.surfaces}
        folder, files = folder_of(frame.number), []
        for name in structure_names():
            if name not in surfaces:  # an earlier run may have made it
                (self.out / folder / f"{name}.vtp").unlink(missing_ok=True)
        for name, surface in surfaces.items():
            files.append(f"{folder}/{name}.vtp")
            label = heart.label_set.id_of(name)
            observed = known.observed[name]
            write_surface(self.out / files[-1], surface, name, label, options.space, observed)
        if labels is not None:
            others = [k for k, name in enumerate(heart.structures, 1) if name not in wanted]
            written = next(label_map_files(heart, labels.without(others)))
            files.append(f"{folder}/{written.name}")
            assert written.write is not None  # the first file is the label map
            written.write(self.out / files[-1])
        anchors = heart.encoded.field.anchors
        assert anchors is not None  # it was encoded, not put together
        return ReconstructedFrame(
            _volumes(made),
            anchors,
            heart.label_set.to_dict(),
            tuple(surfaces),
            pack_frame(surfaces, self.page_faces) if self.page_faces else None,
            unlike,
            made.remarks,
            tuple(files),
            time.monotonic() - began,
        )


def _volumes(made: ReconstructedHeart) -> dict[str, Measured]:
    """Return the volume of each structure that the frame shows whole; of others, why not."""
    visibility, found = made.encoded.visibility, {}
    for k, name in enumerate(made.structures):
        reason = ""
        if not visibility.present[k]:
            reason = f"the {name} is not shown"
        elif visibility.cut[k]:
            reason = f"the {name} reaches the edge of the scan"
        elif name not in made.meshes.surfaces:
            reason = f"no {name} was reconstructed"
        if reason:
            found[f"{name}_volume_ml"] = Measured(math.nan, reason)
            continue
        surface = made.meshes.surfaces[name]
        solid = measure_solid(surface.vertices_mm.astype(np.float64), surface.faces)
        found[f"{name}_volume_ml"] = solid["volume_ml"]
    return found


def _plain_anchors(anchors: Observation) -> dict[str, Any]:
    return {
        "points_mm": anchors.points_mm.tolist(),
        "structure": anchors.structure.tolist(),
        "frame": anchors.frame.to_dict(),
    }


def _anchors_of(plain: Any) -> Observation:
    """Return anchors from plain data; float32 numbers are the same again."""
    x, y, z = map(float, plain["frame"]["center_mm"])
    first, second, third = (_row(row) for row in plain["frame"]["rotation"])
    mm_per_unit = float(plain["frame"]["mm_per_unit"])
    return Observation(
        np.array(plain["points_mm"], dtype=np.float32).reshape(-1, 3),
        np.array(plain["structure"], dtype=np.int64),
        None,
        Frame((x, y, z), mm_per_unit, (first, second, third)),
    )


def _row(row: Sequence[Any]) -> Row:
    x, y, z = map(float, row)
    return x, y, z
