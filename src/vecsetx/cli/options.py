"""Options and arguments that several commands share."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vecsetx.anatomy.label_sets import label_set_names

__all__ = [
    "FLAG",
    "LABEL_SETS",
    "PRESETS",
    "Absent",
    "Config",
    "DataSetPath",
    "Draws",
    "Fold",
    "Hide",
    "Labels",
    "Latents",
    "Model",
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
    "above_zero",
    "encode_options",
    "ensemble_size",
    "recipe_of",
]

FLAG = ""
"""Metavar of options without a value, for which typer would print ``<bool>``."""

LABEL_SETS = (
    f"Label set of the inputs (vecsetx labels shows it): {', '.join(label_set_names())}, or a YAML "
    "file."
)
"""First sentence of the help of ``--labels``."""


def _downloaded(model: Path) -> Path:
    """Return the model's folder, downloaded from the Hugging Face Hub if it is not a local one."""
    if model.exists():
        return model
    from vecsetx.model.saved import model_folder

    return model_folder(model)


DataSetPath = Annotated[Path, typer.Argument(metavar="DATA", help="A prepared data set.")]
Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="Folder of a run or of a saved model, or owner/name on the Hugging Face Hub.",
        callback=_downloaded,
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", help="The same seed gives the same result.", min=0)]
Workers = Annotated[
    int | None,
    typer.Option(metavar="N", help="Number of processes (default: one per core).", min=1),
]
Fold = Annotated[
    int | None,
    typer.Option(metavar="N", help="Fold to hold out (default: the data set's own split).", min=0),
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
        metavar="NAME", help=f"{LABEL_SETS} Default: what the files say, else the model's."
    ),
]
Hide = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="Structures to hide from the model, such as LAA,PV.",
        show_default=False,
    ),
]
Absent = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="Structures that hearts lack where their masks are empty, such as LAA. Others with an "
        "empty mask count as not annotated, as segmentation may have failed.",
        show_default=False,
    ),
]
Latents = Annotated[
    int | None,
    typer.Option(metavar="N", help="Latents per heart; more are slower but more accurate.", min=1),
]
Points = Annotated[
    int | None,
    typer.Option(metavar="N", help="Surface points per heart that the model is shown.", min=1),
]
Refine = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Optimize the latent set on the observed structures in at most N steps, for more "
        "accuracy there; 0 for none. Default: 10 for whole hearts; none for partial hearts, whose "
        "inferred parts may become better or worse, and for points.",
        min=0,
    ),
]
Recycle = Annotated[
    int,
    typer.Option(metavar="N", help="Feed the reconstruction back N times (closes gaps).", min=0),
]
Draws = Annotated[
    int | None, typer.Option("--draws", help="Former name of --ensemble.", hidden=True, min=0)
]

KeepSpecks = Annotated[
    bool,
    typer.Option(
        "--keep-specks", metavar=FLAG, help="Keep small pieces that nothing observed supports."
    ),
]

# The recipe of a training run
PRESETS = (
    "tiny (CPU), small, base or large (GPU); tiny-partial to large-partial learn to complete "
    "partial hearts."
)
Preset = Annotated[str, typer.Option(metavar="NAME", help=PRESETS)]
Config = Annotated[
    Path | None, typer.Option(metavar="FILE", help="YAML file with changes to the preset.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Changes to the preset, such as training.steps=3000."),
]


def above_zero(value: float | None) -> float | None:
    """Reject a number that is not greater than 0, not finite, or not a number; None passes.

    A callback for options, since typer's ``min`` admits itself, and infinity.
    """
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter(f"{value:g} is not a finite number greater than 0")
    return value


def ensemble_size(ensemble: int, draws: int | None) -> int:
    """Return the size of the ensemble, from ``--ensemble`` or its former name ``--draws``."""
    if draws is None:
        return ensemble
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
    seed: int,
) -> Any:
    """Return :class:`~vecsetx.inference.encode.EncodeOptions` from the options of these names."""
    from vecsetx.anatomy.label_sets import label_set
    from vecsetx.anatomy.structures import parse_names
    from vecsetx.inference.encode import EncodeOptions
    from vecsetx.model.saved import read_structures

    return EncodeOptions(
        label_set=label_set(labels) if labels else None,
        hide=parse_names(hide, read_structures(model)) if hide else (),
        points=points,
        latents=latents,
        refine=refine,
        recycle=recycle,
        seed=seed,
    )


def recipe_of(preset: str, config: Path | None, overrides: list[str] | None) -> Any:
    """Return the :class:`~vecsetx.recipe.Recipe` of a preset, changed by a file and by KEY=VALUE.

    Raises:
        InputError: The preset, a key or a value does not exist or does not fit.
    """
    from vecsetx.presets import preset as named
    from vecsetx.recipe import parse_overrides, read_changes

    recipe = named(preset)
    if config:
        recipe = recipe.changed(read_changes(config), str(config))
    return recipe.changed(parse_overrides(overrides or []), "command line")
