"""A prepared data set: a folder with ``dataset.json`` and one samples file per heart."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.structures import StructureName
from vecsetx.data.split import Assignment, Split
from vecsetx.errors import DamagedError, InputError
from vecsetx.files import write_json
from vecsetx.limits import MOST_VARIANTS, VOXELS
from vecsetx.names import Name, RelativePath, check_name
from vecsetx.plain_data import PlainDataError, read_json, validated, validator
from vecsetx.progress import counted_parts
from vecsetx.sampling.samples import SamplesFile
from vecsetx.schemas import check_schema

__all__ = ["Choices", "DataSet", "FailedHeart", "HeartEntry", "check_is_of"]

_SCHEMA = 2
"""Version of ``dataset.json``; other versions are rejected."""

VariantCount = Annotated[int, Field(ge=0, le=MOST_VARIANTS)]
"""A number from ``dataset.json``, for which files are opened."""


@dataclass(frozen=True, slots=True)
class HeartEntry:
    """One heart of a data set.

    Attributes:
        name: Unique name.
        patient: The patient. All hearts of a patient are in the same split and fold.
        split: ``train``, ``val`` or ``test``.
        fold: 0…F−1, for cross-validation; −1 in split ``test``, which is in no fold.
        file: Samples file, relative to the data set's folder.
        kind, source, space, units: Its source: see :class:`vecsetx.data.sources.HeartSource`.
        sha256: Hash of the source's files.
        content: Hash of the heart's shape.
        label_set: Name of its label set.
        annotated: Structures that its label maps annotate. An annotated structure without voxels is
            absent. Nothing is known of other structures, which carry no loss and no score.
        version: Version of VecSetX that sampled it.
        variants: Number of its variants, as of ``vecsetx vary``; their files are numbered from 1.
    """

    name: Name
    patient: str
    split: Split
    fold: int
    file: RelativePath
    kind: str
    source: str
    space: str
    sha256: str
    content: str
    label_set: str
    annotated: tuple[StructureName, ...]
    version: str
    units: str = "mm"
    variants: VariantCount = 0

    def variant_file(self, number: int) -> str:
        """Return the samples file of a variant, relative to the data set's folder."""
        return f"variants/{self.name}-{number}.safetensors"


@dataclass(frozen=True, slots=True)
class FailedHeart:
    """A heart of the inputs that could not be prepared.

    Attributes:
        name: Its name; not safe for a path, as that may be why it could not be prepared.
        source: Path of its file or folder.
        reason: Why, in words.
    """

    name: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choices:
    """Options that hold for all hearts of a data set, for hearts added later.

    Attributes:
        structures: Structures to learn; None for those that occur in the inputs.
        absent: Structures that the hearts prepared last lack where their masks are empty.
        group_by: Regular expression that finds the patient in a heart's name; None: each heart is
            a patient.
        label_sets: Names of the label sets chosen; None among them: the files' own were read.
        own_split: Whether each heart's split was given; if not, it was drawn at random.
        most_voxels: Most voxels of a label map.
    """

    structures: tuple[StructureName, ...] | None = None
    absent: tuple[StructureName, ...] = ()
    group_by: str | None = None
    label_sets: tuple[str | None, ...] = ()
    own_split: bool = False
    most_voxels: int = VOXELS


