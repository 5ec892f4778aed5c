"""``--model`` and ``--calibration``: the model that commands use, by default the built-in one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vecsetx.errors import InputError

__all__ = ["CalibrationFile", "Model", "local_model", "model_or_built_in", "refuse_model_as_input"]

Model = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        help="Folder of a run or of a saved model, or owner/name on the Hugging Face Hub "
        "(default: the built-in model).",
    ),
]
CalibrationFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A calibration.json of vecsetx calibrate for the same model, in place of the model's "
        "own. With --ensemble.",
    ),
]


def model_or_built_in(model: Path | None) -> Path:
    """Return a model as it was given, or else the folder of the built-in one.

    Raises:
        InputError: The built-in model is missing.
    """
    if model is not None:
        return model
    from vecsetx.model.built_in import built_in_model

    return built_in_model()


def local_model(model: Path | None) -> Path:
    """Return a model's folder, downloaded from the Hugging Face Hub if it is not a local one.

    Not a callback of the option, which would be called before all options are checked.

    Args:
        model: The value of ``--model``; None for the built-in model.

    Raises:
        InputError: There is no such model.
    """
    chosen = model_or_built_in(model)
    if chosen.exists():
        return chosen
    from vecsetx.model.saved import model_folder

    return model_folder(chosen)


def refuse_model_as_input(command: str, inputs: Sequence[Path], out: Path | None) -> None:
    """Refuse a model among the inputs, where earlier versions expected one.

    Args:
        command: The command.
        inputs: Its inputs, at least one.
        out: Its ``--out``.

    Raises:
        InputError: An input is a model, or the first one does not exist and may be one on the Hub.
            The message says what to type instead.
    """
    from vecsetx.terminal.next_step import model_words, typed

    model = next((path for path in inputs if _is_model(path)), inputs[0])
    if _is_model(model):
        what = "data set" if command == "calibrate" else "heart"
        problem = f"is a model, not a {what};"
    elif _may_be_on_hub(model):
        problem = "no such file or folder; if it is a model on the Hugging Face Hub,"
    else:
        return
    others: list[object] = [path for path in inputs if path != model]
    given = others or ["DATA" if command == "calibrate" else "INPUTS"]
    where = () if out is None else ("--out", out)
    remedy = typed(command, *given, *model_words(model), *where)
    raise InputError(f"{model}: {problem} name it by --model: {remedy}")


def _is_model(path: Path) -> bool:
    """Return whether it is a folder of a saved model or run, without a data set, or built-in."""
    from vecsetx.data.dataset import DataSet
    from vecsetx.model.built_in import BUILT_IN

    if str(path) == BUILT_IN and not path.exists():
        return True
    files = ("model.json", "model/model.json", "recipe.yaml", "checkpoint.pt")
    return any((path / file).is_file() for file in files) and not DataSet.is_at(path)


def _may_be_on_hub(path: Path) -> bool:
    """Return whether nothing lies at a path that may be ``owner/name``."""
    from vecsetx.model.saved import REPOSITORY

    is_name = REPOSITORY.fullmatch(path.as_posix()) is not None
    # A file that is missing in a folder is rather a slip of the pen.
    return is_name and not path.exists() and not path.parent.exists()
