"""The command ``reconstruct``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vecsetx.cli import completions
from vecsetx.cli.command_result import CommandResult, json_of
from vecsetx.cli.model_option import (
    CalibrationFile,
    Model,
    local_model,
    refuse_model_as_input,
)
from vecsetx.cli.numbers import number
from vecsetx.cli.options import (
    FLAG,
    LABEL_SETS,
    Complete,
    Dask,
    Device,
    Draws,
    Hide,
    KeepSpecks,
    Latents,
    MaxVoxels,
    ModelWorkers,
    Points,
    Pose,
    Recycle,
    Refine,
    Seed,
    Space,
    TrustNames,
    Units,
    encode_options,
    ensemble_size,
)
from vecsetx.cli.view_labels import split_labels
from vecsetx.limits import VOXELS
from vecsetx.ranges import Number


def reconstruct(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUTS",
            readable=False,
            help="Label maps, folders of them, folders with a mask or mesh per structure, "
            "prepared samples, or labelled surface points (CSV, VTP, PLY).",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the results.")],
    model: Model = None,
    one_heart: Annotated[
        bool,
        typer.Option(
            "--one-heart",
            metavar=FLAG,
            help="The inputs are views of one heart, as in cine MRI: label maps of a few slices, "
            "in the scanner's coordinates.",
        ),
    ] = False,
    shifts: Annotated[
        Literal["slice", "view", "none"],
        typer.Option(
            help="What of the views is shifted as one: a slice, if each was taken in its own "
            "breath-hold, a view, or nothing.",
            case_sensitive=False,
        ),
    ] = "slice",
    through_plane: Annotated[
        float,
        number(
            Number.THROUGH_MM,
            metavar="MM",
            help="Also shift slices of views through their planes, by at most MM.",
        ),
    ] = 0.0,
    frames: Annotated[
        bool,
        typer.Option(
            "--frames",
            metavar=FLAG,
            help="The input is one heart over its cycle: a 4-D label map, or a label map per "
            "frame, in order. Adds volumes, ejection fractions and an animation.",
        ),
    ] = False,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completions.label_sets,
            help=f"{LABEL_SETS} Default: what the files say, else the model's. With --one-heart, "
            "there may be one per view, such as acdc,mnms.",
        ),
    ] = None,
    resolution: Annotated[
        int,
        number(
            Number.RESOLUTION,
            metavar="N",
            help="Voxels along the longest side of the meshing grid; meshing takes four times as "
            "long with twice as many.",
        ),
    ] = 192,
    resolution_mm: Annotated[
        float | None,
        number(Number.VOXEL_MM, metavar="MM", help="Edge of its voxels instead, mm."),
    ] = None,
    surfaces: Annotated[
        Literal["shared", "closed"],
        typer.Option(
            help="shared: no overlaps or gaps between structures, for looking, and with "
            "interfaces.vtp, their walls as one mesh, for volume meshing; closed: each structure "
            "is watertight on its own and thin vessels are complete, for printing and volumes.",
            case_sensitive=False,
        ),
    ] = "shared",
    faces: Annotated[
        int | None,
        number(Number.FACES, metavar="N", help="Decimate the heart's meshes to N faces."),
    ] = None,
    keep_observed: Annotated[
        bool,
        typer.Option(
            "--keep-observed",
            metavar=FLAG,
            help="Keep observed surfaces as they are; the model adds only what is missing.",
        ),
    ] = False,
    keep_specks: KeepSpecks = False,
    ensemble: Annotated[
        int,
        number(
            Number.ENSEMBLE,
            metavar="N",
            help="Add a per-vertex standard deviation in mm to VTP meshes, from an ensemble of N "
            "members, such as 8; each is one more encoding and evaluation at all vertices.",
        ),
    ] = 0,
    draws: Draws = None,
    calibration: CalibrationFile = None,
    no_labels: Annotated[
        bool,
        typer.Option(
            "--no-labels",
            metavar=FLAG,
            help="Make no label maps, which on fine grids take longest: four times as long with "
            "half the voxel edge.",
        ),
    ] = False,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="IMAGE", help="Image whose grid labels.nii.gz takes (default: the input's)."
        ),
    ] = None,
    enlarge: Annotated[
        bool,
        typer.Option(
            "--enlarge",
            metavar=FLAG,
            help="Enlarge that grid to hold the whole heart, where the input cuts it.",
        ),
    ] = False,
    no_page: Annotated[
        bool,
        typer.Option("--no-page", metavar=FLAG, help="Leave out the page heart.html."),
    ] = False,
    space: Annotated[
        Literal["lps", "ras"], typer.Option(help="Axes of mesh coordinates.", case_sensitive=False)
    ] = "lps",
    extension: Annotated[
        Literal["vtp", "stl", "ply", "obj"],
        typer.Option("--format", help="Format of the meshes.", case_sensitive=False),
    ] = "vtp",
    input_space: Space = "lps",
    units: Units = "mm",
    trust_names: TrustNames = False,
    max_voxels: MaxVoxels = VOXELS,
    hide: Hide = "",
    structures: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            autocompletion=completions.structures,
            help="Structures that come out, such as LV,RV; the model sees all that is there.",
            show_default="all",
        ),
    ] = "",
    latents: Latents = None,
    points: Points = None,
    refine: Refine = None,
    recycle: Recycle = 0,
    pose: Pose = "anatomy",
    complete: Complete = False,
    seed: Seed = 0,
    workers: ModelWorkers = None,
    dask: Dask = None,
    device: Device = "cpu",
) -> CommandResult:
    """Reconstruct hearts as meshes and label maps.

    Writes a mesh per structure in mm, a scene (heart.glb), label maps, a page (heart.html) and
    summary.json.

    [dim]Example: vecsetx reconstruct patient.nii.gz --out patient/[/]
    """
    from vecsetx.anatomy.structures import parse_names
    from vecsetx.commands.reconstruct import CohortOptions, ReconstructOptions
    from vecsetx.commands.reconstruct import reconstruct as run
    from vecsetx.model.saved import read_structures
    from vecsetx.reconstruction.output_folder import SUMMARY, input_of
    from vecsetx.terminal.next_step import print_next, reading, typed

    refuse_model_as_input("reconstruct", inputs, out)
    folder = local_model(model)
    label_set, view_labels = split_labels(labels)  # of all inputs, or of views
    wanted = None
    if structures:
        wanted = parse_names(structures, read_structures(folder), "--structures")
    options = ReconstructOptions(
        structures=wanted,
        encode=encode_options(
            folder, label_set, hide, latents, points, refine, recycle, pose, complete, seed
        ),
        resolution=resolution,
        resolution_mm=resolution_mm,
        surfaces=surfaces,
        faces=faces,
        keep_observed=keep_observed,
        keep_specks=keep_specks,
        ensemble=ensemble_size(ensemble, draws),
        calibration=calibration,
        labels=not no_labels,
        like=like,
        enlarge=enlarge,
        page=not no_page,
        space=space,
        extension=extension,
        input_space=input_space,
        units=units,
        trust_names=trust_names,
        most_voxels=max_voxels,
        one_heart=one_heart,
        view_labels=view_labels,
        shifts=shifts,
        through_plane_mm=through_plane,
        frames=frames,
    )
    places: dict[str, Path] = {}
    cohort = CohortOptions(workers, dask, device)
    failed = run(folder, inputs, out, options, cohort, places)
    # A page in the folder itself may be an earlier run's.
    is_of_this = (
        one_heart or frames or (len(inputs) == 1 and input_of(out) == str(inputs[0].resolve()))
    )
    page = out / "heart.html"
    print_next(reading(page) if is_of_this and page.exists() else typed("info", out))
    return CommandResult(
        lambda: {"hearts": {name: json_of(at / SUMMARY) for name, at in places.items()}}, failed
    )
