"""Options of a preparation, and how those of a data set hold for hearts that are added to it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.dataset import Choices, DataSet
from vecsetx.errors import InputError
from vecsetx.limits import VOXELS
from vecsetx.sampling.sampler import SamplingSpec

__all__ = [
    "PrepareOptions",
    "check_place",
    "choices_of",
    "sampling_words",
    "taken_over",
    "with_those_of",
]

_VAL_SHARE = 0.2
_SAMPLING = {
    "surface_points": "points",
    "near_points": "points",
    "volume_points": "points",
    "reach_mm": "reach",
    "mm_per_unit": "mm_per_unit",
}
"""Field of :class:`SamplingSpec` → option on the command line."""


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """Options of a preparation.

    Attributes:
        label_set: Meaning of ids and file names; None for the labels of an nnU-Net data set, all
            structures for files named after them, and ``default`` for other inputs.
        structures: Structures to learn; None for those of the label set that occur in the inputs.
        sampling: How each heart is sampled.
        val_share: Share of the patients for validation.
        folds: Number of folds for cross-validation.
        group_by: Regular expression that finds the patient in a heart's name; None: each heart is
            a patient.
        split: CSV file with each heart's split; None: at random, by ``val_share``.
        split_by_folder: Whether the folder that a heart is in names its split.
        seed: Seed of split and samples.
        workers: Number of processes; None for one per core.
        dask: Address of a Dask scheduler, whose workers are used instead.
        space: Axes of meshes whose files do not say, ``lps`` or ``ras``.
        trust_names: Whether structures keep their names where anatomy contradicts them.
        absent: Structures that hearts lack where their masks are empty. Others with an empty mask
            count as not annotated, as segmentation may have failed there.
        units: Unit of meshes, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.
        most_voxels: Most voxels of a label map.
        not_given: Names of options on the command line that were not given. A data set to which
            hearts are added decides these; its other options must be the same.
        labels_taken_over: Whether ``label_set`` is that of the data set to which hearts are added.
            It then holds unless a heart contradicts it.
    """

    label_set: LabelSet | None = None
    structures: tuple[str, ...] | None = None
    sampling: SamplingSpec = field(default_factory=SamplingSpec)
    val_share: float = _VAL_SHARE
    folds: int = 5
    group_by: str | None = None
    split: Path | None = None
    split_by_folder: bool = False
    seed: int = 0
    workers: int | None = None
    dask: str | None = None
    space: str = "lps"
    trust_names: bool = False
    absent: tuple[str, ...] = ()
    units: str = "mm"
    most_voxels: int = VOXELS
    not_given: frozenset[str] = frozenset()
    labels_taken_over: bool = False

    @property
    def own_split(self) -> bool:
        """Whether each heart's split is given."""
        return self.split is not None or self.split_by_folder

    def given(self, **typed: Any) -> "PrepareOptions":
        """Return the options with what was typed; the rest is :attr:`not_given`.

        Args:
            **typed: Option on the command line → value; None: not typed.
        """
        there = {name: value for name, value in typed.items() if value is not None}
        sampling = {key: there[name] for key, name in _SAMPLING.items() if name in there}
        plain = {name: there[name] for name in ("val_share", "folds", "seed") if name in there}
        return replace(
            self,
            sampling=replace(self.sampling, **sampling),
            not_given=frozenset(typed.keys() - there.keys()),
            **plain,
        )

    def check(self) -> None:
        """Raise :class:`InputError` if an option is out of range or contradicts another."""
        spec = self.sampling
        if not 0 <= self.val_share <= 1:
            raise InputError(f"--val-share {self.val_share}: must be between 0 and 1")
        if self.folds < 2:
            raise InputError(f"--folds {self.folds}: cross-validation needs at least 2")
        if (points := min(spec.surface_points, spec.near_points, spec.volume_points)) < 1:
            raise InputError(f"--points {points}: must be at least 1")
        if not spec.reach_mm > 0:
            raise InputError(f"--reach {spec.reach_mm:g}: must be above 0 mm; inf for no limit")
        if not 0 < spec.mm_per_unit < math.inf:
            raise InputError(f"--mm-per-unit {spec.mm_per_unit:g}: must be a length above 0 mm")
        if self.split and self.split_by_folder:
            raise InputError("--split and --split-by-folder: both say the splits; give one of them")
        if self.own_split and self.val_share != _VAL_SHARE:
            raise InputError(
                f"--val-share {self.val_share:g}: the splits are given "
                f"({'--split' if self.split else '--split-by-folder'}); leave one of the two out"
            )
        if self.structures and (outside := set(self.absent) - set(self.structures)):
            raise InputError(
                f"--absent {','.join(sorted(outside))}: not among --structures; name it there, too"
            )


def check_place(inputs: Sequence[Path], out: Path) -> None:
    """Check that a data set is not written among the files that it is made from.

    Raises:
        InputError: ``out`` is an input, or inside one.
    """
    for given in inputs:
        if out.resolve().is_relative_to(given.resolve()):
            raise InputError(
                f"--out {out}: is {'' if out.resolve() == given.resolve() else 'inside '}the input "
                f"{given}, among whose hearts the data set would be; choose another --out"
            )


