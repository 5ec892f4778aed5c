"""The built-in model: a trained model that comes with the package."""

import hashlib
from importlib import resources
from pathlib import Path

from vecsetx.errors import InputError

__all__ = ["BUILT_IN", "altered_files", "built_in_model", "is_built_in", "recorded_name"]

BUILT_IN = "built-in"
"""How results name the built-in model. They name other models by absolute paths."""

_FOLDER = Path(str(resources.files("vecsetx").joinpath("built_in")))


def built_in_model() -> Path:
    """Return the folder of the built-in model. Nothing is ever written there.

    Raises:
        InputError: The installation lacks it.
    """
    missing = [n for n in ("model.json", "model.safetensors") if not (_FOLDER / n).is_file()]
    if missing:
        raise InputError(
            f"{_FOLDER}: this installation lacks {' and '.join(missing)} of the built-in model; "
            "install VecSetX again, or name another model by --model"
        )
    return _FOLDER


def altered_files() -> dict[str, str]:
    """Return the files of the built-in model that are not those that the package came with.

    Their hashes are in ``SHA256SUMS`` beside them, in the format of the program ``sha256sum``.

    Returns:
        Name → ``missing`` or ``changed``; empty if all is as it was.

    Raises:
        OSError: The list of hashes is missing, or a file cannot be read.
        ValueError: The list is damaged.
    """
    found = {}
    for line in (_FOLDER / "SHA256SUMS").read_text("ascii").splitlines():
        expected, name = line.split("  ")
        file = _FOLDER / name
        if not file.is_file():
            found[name] = "missing"
        elif hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            found[name] = "changed"
    return found


def is_built_in(model: Path) -> bool:
    """Return whether a folder is that of the built-in model."""
    return model.resolve() == _FOLDER.resolve()


def recorded_name(model: Path) -> str:
    """Return how results name a model, which does not depend on where VecSetX is installed.

    Args:
        model: Its folder.

    Returns:
        :data:`BUILT_IN`, or the absolute path of another model's folder.
    """
    return BUILT_IN if is_built_in(model) else str(model.resolve())
