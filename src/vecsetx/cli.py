"""The command line. Each command parses its options and hands over to :mod:`vecsetx.pipeline`.

The pipeline is imported inside the commands: it brings torch and VTK, for which ``--help`` should
not wait.
"""

import logging
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vecsetx import __version__
from vecsetx.anatomy.structures import label_set_names, structure_names
from vecsetx.errors import DivergedError, InputError, StoppedError

app = typer.Typer(
    help="Neural implicit models of the whole human heart: label maps in, smooth meshes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_LABEL_SETS = f"Label set of the inputs: {', '.join(label_set_names())}, or a YAML file."

Inputs = Annotated[
    list[Path],
    typer.Argument(
        help="Label maps (NIfTI, NRRD, MetaImage), folders of them, an nnU-Net data set, or "
        "folders with a mask or mesh per structure."
    ),
]
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
    typer.Option(help=f"{_LABEL_SETS} Left out: the data set's, or else the model's own."),
]
Drop = Annotated[str, typer.Option(help="Structures to hide from the model, as in LAA,PV.")]
Latents = Annotated[
    int | None, typer.Option(help="Latents per heart: more are more accurate, and slower.", min=1)
]
Refine = Annotated[
    int,
    typer.Option(help="Improve the latent set on what is observed, in so many steps.", min=0),
]
Points = Annotated[
    int | None, typer.Option(help="Surface points shown to the model per heart.", min=1)
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.", min=0)]


_INTERRUPTED, _TRY_AGAIN = 130, 75
"""Exit statuses: of a program that Ctrl-C stopped, and of one to be started again (EX_TEMPFAIL)."""


def main() -> None:
    """Run the command line; bad input becomes one line and exit status 2."""
    logging.captureWarnings(True)
    try:
        app()
    except InputError as error:
        _complain(str(error))
        sys.exit(2)
    except DivergedError as error:
        _complain(str(error))
        sys.exit(1)
    except StoppedError as error:
        _complain(str(error))
        sys.exit(_INTERRUPTED if error.by_hand else _TRY_AGAIN)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}; make room, or choose another folder")
        sys.exit(2)


def _complain(message: str) -> None:
    typer.secho(f"vecsetx: {message}", fg="red", err=True)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the label maps.")],
    count: Annotated[int, typer.Option(help="Hearts.", min=1)] = 40,
    seed: Seed = 0,
    size: Annotated[int, typer.Option(help="Voxels along each edge.", min=8)] = 160,
    spacing: Annotated[float, typer.Option(help="Edge of a voxel, mm.")] = 0.8,
    workers: Workers = None,
) -> None:
    """Write synthetic 10-structure hearts as NIfTI label maps.

    [dim]vecsetx phantom labels/ --count 40 --seed 0[/]
    """
    from vecsetx.pipeline.phantom import make_phantoms

    make_phantoms(out, count, seed, size, spacing, workers)


@app.command()
def prepare(
    inputs: Inputs,
    out: Annotated[Path, typer.Option(help="Folder for the data set; hearts are added to it.")],
    labels: Annotated[
        str | None,
        typer.Option(help=f"{_LABEL_SETS} Left out: what an nnU-Net data set says, else default."),
    ] = None,
    structures: Annotated[
        str | None,
        typer.Option(help="Structures to learn, as in LV,RV; those that occur if left out."),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(help="Regular expression that finds the patient in a heart's name."),
    ] = None,
    val_share: Annotated[
        float, typer.Option(help="Share of patients kept for validation.", min=0, max=1)
    ] = 0.2,
    folds: Annotated[int, typer.Option(help="Folds for cross-validation.", min=2)] = 5,
    points: Annotated[
        int,
        typer.Option(help="Surface points per heart, and as many near and volume points.", min=1),
    ] = 50_000,
    reach: Annotated[
        float, typer.Option(help="Larger distances are stored as this one, mm; inf for none.")
    ] = 16.0,
    mm_per_unit: Annotated[float, typer.Option(help="Scale of the model's space.")] = 80.0,
    space: Space = "lps",
    seed: Seed = 0,
    workers: Workers = None,
    dask: Annotated[
        str | None,
        typer.Option(help="Address of a Dask scheduler, as in tcp://node:8786; docs/cluster.md."),
    ] = None,
) -> None:
    """Turn label maps into a data set of points with exact distances, split by patient.

    [dim]vecsetx prepare labels/ --out data/ --labels default[/]
    """
    from vecsetx.anatomy.structures import label_set, parse_names
    from vecsetx.pipeline.prepare import PrepareOptions
    from vecsetx.pipeline.prepare import prepare as run
    from vecsetx.sampling.sampler import SamplingSpec

    chosen = label_set(labels) if labels else None
    among = chosen.structures if chosen else structure_names()
    options = PrepareOptions(
        label_set=chosen,
        structures=parse_names(structures, among) if structures else None,
        sampling=SamplingSpec(points, points, points, reach_mm=reach, mm_per_unit=mm_per_unit),
        val_share=val_share,
        folds=folds,
        group_by=group_by,
        seed=seed,
        workers=workers,
        dask=dask,
        space=space,
    )
    dataset, failed = run(inputs, out, options)
    train, val = (len(dataset.of_split(split)) for split in ("train", "val"))
    typer.echo(
        f"{out}: {len(dataset.hearts)} hearts ({train} train, {val} val), "
        f"structures {', '.join(dataset.structures)}"
    )
    _report_failures(failed)