@dataclass(frozen=True, slots=True)
class DataSet:
    """A prepared data set, as described by its ``dataset.json``.

    Attributes:
        folder: Its folder.
        structures: Names of the K structures, in the order of every distance.
        label_sets: The label sets of the sources by name, in the form of :meth:`LabelSet.to_dict`.
        seed: Seed of the splits and of the sampling.
        val_share: Share of the patients in split ``val``, 0…1, if splits are drawn at random.
        folds: Number of folds.
        options: Options of the sampling.
        hearts: All hearts, sorted by name.
        choices: Further options; None for a data set of an earlier version, which kept none.
        failed: Hearts that could not be prepared when they were last tried, sorted by name.
    """

    folder: Path
    structures: tuple[str, ...]
    label_sets: Mapping[str, Mapping[str, Any]]
    seed: int
    val_share: float
    folds: int
    options: Mapping[str, Any]
    hearts: tuple[HeartEntry, ...]
    choices: Choices | None = None
    failed: tuple[FailedHeart, ...] = ()

    @property
    def left_out(self) -> dict[str, str]:
        """Heart → why it could not be prepared; only hearts whose files are still there."""
        return {one.name: one.reason for one in self.failed if Path(one.source).exists()}

    @property
    def own_split(self) -> bool:
        """Whether each heart's split was given; if not, it was drawn at random."""
        return self.choices is not None and self.choices.own_split

    def of_split(self, split: Split, fold: int | None = None) -> tuple[HeartEntry, ...]:
        """Return the hearts of one split.

        Args:
            split: ``train``, ``val`` or ``test``.
            fold: None for the data set's own split. With the number of a fold, its hearts are
                ``val`` and all others ``train``, without those in ``test``.

        Raises:
            InputError: There is no such fold.
        """
        if fold is None or split == "test":
            return tuple(heart for heart in self.hearts if heart.split == split)
        if not 0 <= fold < self.folds:
            raise InputError(
                f"{self.folder}: has folds 0 to {self.folds - 1}, not {fold}; choose one of them"
            )
        rest = (heart for heart in self.hearts if heart.split != "test")
        return tuple(heart for heart in rest if (heart.fold == fold) == (split == "val"))

    def open(self, heart: HeartEntry) -> SamplesFile:
        """Open a heart's samples.

        Raises:
            DamagedError: The file is damaged, or holds another heart.
            InputError: It is missing, or has structures that are not in the data set.
        """
        samples = self.open_file(heart.file)
        check_is_of(samples, heart)
        return samples

    def open_file(self, file: str) -> SamplesFile:
        """Open a samples file, whichever heart it holds; see :meth:`open`.

        Args:
            file: Relative to the data set's folder.
        """
        samples = SamplesFile(self.folder / file)
        if unknown := set(samples.info.structures) - set(self.structures):
            raise InputError(
                f"{samples.path}: has structures {sorted(unknown)}, which the data set lacks; "
                "prepare the data again"
            )
        return samples

    def open_variants(self, heart: HeartEntry) -> list[SamplesFile]:
        """Open the samples of a heart's variants.

        Raises:
            InputError: A file is missing, or of another heart than the data set's.
        """
        files = []
        for number in range(1, heart.variants + 1):
            file = self.open_file(heart.variant_file(number))
            if file.info.sha256 != heart.sha256:
                raise InputError(
                    f"{file.path}: is a variant of another heart than {heart.name} is now; run "
                    "vecsetx vary again"
                )
            files.append(file)
        return files

    def without_damaged(self, fold: int | None) -> tuple["DataSet", dict[str, str]]:
        """Return the data set without the hearts whose files are damaged, to train on.

        Args:
            fold: The fold to hold out, as for :meth:`of_split`.

        Returns:
            The data set; and heart → what is wrong, of its training and validation hearts.

        Raises:
            InputError: More than half of them are damaged; or a file cannot be read.
        """
        damaged: dict[str, str] = {}
        hearts = (*self.of_split("train", fold), *self.of_split("val", fold))
        for heart in counted_parts(hearts, "heart"):
            try:
                self.open(heart)
            except DamagedError as error:
                damaged[heart.name] = str(error)
        if len(damaged) > len(hearts) / 2:
            raise InputError(
                f"{self.folder}: {len(damaged)} of {len(hearts)} hearts are damaged, such as "
                f"{next(iter(damaged.values()))}"
            )
        kept = tuple(heart for heart in self.hearts if heart.name not in damaged)
        return replace(self, hearts=kept), damaged

    def label_set(self) -> LabelSet:
        """Return a label set with all structures: a source's, or else ids 1…K in their order."""
        for data in self.label_sets.values():
            found = LabelSet.from_dict(data, str(self.folder))
            if set(self.structures) <= set(found.structures):
                return found
        return LabelSet("combined", dict(enumerate(self.structures, 1)))

    def with_assignments(self, assigned: Mapping[str, Assignment]) -> "DataSet":
        """The same data set with other splits and folds, by patient."""
        hearts = (
            replace(heart, split=assigned[heart.patient].split, fold=assigned[heart.patient].fold)
            for heart in self.hearts
        )
        return replace(self, hearts=tuple(hearts))

    def write(self) -> None:
        """Write ``dataset.json``."""
        data = {
            "schema": _SCHEMA,
            "structures": list(self.structures),
            "label_sets": {name: dict(data) for name, data in self.label_sets.items()},
            "seed": self.seed,
            "val_share": self.val_share,
            "folds": self.folds,
            # JSON has no infinity, which is a reach without limit.
            "options": {k: str(v) if v == math.inf else v for k, v in self.options.items()},
            "choices": self.choices and asdict(self.choices),
            "hearts": [asdict(heart) for heart in self.hearts],
            "failed": [asdict(heart) for heart in self.failed],
        }
        write_json(self.folder / "dataset.json", data)

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Whether a folder is a prepared data set; nnU-Net's have a ``dataset.json``, too."""
        return (folder / "dataset.json").exists() and not (folder / "labelsTr").exists()

    @classmethod
    def read(cls, folder: Path) -> "DataSet":
        """Read the ``dataset.json`` of a folder.

        Raises:
            InputError: There is no data set, its file is damaged, or it has another schema.
        """
        path = folder / "dataset.json"
        if not folder.exists():
            raise InputError(f"{folder}: no such folder; check the path of the data set")
        if not path.exists():
            raise InputError(
                f"{folder}: no prepared data set (no dataset.json); run vecsetx prepare"
            )
        try:
            data = read_json(path)
            check_schema(
                path, data["schema"], _SCHEMA, "prepare the hearts again, into another folder"
            )
            _check_names(data, path)
            file = validated(validator(_File), data)
        except (OSError, PlainDataError, KeyError, TypeError) as error:
            raise InputError(f"{path}: damaged ({error}); prepare the data again") from error
        if twice := [n for n, k in Counter(h.name for h in file.hearts).items() if k > 1]:
            raise InputError(
                f"{path}: damaged ({twice[0]!r} is there twice); prepare the data again"
            )
        options = {k: math.inf if v == "inf" else v for k, v in file.options.items()}
        return cls(
            folder,
            file.structures,
            file.label_sets,
            file.seed,
            file.val_share,
            file.folds,
            options,
            file.hearts,
            file.choices,
            file.failed,
        )


