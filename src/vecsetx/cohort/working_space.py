"""A shape space as workers share it: its folder, its model, and a hash."""

from dataclasses import dataclass
from pathlib import Path

from vecsetx.cohort.working_model import WorkingModel
from vecsetx.errors import InputError
from vecsetx.population.heart_space import HeartSpace
from vecsetx.population.space_file import SavedSpace

__all__ = ["WorkingSpace"]


@dataclass(frozen=True, slots=True)
class WorkingSpace:
    """A shape space that each worker loads once.

    Attributes:
        model: Its model.
        folder: Its folder, an absolute path.
        sha256: Hash of its description, which holds that of its arrays.
    """

    model: WorkingModel
    folder: Path
    sha256: str

    @classmethod
    def of(
        cls, folder: Path, model: Path, device: str, here: bool
    ) -> "tuple[WorkingSpace, HeartSpace]":
        """Load a space and its model for a cohort; arguments as of :meth:`WorkingModel.of`.

        Raises:
            InputError: There is no such space or model, one is damaged, or they do not fit.
        """
        saved = SavedSpace.read(folder)
        shared, trained = WorkingModel.of(model, device, here)
        loaded = HeartSpace.of(saved, trained, str(folder))
        return cls(shared, folder.resolve(), saved.sha256), loaded

    def loaded(self) -> HeartSpace:
        """Return the space with its model on its device; the first call in a process loads it.

        Raises:
            InputError: The folder's space or model is another one by now.
        """
        if self not in _kept:
            saved = SavedSpace.read(self.folder)
            if saved.sha256 != self.sha256:
                raise InputError(
                    f"{self.folder}: was fitted again while the command ran; run again"
                )
            _kept.clear()  # one at a time
            _kept[self] = HeartSpace.of(saved, self.model.trained(), str(self.folder))
        return _kept[self]

    def to_dict(self) -> dict[str, object]:
        """Return plain data of all that results depend on."""
        return {"model": self.model.to_dict(), "space": self.sha256}


_kept: dict[WorkingSpace, HeartSpace] = {}
"""The space that this process has loaded last."""
