"""Which patients a model learns from and which it is scored on."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from vecsetx.errors import InputError

Split = Literal["train", "val"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a patient stands: split ``train`` or ``val``, and fold 0…F−1."""

    split: Split
    fold: int


def patients_of(names: Sequence[str], group_by: str | None) -> dict[str, str]:
    """Heart name → patient.

    Args:
        names: The hearts' names.
        group_by: A regular expression; the part of a name that its first group (or, without groups,
            the whole expression) matches is the patient. None: one patient per heart.

    Raises:
        InputError: The expression is invalid or does not match a name.
    """
    if group_by is None:
        return {name: name for name in names}
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise InputError(f"--group-by {group_by!r}: not a regular expression: {error}") from error
    patients = {}
    for name in names:
        match = pattern.search(name)
        patient = match and match[1 if pattern.groups else 0]
        if not patient:
            raise InputError(f"--group-by {group_by!r}: finds no patient in heart {name!r}")
        patients[name] = patient
    return patients


def split_by_patient(
    patients: Iterable[str],
    val_share: float,
    folds: int,
    seed: int,
    before: Mapping[str, Place] | None = None,
) -> dict[str, Place]:
    """Give every patient one split and one fold, at random.

    Patients that have a place keep it; new ones fill up ``val`` to its share, and the folds evenly.
    The order in which new patients are placed depends on their names and the seed alone.

    Args:
        patients: One entry per heart; repeated for several hearts of a patient.
        val_share: Share of all patients that goes to ``val``, rounded, at least one of each kind if
            there are two patients or more and the share is neither 0 nor 1.
        folds: Number of folds, of sizes that differ by one at most.
        seed: Seed.
        before: Places that patients have already, whether or not they are among ``patients``.

    Returns:
        Patient → place, for ``patients`` and those of ``before``.
    """
    places = dict(before or {})
    new = sorted(
        set(patients) - places.keys(),
        key=lambda patient: sha256(f"{seed}/{patient}".encode()).digest(),
    )
    total = len(places) + len(new)
    wanted = round(val_share * total)
    if 0 < val_share < 1 and total > 1:
        wanted = min(max(wanted, 1), total - 1)
    missing = max(wanted - sum(place.split == "val" for place in places.values()), 0)
    sizes = [sum(place.fold == fold for place in places.values()) for fold in range(folds)]
    for number, patient in enumerate(new):
        fold = sizes.index(min(sizes))
        sizes[fold] += 1
        places[patient] = Place("val" if number < missing else "train", fold)
    return places
