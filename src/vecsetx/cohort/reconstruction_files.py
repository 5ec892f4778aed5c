"""What ``vecsetx reconstruct`` writes of a heart: its files, its page and ``summary.json``."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vecsetx import schemas
from vecsetx._version import __version__
from vecsetx.cohort.reconstruct_options import ReconstructOptions
from vecsetx.evaluation.heart_remarks import heart_remarks
from vecsetx.evaluation.misfit import misfit
from vecsetx.evaluation.reconstructed_heart import ReconstructedHeart
from vecsetx.files import write_json
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.doubts import doubts, inference_remarks
from vecsetx.inference.encode import POINTS_FACTOR
from vecsetx.inference.ensemble import Ensemble
from vecsetx.inference.heart_files import HeartFile, label_map_files, mesh_files
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.model.built_in import BUILT_IN
from vecsetx.model.saved import TrainedModel
from vecsetx.progress import counted_parts
from vecsetx.reconstruction.output_folder import (
    CONTOURS,
    SHIFTS,
    SHIFTS_PICTURE,
    SUMMARY,
    one_run_s_files,
)
from vecsetx.reconstruction.summary import (
    of_decimation,
    of_label_map,
    of_specks,
    of_surface,
    sd_summary,
)
from vecsetx.sampling.observation import Observation

__all__ = ["Setup", "write_heart"]


_VIEW_FILES = (
    HeartFile(CONTOURS, "the shifted outlines, as labelled points", None),
    HeartFile(SHIFTS, "the shift of each slice", None),
    HeartFile(SHIFTS_PICTURE, "slices before and after their shifts", None),
)
"""Those of a heart from views, which are written already."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Settings that all hearts of a run share.

    Attributes:
        trained: The model.
        model_name: How summaries name it.
        sd_factor: Its calibration factors; None without an ensemble or if it is uncalibrated.
        options: The options.
        out: The folder of all results, which the run has locked.
    """

    trained: TrainedModel
    model_name: str
    sd_factor: SdFactor | None
    options: ReconstructOptions
    out: Path


def write_heart(
    folder: Path,
    heart: ReconstructedHeart,
    setup: Setup,
    views: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write all files of a heart, ``summary.json`` last.

    Args:
        folder: Their folder.
        heart: The heart.
        setup: Settings of the run.
        views: The content of ``shifts.json``, if the heart was put together from views.

    Returns:
        The content of ``summary.json``.

    Raises:
        InputError: Another run is writing into the folder.
    """
    began = time.monotonic()
    unlike = None
    if setup.model_name == BUILT_IN:  # of other models it is not known how well they do usually
        unlike = misfit(heart.agreement, heart.observed)
    options, made, whole = setup.options, heart.heart, heart
    if options.structures:
        heart = _limited(heart, options.structures)
    said = [*([unlike] if unlike else ()), *(views["remarks"] if views else ()), *heart.remarks]
    content = {
        "structures": _structures(whole, setup),
        "provenance": _provenance(whole, setup, said, views) | {"views": _views(views)},
        "misfit": unlike,
    }
    files = list(mesh_files(made, heart.meshes, heart.known, options.space, options.extension))
    if heart.labels is not None:
        files.extend(label_map_files(made, heart.labels))
    if options.page:
        files.append(_page(heart, content))
    if views:
        files.extend(_VIEW_FILES)
    names, locked = [file.name for file in files], folder == setup.out
    with one_run_s_files(folder, names, locked, heart.source.files()):
        for file in counted_parts(files, "writing", even=False):
            if file.write:
                file.write(folder / file.name)
        seconds = {**heart.seconds, "write": time.monotonic() - began}
        summary = {
            "schema": schemas.SUMMARY,
            "structures": content["structures"],
            "seconds": {stage: round(took, 2) for stage, took in seconds.items()},
            "misfit": content["misfit"],
            "remarks": [remark._asdict() for remark in heart_remarks(content)],
            "files": {file.name: file.purpose for file in files},
            "provenance": content["provenance"],
        }
        write_json(folder / SUMMARY, summary)
    return summary


def _limited(heart: ReconstructedHeart, wanted: tuple[str, ...]) -> ReconstructedHeart:
    """The heart with some of its structures alone, each as it is among the others."""
    names = heart.structures
    meshes = heart.meshes.of_structures(wanted, names)
    others = [label for label, name in enumerate(names, start=1) if name not in wanted]
    labels = heart.labels and heart.labels.without(others)
    return replace(heart, meshes=meshes, known=heart.heart.vertex_attributes(meshes), labels=labels)


def _page(heart: ReconstructedHeart, content: dict[str, Any]) -> HeartFile:
    from vecsetx.report.point_cloud import points_by_structure
    from vecsetx.report.reconstruction_page import write_reconstruction_page
    from vecsetx.report.scene import HeartView

    shown = heart.encoded.shown
    view = HeartView(
        heart.source.name,
        truth=heart.true_surfaces,
        reconstruction=heart.meshes.surfaces,
        dice=math.nan,
        input_map=heart.encoded.label_map if isinstance(shown, Geometry) else None,
        structures=heart.structures,
        inferred=tuple(name for name, observed in heart.observed.items() if not observed),
        points={}
        if isinstance(shown, Geometry)
        else points_by_structure(shown.points_mm, shown.structure, heart.structures),
    )
    return HeartFile(
        "heart.html",
        "the heart beside its input in 3-D and in slices, and the table: opens in a browser",
        lambda path: write_reconstruction_page(path, view, content),
    )


