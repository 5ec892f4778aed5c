"""The command ``reconstruct``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vecsetx.cli.failures import report_failures
from vecsetx.cli.options import (
    Drop,
    Labels,
    Latents,
    Model,
    Points,
    Recycle,
    Refine,
    Seed,
    Space,
    encode_options,
)


def reconstruct(
    model: Model,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Label maps, folders of them, folders with a mask or mesh per structure, "
            "prepared samples, or labelled surface points (CSV, VTP, PLY)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    labels: Labels = None,
    resolution: Annotated[
        int, typer.Option(help="Voxels along the longest side of the meshing grid.", min=8)
    ] = 192,
    resolution_mm: Annotated[
        float | None, typer.Option(help="Edge of its voxels instead, mm.", min=0.01)
    ] = None,
    surfaces: Annotated[
        Literal["shared", "closed"],
        typer.Option(
            help="shared: no overlap and no gap between structures; closed: each watertight by "
            "itself, thin vessels whole.",
            case_sensitive=False,
        ),
    ] = "shared",
    faces: Annotated[
        int | None, typer.Option(help="Decimate the heart's meshes to so many faces.", min=4)
    ] = None,
    keep_observed: Annotated[
        bool,
        typer.Option(
            "--keep-observed",
            help="Leave what the input shows as it is; the model adds only what is missing.",
        ),
    ] = False,
    ensemble: Annotated[
        int,
        typer.Option(
            help="Latent ensemble per heart, such as 8: VTP meshes get a standard deviation in mm.",
            min=0,
        ),
    ] = 0,
    like: Annotated[
        Path | None, typer.Option(help="Image whose grid labels.nii.gz takes; the input's.")
    ] = None,
    space: Annotated[
        Literal["lps", "ras"], typer.Option(help="Axes of mesh coordinates.", case_sensitive=False)
    ] = "lps",
    extension: Annotated[
        Literal["vtp", "stl", "ply", "obj"],
        typer.Option("--format", help="Format of the meshes.", case_sensitive=False),
    ] = "vtp",
    input_space: Space = "lps",
    drop: Drop = "",
    latents: Latents = None,
    points: Points = None,
    refine: Refine = 0,
    recycle: Recycle = 0,
    seed: Seed = 0,
) -> None:
    """Reconstruct hearts: a mesh per structure in mm, a scene, and a label map.

    [dim]vecsetx reconstruct run/ patient.nii.gz --out patient/[/]
    """
    from vecsetx.commands.reconstruct import ReconstructOptions
    from vecsetx.commands.reconstruct import reconstruct as run

    options = ReconstructOptions(
        encode=encode_options(model, labels, drop, latents, points, refine, recycle, seed),
        resolution=resolution,
        resolution_mm=resolution_mm,
        surfaces=surfaces,
        faces=faces,
        keep_observed=keep_observed,
        ensemble=ensemble,
        like=like,
        space=space,
        extension=extension,
        input_space=input_space,
    )
    failed = run(model, inputs, out, options)
    typer.echo(f"results are in {out}")
    report_failures(failed)
