"""The command ``volume-mesh``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vecsetx.cli import completions
from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.failures import list_faults
from vecsetx.cli.model_option import local_model
from vecsetx.cli.numbers import number
from vecsetx.cli.options import (
    FLAG,
    LABEL_SETS,
    Dask,
    MaxVoxels,
    Refine,
    Seed,
    Space,
    TrustNames,
    Units,
    Workers,
)
from vecsetx.limits import VOXELS
from vecsetx.ranges import Number


def volume_mesh(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUTS",
            readable=False,
            help="Hearts with volumes: label maps, masks, closed meshes, or results of "
            "reconstruct; files, or folders of them. With --model, hearts of any kind.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Folder for the meshes and quality.json."),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Mesh a model's reconstruction of each heart, in place of the heart's own "
            "surfaces: built-in, the folder of a run or of a saved model, or owner/name on the "
            "Hugging Face Hub.",
            show_default="none",
        ),
    ] = None,
    edge_mm: Annotated[
        str,
        typer.Option(
            metavar="MM",
            autocompletion=completions.lengths,
            help="Length of edges at surfaces, whose mean is about 0.7 of it: of all structures "
            "(1.1), of some (Myocardium=0.6,Aorta=1.5), or both (1.5,Myocardium=0.6). They grow "
            "inside.",
            show_default="1.1",
        ),
    ] = "",
    structures: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            autocompletion=completions.structures,
            help="Structures to mesh, such as LV,Myocardium.",
            show_default="all",
        ),
    ] = "",
    without: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            autocompletion=completions.structures,
            help="Regions to leave out of the files, such as the blood: LV,RV. Their interfaces "
            "keep their names.",
            show_default="none",
        ),
    ] = "",
    wall: Annotated[
        str,
        typer.Option(
            metavar="NAME=MM",
            autocompletion=completions.lengths,
            help="Walls that the segmentation does not draw, such as RV=3.5,LA=2: around the "
            "structure, outside of all others. Each is a region of its own.",
            show_default="none",
        ),
    ] = "",
    valves: Annotated[
        float,
        number(
            Number.VALVE_MM,
            metavar="MM",
            help="Valves as discs of this thickness, such as 1.5, where LA and LV, RA and RV, LV "
            "and Aorta, RV and PA meet. Each is a region of its own. 0 leaves openings.",
            show_default="openings",
        ),
    ] = 0.0,
    tags: Annotated[
        Literal["label-set", "four-chamber"],
        typer.Option(
            help="Numbers of regions: ids of the label set, or those of the four-chamber meshes of "
            "King's College London (docs/volume-mesh.md).",
            case_sensitive=False,
        ),
    ] = "label-set",
    fibres: Annotated[
        str,
        typer.Option(
            metavar="DEGREES",
            help="Angles of fibres at the inner and the outer surface of ventricles, or none.",
        ),
    ] = "60,-60",
    sheets: Annotated[
        str,
        typer.Option(metavar="DEGREES", help="Angles of sheets, likewise."),
    ] = "-65,25",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            metavar=FLAG,
            help="Refuse structures that are too thin for their edges, instead of halving these.",
        ),
    ] = False,
    extension: Annotated[
        Literal["vtu", "msh", "opencarp", "simvascular"],
        typer.Option(
            "--format",
            help="Format: VTK's or Gmsh's, or a folder of files for openCARP or SimVascular.",
            case_sensitive=False,
        ),
    ] = "vtu",
    space: Annotated[
        Literal["lps", "ras"], typer.Option(help="Axes of mesh coordinates.", case_sensitive=False)
    ] = "lps",
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completions.label_sets,
            help=f"{LABEL_SETS} Default: what the files say.",
        ),
    ] = None,
    input_space: Space = "lps",
    units: Units = "mm",
    trust_names: TrustNames = False,
    max_voxels: MaxVoxels = VOXELS,
    refine: Refine = None,
    seed: Seed = 0,
    workers: Workers = None,
    dask: Dask = None,
) -> CommandResult:
    """Fill hearts with tetrahedra, for solvers.

    Each heart becomes one mesh of all its structures, which share nodes where they meet.
    A mesh that misses a bound of quality.json is named, and the exit status is 1.

    [dim]Example: vecsetx volume-mesh patient.nii.gz --out mesh/ --edge-mm 1.5,Myocardium=1[/]
    """
    from vecsetx.anatomy.label_sets import label_set
    from vecsetx.commands.volume_mesh import PAGE, QUALITY
    from vecsetx.commands.volume_mesh import volume_mesh as run
    from vecsetx.terminal.progress_bars import console
    from vecsetx.terminal.remarks import print_remarks
    from vecsetx.terminal.volume_mesh_tables import print_meshes

    chosen = label_set(labels) if labels else None
    folder = None if model is None else local_model(model)
    found = run(
        inputs,
        out,
        edge_mm,
        structures,
        without,
        wall,
        valves,
        tags,
        fibres,
        sheets,
        strict,
        seed,
        extension,
        space,
        chosen,
        input_space,
        units,
        trust_names,
        max_voxels,
        workers,
        dask,
        folder,
        refine,
    )
    print_meshes(found.hearts)
    print_remarks({name: heart.remarks for name, heart in found.hearts.items()})
    console.notice(f"the meshes, {QUALITY} and the page {PAGE} are in {out}")
    faulty = {
        name: f"{name}: {'; '.join(heart.faults)}"
        for name, heart in found.hearts.items()
        if heart.faults
    }
    if faulty:
        count = "1 mesh is" if len(faulty) == 1 else f"{len(faulty)} meshes are"
        list_faults(f"{count} written, but not as good as solvers need", faulty)
    return CommandResult.of_file(out / QUALITY, found.failed, fault=bool(faulty))