def _structures(heart: ReconstructedHeart, setup: Setup) -> dict[str, dict[str, Any]]:
    """Return the part of the summary on structures."""
    meshes, known = heart.meshes, heart.known
    observed, voxels = heart.observed, of_label_map(heart.labels, heart.structures)
    doubtful = doubts(meshes, known, setup.trained.usual, setup.trained.partial)
    table: dict[str, dict[str, Any]] = {}
    for name in setup.options.structures or heart.structures:
        shares, sd_mm = known.observed.get(name), None
        if name in known.sd_mm:
            sd_mm = sd_summary(known.sd_mm[name], known.observed[name], known.beyond_reach[name])
        table[name] = {
            **of_surface(meshes.surfaces.get(name)),
            **of_specks(meshes.specks, name),
            **voxels[name],
            "beyond_grid": heart.beyond_grid.get(name),
            "agreement": heart.agreement.get(name),
            "input_width_mm": heart.input_widths_mm.get(name),
            "observed": observed[name],
            "observed_share": None if shares is None else float(shares.mean()),
            "decimation": of_decimation(meshes.decimation, name),
            "sd_mm": sd_mm,
            "doubtful": doubtful[name],
        }
    return table


def _provenance(
    heart: ReconstructedHeart,
    setup: Setup,
    remarks: Sequence[str],
    views: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return how a heart was reconstructed, for its summary.

    Args:
        heart: The heart, with all its structures.
        setup: Settings of the run.
        remarks: Those on what comes out of it; others are added.
        views: The content of ``shifts.json``, if the heart was put together from views.
    """
    options, field, grid = setup.options, heart.encoded.field, heart.meshes.specks.grid
    learned = setup.trained.usual, setup.trained.partial
    inferred = inference_remarks(heart.meshes, heart.known, *learned)
    return {
        "input": str(heart.source.path.resolve()),
        "remarks": [
            *remarks,
            *inferred,
            *_other_members(heart.heart.ensemble, setup.sd_factor),
            *_unmeasured_slices(setup.sd_factor, views),
            *_nothing_to_enlarge(heart, options),
        ],
        "not_compared": _not_compared(heart, options),
        "model": setup.model_name,
        "version": __version__,
        "space": options.space.upper(),
        "label_set": heart.heart.label_set.to_dict(),
        "surfaces": options.surfaces,
        "mesh_resolution": max(grid.shape),
        "mesh_resolution_mm": float(grid.spacing_mm[0]),
        "hidden": list(options.encode.hide),
        "seed": options.encode.seed,
        "complete": options.encode.complete,
        "keep_observed": options.keep_observed,
        "keep_specks": options.keep_specks,
        **_unlike_training(heart, setup.trained, options.encode.points),
        "recycled": options.encode.recycle,
        "turned_deg": field.frame.angle_deg,
        "refine": options.encode.refine,
        "refined": asdict(field.refinement) if field.refinement else None,
        "lacks": field.lacks,
        "ensemble": _ensemble(heart.heart.ensemble, setup.sd_factor),
    }


def _views(views: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the views of a heart and how they were shifted; None without views."""
    if views is None:
        return None
    return {key: views[key] for key in ("views", "shifts", "mean_mm", "largest_mm", "left_out")}


def _not_compared(heart: ReconstructedHeart, options: ReconstructOptions) -> str | None:
    """Return why a heart was not compared with its input, although this has voxels; else None."""
    if heart.encoded.label_map is None or heart.agreement:
        return None
    if heart.labels is None:
        return "there is no labels.nii.gz (--no-labels)"
    return "labels.nii.gz is on another grid (--like)" if options.like else None


def _unlike_training(
    heart: ReconstructedHeart, trained: TrainedModel, points: int | None
) -> dict[str, Any]:
    """Return the numbers of latents and points, which may differ from those in the recipe."""
    spec, shown = trained.network.spec, heart.encoded.shown
    wanted = points or POINTS_FACTOR * trained.points
    return {
        "latents": heart.encoded.field.latent_set.latents.shape[1],
        "latents_in_training": spec.latents + spec.structure_latents * len(trained.structures),
        "points": len(shown.points_mm) if isinstance(shown, Observation) else wanted,
        "points_in_training": trained.points,
    }


def _nothing_to_enlarge(heart: ReconstructedHeart, options: ReconstructOptions) -> tuple[str, ...]:
    """Return a remark where ``--enlarge`` changed nothing."""
    given, made = heart.encoded.label_map, heart.labels
    if not (options.enlarge and given and made and given.shape == made.shape):
        return ()
    return ("--enlarge added no voxels, as the input's grid holds the whole heart",)


def _other_members(ensemble: Ensemble | None, sd_factor: SdFactor | None) -> tuple[str, ...]:
    """Return a remark where the calibration had another number of members."""
    members = len(ensemble.members) if ensemble else 0
    if not (members and sd_factor) or members == sd_factor.members:
        return ()
    return (
        f"standard deviations are of {members} members, and their factors were calibrated with "
        f"{sd_factor.members}: --ensemble {sd_factor.members} fits them",
    )


def _unmeasured_slices(
    sd_factor: SdFactor | None, views: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Return a remark where no factor of standard deviations was measured between slices."""
    if sd_factor is None or views is None or sd_factor.slice_factor is not None:
        return ()
    return (
        "standard deviations are not calibrated between slices: this model's calibration has no "
        "factor for them",
    )


def _ensemble(ensemble: Ensemble | None, sd_factor: SdFactor | None) -> dict[str, Any] | None:
    if ensemble is None:
        return None
    return {
        "members": len(ensemble.members),
        "calibration": sd_factor.to_dict() if sd_factor else "uncalibrated",
        "reach_mm": ensemble.reach_mm,
    }
