"""A prepared data set: a folder with ``dataset.json`` and one samples file per heart."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from vecsetx.errors import InputError
from vecsetx.files import write_json
from vecsetx.sampling.samples import SamplesFile

SCHEMA = 1
"""Version of ``dataset.json``; a reader refuses any other."""

Split = Literal["train", "val"]


@dataclass(frozen=True, slots=True)
class HeartEntry:
    """One heart of a data set.

    Attributes:
        name: Unique name.
        patient: Hearts of one patient share it, and with it their split.
        split: ``train`` or ``val``.
        file: Samples file, relative to the data set's folder.
        source: The label map it was made from.
    """

    name: str
    patient: str
    split: Split
    file: str
    source: str


@dataclass(frozen=True, slots=True)
class DataSet:
    """What ``dataset.json`` says.

    Attributes:
        folder: Where it lies.
        structures: Names of the K structures, in the order of every distance.
        label_set: The label set of the sources, as :meth:`LabelSet.to_dict` gives it.
        seed: Seed of split and draws.
        hearts: All hearts, sorted by name.
    """

    folder: Path
    structures: tuple[str, ...]
    label_set: Mapping[str, Any]
    seed: int
    hearts: tuple[HeartEntry, ...]

    def of_split(self, split: Split) -> tuple[HeartEntry, ...]:
        """The hearts of one split."""
        return tuple(heart for heart in self.hearts if heart.split == split)

    def open(self, heart: HeartEntry) -> SamplesFile:
        """Open a heart's samples; :class:`InputError` if its structures are not the set's."""
        samples = SamplesFile(self.folder / heart.file)
        if samples.info.structures != self.structures:
            raise InputError(
                f"{samples.path}: has structures {samples.info.structures}, the data set has "
                f"{self.structures}; prepare it again"
            )
        return samples

    def write(self) -> None:
        """Write ``dataset.json``."""
        data = {
            "schema": SCHEMA,
            "structures": list(self.structures),
            "label_set": dict(self.label_set),
            "seed": self.seed,
            "hearts": [asdict(heart) for heart in self.hearts],
        }
        write_json(self.folder / "dataset.json", data)

    @classmethod
    def read(cls, folder: Path) -> "DataSet":
        """Read a data set's folder.

        Raises:
            InputError: No data set there, a damaged file, or another schema.
        """
        path = folder / "dataset.json"
        if not path.exists():
            raise InputError(
                f"{folder}: no prepared data set (no dataset.json); run vecsetx prepare"
            )
        try:
            data = json.loads(path.read_text())
            if data["schema"] != SCHEMA:
                raise InputError(
                    f"{path}: schema {data['schema']}, this version reads {SCHEMA}; prepare again"
                )
            hearts = tuple(HeartEntry(**heart) for heart in data["hearts"])
            structures = tuple(data["structures"])
            return cls(folder, structures, data["label_set"], data["seed"], hearts)
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{path}: damaged ({error!r}); prepare the data again") from error


def split_by_patient(patients: Sequence[str], val_share: float, seed: int) -> dict[str, Split]:
    """Put every patient in one split, at random.

    The order in which patients come to ``val`` depends on each one's name and the seed alone, so
    that a patient more or less moves at most those at the border.

    Args:
        patients: One entry per heart; repeated for several hearts of a patient.
        val_share: Share of the patients that goes to ``val``, rounded, at least one of each kind if
            there are two patients or more and the share is neither 0 nor 1.
        seed: Seed.

    Returns:
        Patient → split.
    """
    unique = sorted(set(patients))
    wanted = round(val_share * len(unique))
    if 0 < val_share < 1 and len(unique) > 1:
        wanted = min(max(wanted, 1), len(unique) - 1)
    order = sorted(unique, key=lambda patient: sha256(f"{seed}/{patient}".encode()).digest())
    val = set(order[:wanted])
    return {patient: "val" if patient in val else "train" for patient in unique}
