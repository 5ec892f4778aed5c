"""The numbers that regions have in files."""

from collections.abc import Mapping, Sequence
from itertools import count

from vecsetx.anatomy.label_sets import LabelSet

__all__ = ["FOUR_CHAMBER", "tags_of"]

FOUR_CHAMBER: Mapping[str, int] = {
    # The numbering of King's College London, as far as there are such regions here.
    **{"Myocardium": 1, "RVWall": 2, "LAWall": 3, "RAWall": 4, "AortaWall": 5, "PAWall": 6},
    **{"MitralValve": 7, "TricuspidValve": 8, "AorticValve": 9, "PulmonaryValve": 10},
    **{"LAA": 15, "SVC": 16, "IVC": 17},
    # It has no blood, and ends at 24. These are our own.
    **{"LV": 31, "RV": 32, "LA": 33, "RA": 34, "Aorta": 35, "PA": 36, "PV": 37, "Coronary": 38},
    **{"CS": 39, "PML": 40, "Heart": 41},
    **{"LVWall": 51, "LAAWall": 52, "SVCWall": 53, "IVCWall": 54, "PVWall": 55},
    **{"CoronaryWall": 56, "CSWall": 57, "PMLWall": 58, "HeartWall": 59},
}
"""Region → its number with ``--tags four-chamber``."""


def tags_of(numbering: str, names: Sequence[str], label_set: LabelSet) -> list[int]:
    """Return the number of each region.

    Args:
        numbering: ``four-chamber``, or ``label-set``: what the label set has an id for has that;
            walls and valves follow its highest, in their order.
        names: Names of the regions: structures, then walls and valves.
        label_set: What the ids of the input mean.
    """
    if numbering == "four-chamber":
        return [FOUR_CHAMBER[name] for name in names]
    ids = {name: label_set.id_of(name) for name in label_set.structures}
    free = count(max(ids.values()) + 1)
    return [ids[name] if name in ids else next(free) for name in names]
