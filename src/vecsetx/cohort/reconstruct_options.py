"""Options of ``vecsetx reconstruct``."""

from dataclasses import dataclass, field
from pathlib import Path

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.errors import InputError
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.ensemble import refuse_recycled_ensemble
from vecsetx.inference.heart import MeshOptions
from vecsetx.inference.heart_meshes import RESOLUTION, SurfaceKind
from vecsetx.inference.sd_factor import refuse_idle_calibration
from vecsetx.limits import VOXELS
from vecsetx.views.shifts import ShiftKind

__all__ = ["ReconstructOptions"]


@dataclass(frozen=True, slots=True)
class ReconstructOptions:
    """Options of a reconstruction.

    Attributes:
        encode: How hearts are encoded.
        resolution: Voxels along the longest side of the meshing grid.
        resolution_mm: Edge of its voxels instead, mm; None for ``resolution``.
        surfaces: Whether structures share their walls
            (:data:`~vecsetx.inference.heart_meshes.SurfaceKind`).
        faces: Number of faces to decimate the heart's meshes to; None for no decimation.
        keep_observed: Whether observed surfaces stay as they are and the model only adds what is
            missing (:class:`~vecsetx.inference.completion.CompletedField`). Not for points, which
            do not define a volume.
        keep_specks: Whether small pieces that nothing observed supports stay
            (:mod:`~vecsetx.reconstruction.specks`).
        ensemble: Members of the ensemble that gives the standard deviations of the surfaces
            (:func:`~vecsetx.inference.ensemble.encode_ensemble`); 0 for none.
        calibration: A ``calibration.json`` that takes the place of the model's own; None for that.
        structures: Structures that come out; None for all. The model is shown the others, too.
        labels: Whether to make label maps.
        like: Image whose grid the label map takes; None for the input's.
        enlarge: Whether that grid is enlarged to hold the whole heart.
        page: Whether to write the page ``heart.html``.
        space: Axes of mesh coordinates, ``lps`` or ``ras``.
        extension: Mesh format: vtp, stl, ply or obj.
        input_space: Axes of input meshes and points whose files do not say.
        units: Unit of their coordinates, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.
        trust_names: Whether structures keep their names where anatomy contradicts them.
        most_voxels: Most voxels of a label map.
        one_heart: Whether the inputs are views of one heart (:mod:`vecsetx.views`).
        view_labels: Label set of each view, in their order; empty for that of ``encode``.
        shifts: What of them shifts as one (:data:`~vecsetx.views.shifts.ShiftKind`).
        through_plane_mm: Bound of shifts through the slices' planes.
        frames: Whether the input is a heart over its cycle (:mod:`vecsetx.cine`).
    """

    encode: EncodeOptions = field(default_factory=EncodeOptions)
    resolution: int = RESOLUTION
    resolution_mm: float | None = None
    surfaces: SurfaceKind = "shared"
    faces: int | None = None
    keep_observed: bool = False
    keep_specks: bool = False
    ensemble: int = 0
    calibration: Path | None = None
    structures: tuple[str, ...] | None = None
    labels: bool = True
    like: Path | None = None
    enlarge: bool = False
    page: bool = True
    space: str = "lps"
    extension: str = "vtp"
    input_space: str = "lps"
    units: str = "mm"
    trust_names: bool = False
    most_voxels: int = VOXELS
    one_heart: bool = False
    view_labels: tuple[LabelSet, ...] = ()
    shifts: ShiftKind = "slice"
    through_plane_mm: float = 0.0
    frames: bool = False

    @property
    def meshes(self) -> MeshOptions:
        """How hearts are meshed."""
        return MeshOptions(
            self.resolution, self.resolution_mm, self.surfaces, self.faces, self.keep_specks
        )

    def check(self) -> None:
        """Check that the options do not contradict each other.

        Raises:
            InputError: Two do; the message names them.
        """
        refuse_recycled_ensemble(self.ensemble, self.encode)
        refuse_idle_calibration(self.calibration, self.ensemble)
        if self.resolution_mm is not None and self.resolution != RESOLUTION:
            raise InputError(
                f"--resolution {self.resolution} and --resolution-mm {self.resolution_mm:g}: both "
                "set the size of the meshing grid's voxels; choose one"
            )
        if not self.labels and (self.like or self.enlarge):
            option = "--like" if self.like else "--enlarge"
            raise InputError(
                f"{option} sets the grid of the label map, which --no-labels leaves out; choose one"
            )
        self._check_views()
        if self.frames:
            self._check_frames()

    def _check_views(self) -> None:
        """Check the options of views of one heart."""
        if not self.one_heart:
            if self.view_labels:
                names = ",".join(one.name for one in self.view_labels)
                raise InputError(
                    f"--labels {names}: only views of one heart have a label set each; give one "
                    "label set, or add --one-heart"
                )
            if self.shifts != "slice":
                raise InputError(
                    f"--shifts {self.shifts}: changes nothing without --one-heart; leave it out, "
                    "or add --one-heart if the inputs are views of one heart"
                )
            if self.through_plane_mm:
                raise InputError(
                    f"--through-plane {self.through_plane_mm:g}: changes nothing without "
                    "--one-heart; leave it out, or add --one-heart if the inputs are views of one "
                    "heart"
                )
            return
        if self.through_plane_mm and self.shifts == "none":
            raise InputError(
                f"--through-plane {self.through_plane_mm:g} and --shifts none: nothing is shifted; "
                "leave out one of the two"
            )
        if self.keep_observed:
            raise InputError(
                "--keep-observed: slices have outlines, and no surfaces to keep; leave it out"
            )

    def _check_frames(self) -> None:
        """Check the options of frames of a cycle."""
        idle = {
            "--ensemble": bool(self.ensemble),
            "--keep-observed": self.keep_observed,
            "--like": self.like is not None,
            "--enlarge": self.enlarge,
            f"--format {self.extension}": self.extension != "vtp",
            "--recycle": bool(self.encode.recycle),
        }
        if self.one_heart:
            raise InputError(
                "--one-heart: does not go with --frames; put the views of each frame together by "
                "themselves, or give one label map with a time axis"
            )
        if given := [option for option, is_given in idle.items() if is_given]:
            raise InputError(
                f"{given[0]}: does not go with --frames, which writes meshes (VTP), label maps and "
                "volumes of each frame; leave one of the two out"
            )
