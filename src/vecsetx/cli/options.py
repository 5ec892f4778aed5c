"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vecsetx.anatomy.label_sets import label_set_names

LABEL_SETS = f"Label set of the inputs: {', '.join(label_set_names())}, or a YAML file."
"""How help begins where a label set is named."""

Space = Annotated[
    Literal["lps", "ras"],
    typer.Option(help="Axes of input meshes and points that do not say.", case_sensitive=False),
]
Fold = Annotated[
    int | None,
    typer.Option(help="Cross-validation: the fold to leave out; the data set's split.", min=0),
]
Workers = Annotated[int | None, typer.Option(help="Processes; one per core if left out.", min=1)]


def _fetched(model: Path) -> Path:
    """The model as it was named, or its folder once it has come from the Hugging Face Hub."""
    if model.exists():
        return model
    from vecsetx.model.saved import model_folder

    return model_folder(model)


Model = Annotated[
    Path,
    typer.Argument(
        help="A run's folder, or a saved model's; or owner/name, a model on the Hugging Face Hub.",
        callback=_fetched,
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(help=f"{LABEL_SETS} Left out: the data set's, or else the model's own."),
]
Drop = Annotated[str, typer.Option(help="Structures to hide from the model, as in LAA,PV.")]
Latents = Annotated[
    int | None, typer.Option(help="Latents per heart: more are more accurate, and slower.", min=1)
]
Refine = Annotated[
    int,
    typer.Option(help="Improve the latent set on what is observed, in so many steps.", min=0),
]
Recycle = Annotated[
    int,
    typer.Option(help="Show the model again what it made, so often: closes gaps.", min=0),
]
Points = Annotated[
    int | None, typer.Option(help="Surface points shown to the model per heart.", min=1)
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.", min=0)]


def encode_options(
    model: Path,
    labels: str | None,
    drop: str,
    latents: int | None,
    points: int | None,
    refine: int,
    recycle: int,
    seed: int,
) -> Any:
    """The :class:`~vecsetx.inference.encode.EncodeOptions` that the options of these names give."""
    from vecsetx.anatomy.label_sets import label_set
    from vecsetx.anatomy.structures import parse_names
    from vecsetx.inference.encode import EncodeOptions
    from vecsetx.model.saved import read_structures

    return EncodeOptions(
        label_set=label_set(labels) if labels else None,
        drop=parse_names(drop, read_structures(model)) if drop else (),
        points=points,
        latents=latents,
        refine=refine,
        recycle=recycle,
        seed=seed,
    )