def with_those_of(before: DataSet | None, options: PrepareOptions) -> PrepareOptions:
    """Return the options for adding hearts to a data set: what was not given is as in it.

    Args:
        before: The data set; None: there is none yet.
        options: The options as given.

    Raises:
        InputError: An option that was given contradicts the data set.
    """
    if before is None:
        return options
    then, now = _kept(before), _values(options)
    changed = {
        _SAMPLING.get(key, key): (value, now[key])
        for key, value in then.items()
        if _SAMPLING.get(key, key) not in options.not_given and not _same(value, now[key])
    }
    if changed:
        olds = " and ".join(_said(name, old) for name, (old, _) in changed.items())
        news = " and ".join(_said(name, new) for name, (_, new) in changed.items())
        raise InputError(
            f"{before.folder}: its hearts were prepared {olds}, not {news}; leave this out to keep "
            "what the data set has, or choose another --out"
        )
    _check_split(before, options)
    sampling = {key: then.pop(key) for key in asdict(options.sampling) if key in then}
    if "absent" in options.not_given and before.choices:
        then["absent"] = before.choices.absent
    if options.label_set is None and "labels" in options.not_given:
        then["label_set"] = _only_label_set(before)
        then["labels_taken_over"] = then["label_set"] is not None
    return replace(options, sampling=replace(options.sampling, **sampling), **then)


def taken_over(dataset: DataSet, options: PrepareOptions) -> list[str]:
    """Return the options of a data set that were not given and are not the usual ones.

    Args:
        dataset: The data set, after hearts were added.
        options: The options as given.
    """
    values: dict[str, Any] = _kept(dataset)
    if dataset.choices:
        found = _only_label_set(dataset)
        values |= {"labels": found and found.name, "absent": dataset.choices.absent}
    usual: dict[str, Any] = {**_values(PrepareOptions()), "labels": None, "absent": ()}
    changed = {
        _SAMPLING.get(key, key): value for key, value in values.items() if value != usual[key]
    }
    return [_option(name, value) for name, value in changed.items() if name in options.not_given]


def sampling_words(kept: Mapping[str, Any]) -> list[str]:
    """Return the options of the sampling that are not the usual ones, as words to type.

    Args:
        kept: What a heart's samples record, as :func:`vecsetx.sampling.sampler.options_of` says.
    """
    usual = asdict(SamplingSpec())
    names = {_SAMPLING[key]: kept[key] for key in usual if kept.get(key, usual[key]) != usual[key]}
    return [word for name, value in names.items() for word in _option(name, value).split()]


def choices_of(before: DataSet | None, options: PrepareOptions, used: Sequence[str]) -> Choices:
    """Return what a data set keeps of the options, for hearts added later.

    Args:
        before: The data set before; None: there was none.
        options: The options, as :func:`with_those_of` returns them.
        used: Names of the label sets of the data set's hearts.
    """
    chosen = {options.label_set.name if options.label_set else None}
    if before:
        chosen |= set(before.choices.label_sets if before.choices else (None,))
    return Choices(
        structures=options.structures,
        absent=options.absent,
        group_by=options.group_by,
        label_sets=tuple(name for name in (None, *used) if name in chosen),
        own_split=options.own_split or bool(before and before.own_split),
        most_voxels=max(
            options.most_voxels, before.choices.most_voxels if before and before.choices else 0
        ),
    )


def _check_split(before: DataSet, options: PrepareOptions) -> None:
    if options.own_split and not before.own_split:
        given = "--split" if options.split else "--split-by-folder"
        raise InputError(
            f"{before.folder}: its hearts were split at random (--val-share {before.val_share:g}), "
            f"not by {given}; leave it out, or choose another --out"
        )
    if before.own_split and options.val_share != _VAL_SHARE:
        raise InputError(
            f"--val-share {options.val_share:g}: the splits of {before.folder} were given, not "
            "drawn at random; leave it out, or choose another --out"
        )


def _kept(dataset: DataSet) -> dict[str, Any]:
    """Return the options that hold for all hearts of a data set, as it has recorded them."""
    known = _values(PrepareOptions())
    kept = {key: value for key, value in dataset.options.items() if key in known}
    kept |= {"seed": dataset.seed, "folds": dataset.folds}
    if dataset.choices:  # data sets of earlier versions have not recorded them
        kept |= {"structures": dataset.choices.structures, "group_by": dataset.choices.group_by}
    return kept if dataset.own_split else kept | {"val_share": dataset.val_share}


def _values(options: PrepareOptions) -> dict[str, Any]:
    names = ("seed", "folds", "structures", "group_by", "val_share")
    return {**asdict(options.sampling), **{name: getattr(options, name) for name in names}}


def _same(one: Any, other: Any) -> bool:
    both_lists = isinstance(one, tuple) and isinstance(other, tuple)
    return set(one) == set(other) if both_lists else bool(one == other)


def _only_label_set(dataset: DataSet) -> LabelSet | None:
    """Return the label set that was chosen for all hearts; None if there is no such one."""
    names = dataset.choices.label_sets if dataset.choices else ()
    if len(names) != 1 or names[0] is None:
        return None
    return LabelSet.from_dict(dataset.label_sets[names[0]], str(dataset.folder))


def _said(name: str, value: Any) -> str:
    option = _option(name, value)
    return f"without {option}" if value is None else f"with {option}"


def _option(name: str, value: Any) -> str:
    """Return an option as it is typed; its name alone if it has no value."""
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, tuple):
        value = ",".join(value)
    elif isinstance(value, float):
        value = f"{value:g}"
    return flag if value is None else f"{flag} {value}"