@app.command()
def check(
    data: Annotated[Path, typer.Argument(help="A prepared data set.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for check.json and check.html; DATA/check.")
    ] = None,
    heart: Annotated[
        str | None, typer.Option(help="Look at this heart only, in depth: check-HEART.html.")
    ] = None,
    pictures: Annotated[
        int, typer.Option(help="Hearts shown in pictures at most, the doubtful ones first.", min=0)
    ] = 40,
    workers: Workers = None,
) -> None:
    """Look whether a data set is fit to learn from; exit status 1 if a heart is not.

    [dim]vecsetx check data/[/]
    """
    from vecsetx.pipeline.check import check as run
    from vecsetx.pipeline.tables import print_check, print_heart_check

    folder = out or data / "check"
    result = run(data, folder, heart=heart, workers=workers, pictures=pictures)
    (print_heart_check if heart else print_check)(result)
    page = folder / (f"check-{heart}.html" if heart else "check.html")
    if page.exists():
        typer.echo(f"see {page}")
    if not result["passed"]:
        raise typer.Exit(1)


@app.command()
def export(
    data: Annotated[Path, typer.Argument(help="A prepared data set.")],
    out: Annotated[Path, typer.Option(help="Folder for one .npz file per heart.")],
    workers: Workers = None,
) -> None:
    """Write a data set's hearts in the NPZ layout of VecSetX; prepare reads such files back.

    [dim]vecsetx export data/ --out npz/[/]
    """
    from vecsetx.pipeline.export import export as run

    failed = run(data, out, workers)
    typer.echo(f"the hearts are in {out}")
    _report_failures(failed)


@app.command()
def train(
    data: Annotated[
        Path | None, typer.Argument(help="A prepared data set.", show_default=False)
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes, as in training.steps=3000.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the run. Needed but with --plan or --diagnose.")
    ] = None,
    preset: Annotated[str, typer.Option(help="tiny (CPU), small, base or large (GPUs).")] = "tiny",
    config: Annotated[
        Path | None, typer.Option(help="YAML file with changes to the preset.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    stop_after: Annotated[
        int | None,
        typer.Option(help="Stop with a checkpoint after this step; resume later.", min=1),
    ] = None,
    fold: Fold = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Print the memory that a step would take, and do nothing."),
    ] = False,
    gpu_gb: Annotated[
        float, typer.Option(help="With --plan: memory of a GPU, 10⁹ bytes.", min=0)
    ] = 40.0,
    diagnose: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Tell how the run in this folder went, draw its curves (curves.html), and do "
            "nothing; exit status 1 if there is a fault. Without DATA.",
        ),
    ] = None,
    preflight: Annotated[
        bool,
        typer.Option(
            "--preflight",
            help="See that all is in order, as every run does before its first step (data, folder, "
            "a step, memory, room, loggers), and do nothing else: before a queue is waited in.",
        ),
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the figures for TensorBoard, too.")
    ] = False,
    wandb: Annotated[
        str | None,
        typer.Option(metavar="PROJECT", help="Send the figures to Weights & Biases, too."),
    ] = None,
) -> None:
    """Train a model on a data set.

    [dim]vecsetx train data/ --out run/ --preset tiny training.steps=3000[/]

    [dim]vecsetx train data/ --preset large --plan --gpu-gb 40[/]

    [dim]vecsetx train data/ --out run/ --preset small --preflight[/]

    [dim]vecsetx train --diagnose run/[/]
    """
    if diagnose is not None:
        if data or out or plan or preflight:
            raise InputError("--diagnose looks at a run that was made; leave out DATA and --out")
        from vecsetx.pipeline.diagnose import diagnose_run

        if diagnose_run(diagnose).findings:
            raise typer.Exit(1)
        return
    if data is None:
        raise InputError("train needs DATA, a prepared data set (or --diagnose RUN)")
    from vecsetx.pipeline.plan import plan_training
    from vecsetx.pipeline.train import LogOptions, see_all_in_order, train_model
    from vecsetx.presets import preset as named
    from vecsetx.recipe import parse_overrides, read_changes

    recipe = named(preset)
    if config:
        recipe = recipe.changed(read_changes(config), str(config))
    recipe = recipe.changed(parse_overrides(overrides or []), "command line")
    if plan:
        plan_training(data, recipe, gpu_gb)
        return
    if out is None:
        raise InputError("train needs --out, a folder for the run (or --plan, to train nothing)")
    logs = LogOptions(tensorboard, wandb)
    if preflight:
        see_all_in_order(data, out, recipe, resume, fold, logs)
        return
    train_model(data, out, recipe, resume, stop_after, fold, logs)
    typer.echo(f"the model is in {out / 'model'}")


