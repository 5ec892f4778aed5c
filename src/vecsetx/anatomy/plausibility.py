"""Whether the names of structures agree with anatomy that every heart has, whatever its pose.

Names come from ids, and ids from a convention that a file does not state. Contacts between the
structures show which name belongs where: the myocardium encloses the left ventricle, the aorta
leaves the left ventricle and the pulmonary artery the right one, each atrium sits on its ventricle.

Only what is seen contradicts a name: contact that no heart has. Contact that is missing does not,
because a scan may end before it, or a structure may not be labelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise, permutations

import numpy as np
from jaxtyping import Float, Int

from vecsetx.anatomy.contacts import Contacts
from vecsetx.anatomy.handedness import is_mirrored
from vecsetx.anatomy.veins import exchanged_veins, veins_at_ventricles

__all__ = ["LEAST_SIMILARITY", "STRUCTURES", "Contradictions", "contradictions", "fit"]

STRUCTURES = ("Myocardium", "LA", "LV", "RA", "RV", "Aorta", "PA")
"""Structures that contacts tell apart. Others count as background."""

_SHARES = np.array(
    [
        [0.000, 0.010, 0.350, 0.006, 0.139, 0.007, 0.001],
        [0.033, 0.000, 0.086, 0.028, 0.000, 0.027, 0.004],
        [0.852, 0.063, 0.000, 0.004, 0.002, 0.038, 0.000],
        [0.016, 0.022, 0.004, 0.000, 0.091, 0.040, 0.000],
        [0.242, 0.000, 0.001, 0.061, 0.000, 0.013, 0.033],
        [0.030, 0.032, 0.061, 0.072, 0.034, 0.000, 0.067],
        [0.006, 0.004, 0.000, 0.000, 0.113, 0.085, 0.000],
    ]
)
"""Share of each structure's surface (row) that faces each other one, in :data:`STRUCTURES`' order:
means of 67 real hearts of three sources, each source with the same weight."""

_SHARES_WITH_WALLS = np.array(
    [
        [0.000, 0.000, 0.000, 0.000, 0.000, 0.000, 0.000],
        [0.000, 0.000, 0.119, 0.028, 0.000, 0.027, 0.004],
        [0.000, 0.051, 0.000, 0.010, 0.196, 0.032, 0.001],
        [0.000, 0.022, 0.019, 0.000, 0.091, 0.040, 0.000],
        [0.000, 0.000, 0.243, 0.061, 0.000, 0.013, 0.033],
        [0.000, 0.032, 0.091, 0.072, 0.034, 0.000, 0.067],
        [0.000, 0.004, 0.006, 0.000, 0.113, 0.085, 0.000],
    ]
)
"""The same of these hearts where the myocardium belongs to the LV."""

_MOST_MM2 = {
    # pair: most allowed, and without a labelled myocardium  # most seen: real, phantoms; the same
    ("LV", "RV"): (250.0, np.inf),  # see _SEPTUM
    ("LV", "RA"): (450.0, 1000.0),  # 217, 44; 586, 504
    ("LV", "PA"): (250.0, 700.0),  # 3, 28; 156, 240
    ("RV", "LA"): (250.0, 250.0),  # 0, 0; 0, 0
    ("RA", "PA"): (500.0, 500.0),  # 0, 112; 0, 112
    ("Myocardium", "PA"): (500.0, np.inf),  # 146, 300
    ("LA", "PA"): (1500.0, 1500.0),  # 476, 728; 476, 632
    ("Myocardium", "RA"): (1500.0, np.inf),  # 467, 704
    ("Myocardium", "LA"): (2500.0, np.inf),  # 891, 1088
    ("RV", "Aorta"): (2500.0, 2500.0),  # 886, 452; 878, 456
    ("Myocardium", "Aorta"): (3500.0, np.inf),  # 1205, 620
    ("LA", "Aorta"): (3500.0, 3500.0),  # 1166, 1212; 1166, 1068
    ("LV", "Aorta"): (3500.0, 6000.0),  # 1205, 1300; 2190, 1636
    ("LV", "LA"): (4000.0, 6000.0),  # 1448, 1556; 2035, 2140
}
"""Contact that two structures have at most, mm². Without a labelled myocardium, ventricles may
include their walls.