def check_is_of(samples: SamplesFile, heart: HeartEntry) -> None:
    """Raise :class:`DamagedError` if a file holds another heart than a data set says."""
    found, expected = samples.info, (heart.name, heart.sha256, heart.content)
    if (found.name, found.sha256, found.content) != expected:
        raise DamagedError(
            f"{samples.path}: contains another heart than dataset.json says ({found.name}, made "
            f"from {found.source}); prepare the data again"
        )


def _check_names(data: Any, path: Path) -> None:
    """Check the names of all hearts, as far as there are any.

    Raises:
        InputError: One is unsafe.
    """
    hearts = data.get("hearts") if isinstance(data, dict) else None
    for heart in hearts if isinstance(hearts, list) else ():
        name = heart.get("name") if isinstance(heart, dict) else None
        try:
            check_name(name) if isinstance(name, str) else None
        except ValueError as error:
            raise InputError(
                f"{path}: a heart has an {error}; rename it there, or prepare the data again"
            ) from error


@dataclass(frozen=True, slots=True)
class _File:
    """The content of ``dataset.json``, with the same names."""

    schema: int
    structures: tuple[StructureName, ...]
    label_sets: dict[str, dict[str, Any]]
    seed: int
    val_share: float
    folds: int
    options: dict[str, Any]
    hearts: tuple[HeartEntry, ...]
    choices: Choices | None = None
    failed: tuple[FailedHeart, ...] = ()
