"""Options and arguments that several commands share."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vecsetx.anatomy.label_sets import label_set_names
from vecsetx.cli import completions
from vecsetx.cli.numbers import number
from vecsetx.errors import InputError
from vecsetx.ranges import Number

__all__ = [
    "FLAG",
    "LABEL_SETS",
    "PRESETS",
    "Absent",
    "Complete",
    "Config",
    "Dask",
    "DataSetPath",
    "Device",
    "Draws",
    "Fold",
    "Hide",
    "Labels",
    "Latents",
    "MaxVoxels",
    "ModelWorkers",
    "Overrides",
    "Points",
    "Preset",
    "Recycle",
    "Refine",
    "Seed",
    "Space",
    "TrustNames",
    "Units",
    "Workers",
    "encode_options",
    "ensemble_size",
    "output_options",
    "recipe_of",
]

FLAG = ""
"""Metavar of options without a value, for which typer would print ``<bool>``."""

LABEL_SETS = (
    f"Label set of the inputs (vecsetx labels shows it): {', '.join(label_set_names())}, or a YAML "
    "file."
)
"""First sentence of the help of ``--labels``."""


DataSetPath = Annotated[Path, typer.Argument(metavar="DATA", help="A prepared data set.")]
Seed = Annotated[int, number(Number.SEED, metavar="N", help="The same seed gives the same result.")]
Workers = Annotated[
    int | None,
    number(Number.WORKERS, metavar="N", help="Number of processes (default: one per core)."),
]
Dask = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address of a Dask scheduler, such as tcp://node:8786 (docs/cluster.md).",
    ),
]
ModelWorkers = Annotated[
    int | None,
    number(
        Number.WORKERS,
        "--workers",
        metavar="N",
        help="Number of processes, each with one thread and the model (default: one heart after "
        "another, with all cores for it).",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="DEVICE", help="Where the model runs: cpu, cuda or, of several GPUs, cuda:1."
    ),
]
Fold = Annotated[
    int | None,
    number(Number.FOLD, metavar="N", help="Fold to hold out (default: the data set's own split)."),
]
Space = Annotated[
    Literal["lps", "ras"],
    typer.Option(
        help="Axes of input meshes and points whose files do not say.", case_sensitive=False
    ),
]
TrustNames = Annotated[
    bool,
    typer.Option(
        "--trust-names",
        metavar=FLAG,
        help="Keep the structures' names where anatomy contradicts them.",
    ),
]
MaxVoxels = Annotated[
    int,
    number(
        Number.VOXELS,
        metavar="N",
        help="Refuse label maps of more voxels (default: 1024³). A voxel takes about 10 bytes of "
        "memory.",
        show_default=False,
    ),
]
Units = Annotated[
    Literal["m", "cm", "mm", "um"],
    typer.Option(
        help="Unit of input meshes and points, whose files do not say.", case_sensitive=False
    ),
]

# How hearts are shown to a model
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completions.label_sets,
        help=f"{LABEL_SETS} Default: what the files say, else the model's.",
    ),
]
Hide = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        autocompletion=completions.structures,
        help="Structures to hide from the model, such as LAA,PV.",
        show_default=False,
    ),
]
Absent = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        autocompletion=completions.structures,
        help="Structures that hearts lack where their masks are empty, such as LAA. Others with an "
        "empty mask count as not annotated, as segmentation may have failed.",
        show_default=False,
    ),
]
Latents = Annotated[
    int | None,
    number(
        Number.LATENTS, metavar="N", help="Latents per heart; more are slower but more accurate."
    ),
]
Points = Annotated[
    int | None,
    number(Number.POINTS, metavar="N", help="Surface points per heart that the model is shown."),
]
Refine = Annotated[
    int | None,
    number(
        Number.REFINE,
        metavar="N",
        help="Optimize the latent set on the observed structures in at most N steps, for more "
        "accuracy there; 0 for none. Default: 10 for whole hearts; none for partial hearts, whose "
        "inferred parts may become better or worse, and for points.",
    ),
]
Recycle = Annotated[
    int,
    number(Number.RECYCLE, metavar="N", help="Feed the reconstruction back N times (closes gaps)."),
]
Pose = Annotated[
    Literal["anatomy", "scan"],
    typer.Option(
        help="anatomy: turn the heart for the model as its training hearts lie, by where its "
        "chambers are; results lie where the input does. scan: leave it as it lies.",
        case_sensitive=False,
    ),
]
Complete = Annotated[
    bool,
    typer.Option(
        "--complete",
        metavar=FLAG,
        help="Let structures go on where the scan shows none of them, such as an aorta that is "
        "labelled up to the arch.",
    ),
]
Draws = Annotated[
    int | None, number(Number.ENSEMBLE, "--draws", help="Former name of --ensemble.", hidden=True)
]

KeepSpecks = Annotated[
    bool,
    typer.Option(
        "--keep-specks",
        metavar=FLAG,
        help="Keep small pieces that nothing observed supports. They count as pieces, too.",
    ),
]

# The recipe of a training run
PRESETS = (
    "tiny (CPU), small, base or large (GPU); tiny-partial to large-partial learn to complete "
    "partial hearts; general (CPU, hours) knows those of strangers, too."
)
Preset = Annotated[
    str, typer.Option(metavar="NAME", autocompletion=completions.presets, help=PRESETS)
]
Config = Annotated[
    Path | None, typer.Option(metavar="FILE", help="YAML file with changes to the preset.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Changes to the preset, such as training.steps=3000."),
]


def output_options() -> list[Any]:
    """Return ``--quiet`` and ``--json``, which every command has."""

    def of_every_command(
        quiet: Annotated[
            bool,
            typer.Option("--quiet", metavar=FLAG, help="Print only results, remarks and errors."),
        ] = False,
        json: Annotated[
            bool,
            typer.Option(
                "--json",
                metavar=FLAG,
                help="Print the result as JSON, and all else on standard error (docs/outputs.md).",
            ),
        ] = False,
    ) -> None:
        pass

    # typer makes options of a function's parameters only.
    app = typer.Typer(add_completion=False)
    app.command()(of_every_command)
    return list(typer.main.get_command(app).params)


def ensemble_size(ensemble: int, draws: int | None, usual: int = 0) -> int:
    """Return the size of the ensemble, from ``--ensemble`` or its former name ``--draws``.

    Args:
        ensemble: Value of ``--ensemble``.
        draws: Value of ``--draws``; None: it was not given.
        usual: Default of ``--ensemble``.

    Raises:
        InputError: Both were given.
    """
    if draws is None:
        return ensemble
    if ensemble not in (usual, draws):
        raise InputError(
            f"--ensemble {ensemble} and --draws {draws}: --draws is the former name of --ensemble; "
            "leave it out"
        )
    message = f"--draws is now called --ensemble and will be removed; use --ensemble {draws}"
    typer.secho(message, fg="yellow", err=True)
    return draws


def encode_options(
    model: Path,
    labels: str | None,
    hide: str,
    latents: int | None,
    points: int | None,
    refine: int | None,
    recycle: int,
    pose: Any,
    complete: bool,
    seed: int,
) -> Any:
    """Return :class:`~vecsetx.inference.encode.EncodeOptions` from the options of these names."""
    from vecsetx.anatomy.label_sets import label_set
    from vecsetx.anatomy.structures import parse_names
    from vecsetx.inference.encode import EncodeOptions
    from vecsetx.model.saved import read_structures

    return EncodeOptions(
        label_set=label_set(labels) if labels else None,
        hide=parse_names(hide, read_structures(model), "--hide") if hide else (),
        points=points,
        latents=latents,
        refine=refine,
        recycle=recycle,
        pose=pose,
        complete=complete,
        seed=seed,
    )


def recipe_of(
    preset: str, config: Path | None, overrides: list[str] | None, start: str | None = None
) -> Any:
    """Return the :class:`~vecsetx.recipe.Recipe` of a preset, changed by a file and by KEY=VALUE.

    Args:
        preset: Name of the preset.
        config: YAML file with changes.
        overrides: Further changes, as words.
        start: Model to start from, whose size and architecture take the place of the preset's.

    Raises:
        InputError: The preset, a key or a value does not exist or does not fit, or there is no
            model to start from.
    """
    from vecsetx.presets import preset as named
    from vecsetx.recipe import check_lengths, parse_overrides, read_changes

    recipe = named(preset)
    if start is not None:
        from vecsetx.model.saved import read_spec

        began = replace(recipe.training, start=start)
        recipe = replace(recipe, model=read_spec(start), training=began)
    if config:
        recipe = recipe.changed(read_changes(config), str(config))
    typed = parse_overrides(overrides or [])
    recipe = recipe.changed(typed, "command line")
    check_lengths(typed, recipe)
    return recipe
