"""VecSetX: neural implicit models of the whole human heart.

``load``, ``encode``, ``surfaces``, ``labels``, ``doubtful`` and ``save`` come from
:mod:`vecsetx.inference.api`, ``load_shape_space`` from :mod:`vecsetx.population.heart_space`. They
are imported on first use, because they load torch and VTK, for which ``--help`` should not wait.

For the same reason, functions import the libraries that take long to load (VTK, SciPy, nibabel,
Matplotlib, …) where they use them: a command waits only for those that it needs, and a training
node can do without the others (``requirements-train.txt``).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vecsetx._version import __version__

if TYPE_CHECKING:
    from vecsetx.inference.api import doubtful, encode, labels, load, save, surfaces
    from vecsetx.population.heart_space import load_shape_space

__all__ = [
    "__version__",
    "doubtful",
    "encode",
    "labels",
    "load",
    "load_shape_space",
    "save",
    "surfaces",
]


def __getattr__(name: str) -> Any:
    if name == "load_shape_space":
        return import_module("vecsetx.population.heart_space").load_shape_space
    if name in __all__:
        return getattr(import_module("vecsetx.inference.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
