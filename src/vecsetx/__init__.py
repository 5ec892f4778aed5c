"""VecSetX: neural implicit models of the whole human heart.

``load``, ``encode`` and ``surfaces`` are those of :mod:`vecsetx.inference.api`. They are imported
when they are first asked for: they bring torch and VTK, for which ``--help`` should not wait.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vecsetx.inference.api import encode, load, surfaces

__version__ = "0.1.0"
__all__ = ["__version__", "encode", "load", "surfaces"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("vecsetx.inference.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