@app.command()
def reconstruct(
    model: Model,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Label maps, folders of them, folders with a mask or mesh per structure, or "
            "labelled surface points (CSV, VTP, PLY)."
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
    seed: Seed = 0,
) -> None:
    """Reconstruct hearts: a mesh per structure in mm, a scene, and a label map.

    [dim]vecsetx reconstruct run/ patient.nii.gz --out patient/[/]
    """
    from vecsetx.pipeline.reconstruct import ReconstructOptions
    from vecsetx.pipeline.reconstruct import reconstruct as run

    options = ReconstructOptions(
        encode=_encode_options(model, labels, drop, latents, points, refine, seed),
        resolution=resolution,
        resolution_mm=resolution_mm,
        surfaces=surfaces,
        faces=faces,
        like=like,
        space=space,
        extension=extension,
        input_space=input_space,
    )
    failed = run(model, inputs, out, options)
    typer.echo(f"results are in {out}")
    _report_failures(failed)


@app.command()
def evaluate(
    model: Model,
    inputs: Annotated[
        list[Path], typer.Argument(help="A prepared data set, or label maps, or folders of them.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for scores and report.")],
    split: Annotated[Literal["train", "val"], typer.Option(help="Split of a data set.")] = "val",
    fold: Fold = None,
    labels: Labels = None,
    drop: Drop = "",
    latents: Latents = None,
    points: Points = None,
    refine: Refine = 0,
    tolerance: Annotated[
        float, typer.Option(help="Surfaces this near agree (normalised surface distance), mm.")
    ] = 1.0,
    meshes: Annotated[
        bool, typer.Option(help="Measure between meshes, too, which takes as long again.")
    ] = True,
    seed: Seed = 0,
) -> None:
    """Score a model on the label maps' own grids: scores.csv, scores.json, report.html.

    [dim]vecsetx evaluate run/ data/ --out scores/[/]
    """
    from vecsetx.pipeline.evaluate import evaluate as run
    from vecsetx.pipeline.tables import print_scores

    options = _encode_options(model, labels, drop, latents, points, refine, seed)
    evaluated = run(model, inputs, out, split, options, fold, tolerance, meshes)
    print_scores(evaluated.scores)
    typer.echo(f"see {out / 'report.html'}")
    _report_failures(evaluated.failed)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Folder of one evaluation.")],
    b: Annotated[Path, typer.Argument(help="Folder of another one, of the same hearts.")],
    out: Annotated[Path, typer.Option(help="Folder for compare.json.")],
    seed: Seed = 0,
) -> None:
    """Compare the scores of two models, heart by heart.

    [dim]vecsetx compare scores-a/ scores-b/ --out comparison/[/]
    """
    from vecsetx.pipeline.compare import compare_scores, print_comparison

    print_comparison(compare_scores(a, b, out, seed))
    typer.echo(f"see {out / 'compare.json'}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("demo"),
    seed: Seed = 0,
) -> None:
    """All of it on synthetic hearts, in minutes on a CPU: the scores and a page at the end.

    [dim]vecsetx demo --out demo/[/]
    """
    from vecsetx.pipeline.demo import DemoOptions
    from vecsetx.pipeline.demo import demo as run
    from vecsetx.pipeline.tables import print_scores

    evaluated = run(out, DemoOptions(seed=seed))
    print_scores(evaluated.scores)
    typer.echo(f"open {out / 'evaluate' / 'report.html'} in a browser")


def _encode_options(
    model: Path,
    labels: str | None,
    drop: str,
    latents: int | None,
    points: int | None,
    refine: int,
    seed: int,
) -> Any:
    from vecsetx.anatomy.structures import label_set, parse_names
    from vecsetx.model.saved import read_structures
    from vecsetx.pipeline.hearts import EncodeOptions

    return EncodeOptions(
        label_set=label_set(labels) if labels else None,
        drop=parse_names(drop, read_structures(model)) if drop else (),
        points=points,
        latents=latents,
        refine=refine,
        seed=seed,
    )


def _report_failures(failed: dict[str, str]) -> None:
    """List hearts that could not be done; exit status 1 if there are any."""
    if not failed:
        return
    typer.secho(f"{len(failed)} hearts failed:", fg="red", err=True)
    for reason in failed.values():
        typer.secho(f"  {reason}", fg="red", err=True)
    raise typer.Exit(1)
