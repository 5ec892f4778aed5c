"""Split patients into training, validation and test sets, and into folds for cross-validation."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from vecsetx.errors import InputError

__all__ = ["Assignment", "Split", "patients_of", "split_by_patient"]

Split = Literal["train", "val", "test"]

_NO_FOLD = -1
"""Fold of the patients in ``test``."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The split and fold of a patient.

    Attributes:
        split: ``train``, ``val`` or ``test``.
        fold: 0…F−1; −1 in ``test``.
    """

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
    existing: Mapping[str, Assignment] | None = None,
    given: Mapping[str, Split] | None = None,
) -> dict[str, Assignment]:
    """Assign every patient to one split and one fold, at random unless the splits are given.

    Patients already assigned keep their split and fold. New ones fill ``val`` up to its share, and
    the folds evenly, in an order that depends only on their names and the seed. The folds are those
    of the patients outside ``test``.

    Args:
        patients: The patient of each heart; patients may repeat.
        val_share: Share of all patients in ``val``, rounded. With two patients or more and a share
            other than 0 and 1, each split receives at least one.
        folds: Number of folds; their sizes differ by at most one.
        seed: Seed of the order.
        existing: Assignments that already exist, also of patients not among ``patients``.
        given: Patient → split, for at least the new patients; None: at random.

    Returns:
        Patient → assignment, for ``patients`` and those of ``existing``.
    """
    # A hash orders the patients, so that their order does not depend on which others there are.
    assigned = dict(existing or {})
    new = sorted(
        set(patients) - assigned.keys(),
        key=lambda patient: sha256(f"{seed}/{patient}".encode()).digest(),
    )
    splits = _at_random(new, assigned, val_share) if given is None else given
    sizes = [sum(one.fold == fold for one in assigned.values()) for fold in range(folds)]
    for patient in new:
        if splits[patient] == "test":
            assigned[patient] = Assignment("test", _NO_FOLD)
            continue
        fold = sizes.index(min(sizes))  # the smallest fold, the first of them if several are
        sizes[fold] += 1
        assigned[patient] = Assignment(splits[patient], fold)
    return assigned


def _at_random(
    new: Sequence[str], assigned: Mapping[str, Assignment], val_share: float
) -> dict[str, Split]:
    """Return the splits of new patients: the first ones fill ``val`` up to its share of all."""
    total = len(assigned) + len(new)
    wanted = round(val_share * total)
    if 0 < val_share < 1 and total > 1:
        wanted = min(max(wanted, 1), total - 1)
    missing = max(wanted - sum(one.split == "val" for one in assigned.values()), 0)
    return {patient: "val" if number < missing else "train" for number, patient in enumerate(new)}