The most seen are of real hearts of three sources (27; without myocardium 67), phantoms (200; 60),
and cuts and stacks of them (4000; 380) (``benchmarks/plausibility.py``). The smallest margin is a
factor of 1.7, for the PA of phantoms. Cuts only reduce contact. A heart with more is not refused
unless other names fit it.
"""

_SEPTUM = 0.5
"""Contact of LV and RV as a share of that of the myocardium and the RV. Thick slices join the two
beside the valves, over up to 645 mm²; with names exchanged, the share is above 1."""

_ENCLOSED_MORE = 0.3
"""How much more of a structure's surface faces the myocardium than of the LV's: −0.17 at most in
whole hearts and 0.17 in cuts; in stacks whose LV and RV are exchanged, at least 0.34."""

_ENCLOSES_MORE = 0.1
"""How much more of the myocardium's surface faces the LV than of the LV's faces the myocardium:
−0.46 at most in whole hearts, −0.06 in cuts, −0.27 in stacks."""

_LEAST_ML = 5.0
"""Volume that a structure needs for its share to count."""

_LEAST_WALL_ML = 1.0
"""Volume of myocardium that counts as labelled."""

_NEW_NAME = 0.02
"""How much more similar names must be for each of them that the file does not give."""

_VALVE_MM2 = 200.0
"""Contact at a valve that shows that little of its two sides is cut off; real whole hearts have 574
or more. A cut may still turn the sense of LV, RV, aorta and LA (to −0.23), but not that of LV, RA,
RV and PA as well (0.17 or more): only both together say that a heart is mirrored."""

_HALF_MIRRORED = "some structures lie as in a mirror, and others not"

LEAST_SIMILARITY = -0.06
"""Similarity below which no names fit: −0.02 at worst in whole hearts, −0.05 in stacks."""

_BEHIND = 0.01
"""How much less similar names may be that handedness prefers. The right ones are the most similar
in all real hearts, and up to 0.004 behind in one of 30 phantoms."""

_FAR_BEHIND = 0.03
"""How much less similar than the given names others may be that nothing contradicts."""

_TRIED = 8
"""How many of the most similar names are compared by handedness."""


@dataclass(frozen=True, slots=True)
class Contradictions:
    """What contradicts the names of a heart's structures.

    Attributes:
        broken: What no heart shows, as clauses: "the LV touches the PA over 812 mm²".
        best: Id → structure: the names that fit best. Ids that are background are left out.
        mirrored: Whether the names fit best as they are, and left and right are exchanged.
    """

    broken: tuple[str, ...]
    best: Mapping[int, str]
    mirrored: bool = False


def contradictions(contacts: Contacts, names: Mapping[int, str]) -> Contradictions | None:
    """Hold the names of a heart's structures against anatomy.

    Args:
        contacts: What was measured of its label map.
        names: Id → structure; ids without a name are background.

    Returns:
        None if nothing contradicts the names, or if something contradicts all others, too: not
        every heart is as most are, and not everything is a heart.
    """
    given = _Named.of(contacts, names)
    broken, mirrored = given.broken(), given.mirrored()
    if not (broken or mirrored):
        return _of_veins(contacts, names)
    best = _best(contacts, names, given)
    named = _Named.of(contacts, best)
    likeness = named.similarity(named.rows)[0]
    if named.broken() or likeness < LEAST_SIMILARITY:
        return None
    own_likeness = given.similarity(given.rows)[0]
    if not given.background and own_likeness > likeness + _FAR_BEHIND:
        return None  # an unusual heart under its right names
    if broken == (_HALF_MIRRORED,) and own_likeness > likeness:
        return None  # a cut may turn some of the structures' sense
    if mirrored:
        broken = (*broken, "left and right are exchanged")
        if not given.broken() and own_likeness > likeness - _BEHIND:
            return Contradictions(broken, names, mirrored=True)
    return Contradictions(broken, best)


def fit(contacts: Contacts, names: Mapping[int, str]) -> float:
    """Score how well names fit a heart's contacts, to choose between names for the same ids.

    Args:
        contacts: What was measured of its label map.
        names: Id → structure.

    Returns:
        At most 0; higher is better. Minus the number of contradictions, minus the difference of
        the contacts from those of real hearts (below 1). NaN if fewer than three structures are
        there that contacts tell apart.
    """
    named = _Named.of(contacts, names)
    if len(named.groups) < 3:
        return float("nan")
    return float(named.similarity(named.rows)[0]) - len(named.broken())


@dataclass(frozen=True, slots=True)
class _Named:
    """Contacts between n named structures: of their ids together, in rows 1…n.

    Row 0 is everything else. The last row, n + 1, stands for structures that are absent.

    Attributes:
        groups: The ids of each structure.
        rows: ``[1, 7]`` row of each of :data:`STRUCTURES`.
        area_mm2: ``[n + 2, n + 2]``, as in :class:`Contacts`.
        volume_ml: ``[n + 2]``.
        centroid_mm: ``[n + 2, 3]``.
        background: Structures whose ids fill the edge of the scan, and are not among the groups.
    """

    groups: tuple[tuple[int, ...], ...]
    rows: Int[np.ndarray, "1 7"]
    area_mm2: Float[np.ndarray, "n2 n2"]
    volume_ml: Float[np.ndarray, " n2"]
    centroid_mm: Float[np.ndarray, "n2 3"]
    background: tuple[str, ...]

    @classmethod
    def of(cls, contacts: Contacts, names: Mapping[int, str]) -> _Named:
        """Join the ids of each structure."""
        ids_of: dict[str, list[int]] = {}
        background = []
        for row, label_id in enumerate(contacts.ids, start=1):
            name = names.get(label_id)
            if name in STRUCTURES:
                if contacts.fills_edge(row):
                    background.append(name)
                else:
                    ids_of.setdefault(name, []).append(label_id)
        count = len(ids_of)
        # 1. A table from the rows of ids to those of structures sums what belongs together.
        row_of = {i: n for n, ids in enumerate(ids_of.values(), start=1) for i in ids}
        joins = np.zeros((count + 2, len(contacts.ids) + 1))
        joins[[0, *(row_of.get(i, 0) for i in contacts.ids)], np.arange(len(contacts.ids) + 1)] = 1
        area_mm2 = joins @ contacts.area_mm2 @ joins.T
        np.fill_diagonal(area_mm2, 0.0)
        volume_ml = joins @ contacts.volume_ml
        centroid_mm = joins @ (contacts.volume_ml[:, None] * contacts.centroid_mm)
        # 2. Which row each structure has.
        rows = np.full((1, len(STRUCTURES)), count + 1)
        for row, name in enumerate(ids_of, start=1):
            rows[0, STRUCTURES.index(name)] = row
        return cls(
            tuple(tuple(ids) for ids in ids_of.values()),
            rows,
            area_mm2,
            volume_ml,
            centroid_mm / np.maximum(volume_ml, 1e-9)[:, None],
            tuple(background),
        )

    @property
    def names(self) -> dict[int, str]:
        """Id → structure."""
        return {
            label_id: STRUCTURES[place]
            for place, row in enumerate(self.rows[0].tolist())
            if row <= len(self.groups)
            for label_id in self.groups[row - 1]
        }

    def shares(self) -> np.ndarray:
        """Share of each row's surface that faces each other row; 0 where there is no surface."""
        return self.area_mm2 / np.maximum(self.area_mm2.sum(axis=1, keepdims=True), 1e-9)

    def similarity(self, rows: Int[np.ndarray, "p 7"]) -> Float[np.ndarray, " p"]:
        """Minus the mean squared difference of contacts from those of real hearts, in −1…0.

        Without a myocardium, the LV may include it: the more similar of both counts.

        Args:
            rows: P assignments: the row of each of :data:`STRUCTURES`.
        """
        alone = rows[:, STRUCTURES.index("Myocardium")] == len(self.groups) + 1
        off, off_with_walls = self._off(rows, _SHARES), self._off(rows, _SHARES_WITH_WALLS)
        return -np.where(alone, np.minimum(off, off_with_walls), off)

    def _off(self, rows: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """The mean squared difference ``[P]`` of the shares' roots from those of expected shares.

        Roots are compared (Hellinger), so that valves count beside walls.
        """
        shares, roots, absent = np.sqrt(self.shares()), np.sqrt(expected), len(self.groups) + 1
        off = np.zeros(len(rows))
        for a in range(len(STRUCTURES)):
            for b in range(len(STRUCTURES)):
                here = (rows[:, a] != absent) & (rows[:, b] != absent) & (a != b)
                off += here * (shares[rows[:, a], rows[:, b]] - roots[a, b]) ** 2
        return off / (2 * max(len(self.groups), 1))

    def broken(self) -> tuple[str, ...]:
        """Contacts that no heart has, as clauses."""
        edge = [f"the {name} fills the edge of the scan" for name in self.background]
        sides = self._sides()
        return (
            *edge,
            *(clause for found, clause in self._rules(self.rows) if found[0]),
            *([_HALF_MIRRORED] if True in sides and False in sides else []),
        )

    def mirrored(self) -> bool | None:
        """Whether all structures lie as in a mirror; None where they do not decide."""
        sides = set(self._sides())
        return sides.pop() if len(sides) == 1 else None

    def _sides(self) -> tuple[bool | None, bool | None]:
        """Whether LV, RV, aorta and LA lie as in a mirror, and whether LV, RA, RV and PA do.

        None where they do not decide. A cut moves the centroids; where the valves are seen, little
        is cut off.
        """
        row = dict(zip(STRUCTURES, self.rows[0].tolist(), strict=True))
        at = {name: self.centroid_mm[r] for name, r in row.items() if self.volume_ml[r]}

        def seen(*valves: tuple[str, str]) -> bool:
            return all(float(self.area_mm2[row[a], row[b]]) > _VALVE_MM2 for a, b in valves)

        left = right = None
        large = self.volume_ml[row["RV"]] > self.volume_ml[row["LV"]] / 2
        if large and seen(("LV", "LA"), ("LV", "Aorta")):
            left = is_mirrored(at)
        if seen(("RV", "RA"), ("RV", "PA")) and "LV" in at:
            corners = {"LV": "LV", "RV": "RA", "Aorta": "RV", "LA": "PA"}
            right = is_mirrored({role: at[name] for role, name in corners.items()})
        return left, right

    def _rules(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
        """Yield for each rule which assignments ``[P]`` break it, and a clause for the first."""
        row = {name: rows[:, k] for k, name in enumerate(STRUCTURES)}
        wall, shares, ml = row["Myocardium"], self.shares(), self.volume_ml
        for (a, b), limits_mm2 in _MOST_MM2.items():
            area_mm2 = self.area_mm2[row[a], row[b]]
            found = area_mm2 > np.where(ml[wall] > _LEAST_WALL_ML, *limits_mm2)
            if (a, b) == ("LV", "RV"):
                found &= area_mm2 > _SEPTUM * self.area_mm2[wall, row["RV"]]
            yield found, f"the {a} touches the {b} over {area_mm2[0]:.0f} mm²"
        within = shares[row["LV"], wall]
        large = np.minimum(ml[row["LV"]], ml[wall]) > _LEAST_ML
        found = large & (shares[wall, row["LV"]] > within + _ENCLOSES_MORE)
        yield found, "the LV encloses the Myocardium"
        for name in STRUCTURES:
            if name in ("Myocardium", "LV"):
                continue
            large = np.minimum(np.minimum(ml[row[name]], ml[row["LV"]]), ml[wall]) > _LEAST_ML
            found = large & (shares[row[name], wall] > within + _ENCLOSED_MORE)
            yield found, f"the Myocardium encloses the {name}, and not the LV"


def _of_veins(contacts: Contacts, names: Mapping[int, str]) -> Contradictions | None:
    """Hold the names of veins against anatomy, where the other structures fit theirs."""
    broken = veins_at_ventricles(contacts, names)
    for other in exchanged_veins(names) if broken else ():
        if not (veins_at_ventricles(contacts, other) or _Named.of(contacts, other).broken()):
            return Contradictions(broken, {i: other[i] for i in contacts.ids if i in other})
    return None


def _best(contacts: Contacts, names: Mapping[int, str], given: _Named) -> dict[int, str]:
    """Find the names that fit best: in any order, or all of them moved by one id."""
    # 1. The order of the seven structures; others keep their names.
    rows, absent = _orders(len(given.groups)), len(given.groups) + 1
    off = np.sum([found for found, _ in given._rules(rows)], axis=0) - given.similarity(rows)
    off += _NEW_NAME * ((rows != absent) & (given.rows == absent)).sum(axis=1)
    ranked = [k for k in np.argsort(off)[:_TRIED] if off[k] <= off.min() + _BEHIND]
    orders = [replace(given, rows=rows[[k]], background=()) for k in ranked]
    ordered = min(orders, key=lambda order: (len(order.broken()), order.mirrored() is True)).names
    others = {i: name for i, name in names.items() if name not in STRUCTURES}
    # 2. All names moved, as by a tool that counts the background, or does not.
    ids = sorted(names)
    later = {b: names[a] for a, b in pairwise(ids)}
    earlier = {a: names[b] for a, b in pairwise(ids)}

    def preference(candidate: Mapping[int, str]) -> tuple[int, int]:
        named = _Named.of(contacts, candidate)
        return -len(named.broken()), len(named.groups)

    found = max((others | ordered, later, earlier), key=preference)
    return {i: found[i] for i in contacts.ids if i in found}


@cache
def _orders(count: int) -> Int[np.ndarray, "p 7"]:
    """All ways of naming ``count`` groups: the row of each of :data:`STRUCTURES`."""
    chosen = np.array(list(permutations(range(len(STRUCTURES)), count)))
    rows = np.full((len(chosen), len(STRUCTURES)), count + 1)
    for group in range(count):
        rows[np.arange(len(rows)), chosen[:, group]] = group + 1
    return rows
