"""Export one prepared heart of a cohort as an NPZ file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.cohort.identity import plain_file
from vecsetx.data.dataset import HeartEntry, check_is_of
from vecsetx.sampling.npz.layout import write_npz
from vecsetx.sampling.samples import SamplesFile
from vecsetx.workers.heart_work import HeartWork

__all__ = ["Exporting"]


@dataclass(frozen=True, slots=True)
class Exporting(HeartWork[HeartEntry, None]):
    """Writes prepared hearts as NPZ files.

    Attributes:
        data: Folder of the data set, an absolute path.
        out: Folder for the files, an absolute path.
        label_set: The label set of all files.
    """

    name: ClassVar[str] = "export"

    data: Path
    out: Path
    label_set: LabelSet

    def setting(self) -> dict[str, Any]:
        """Return the label set."""
        return {"label_set": self.label_set.to_dict()}

    def identity(self, heart: HeartEntry) -> dict[str, Any]:
        """Return the hash of the samples, and the heart that they are to be of."""
        of = {"sha256": heart.sha256, "content": heart.content}
        return {"name": heart.name, "samples": plain_file(self.data / heart.file), **of}

    def make(self, heart: HeartEntry) -> None:
        """Write a heart.

        Raises:
            InputError: Its samples are missing or damaged, or another heart's.
        """
        samples = SamplesFile(self.data / heart.file)
        check_is_of(samples, heart)
        write_npz(samples.read(), self._file(heart), self.label_set)

    def to_record(self, result: None) -> Any:
        """Return nothing: the file says all."""
        return None

    def of_record(self, record: Any) -> None:
        """Return nothing."""

    def files(self, heart: HeartEntry, result: None) -> Sequence[Path]:
        """Return the heart's file."""
        return [self._file(heart)]

    def _file(self, heart: HeartEntry) -> Path:
        return self.out / f"{heart.name}.npz"
