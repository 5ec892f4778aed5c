"""Who does the work on a cohort's hearts, and where."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vecsetx.cohort.working_model import check_device

__all__ = ["CohortOptions", "missing_here"]


@dataclass(frozen=True, slots=True)
class CohortOptions:
    """Who does the work on a cohort's hearts, and where. Results do not depend on the workers.

    Attributes:
        workers: Number of processes, each with one thread; None: none but the command's own, which
            takes one heart after another and uses all cores for it.
        dask: Address of a Dask scheduler, whose workers are used instead.
        device: Where models run: ``cpu``, ``cuda`` or, for one of several GPUs, ``cuda:1``.
    """

    workers: int | None = None
    dask: str | None = None
    device: str = "cpu"

    @property
    def is_here(self) -> bool:
        """Whether the command's own process does the work."""
        return self.workers is None and self.dask is None

    def check(self) -> None:
        """Raise :class:`~vecsetx.errors.InputError` if there is no such device."""
        check_device(self.device, elsewhere=self.dask is not None)


def missing_here(files: Mapping[str, Path]) -> dict[str, str]:
    """Return the hearts that a remote worker wrote to another machine's disk, with the reason.

    Args:
        files: Heart → a file that its worker has written.
    """
    return {
        name: f"{file}: a worker wrote it, but it is not here; choose an --out on a file system "
        "that all workers share"
        for name, file in files.items()
        if not file.exists()
    }
