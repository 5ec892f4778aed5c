"""Print what was measured of hearts."""

import statistics
from collections.abc import Mapping

from vecsetx.anatomy.structures import structure_names
from vecsetx.measures.heart_measures import VALVES
from vecsetx.measures.measured import Measured
from vecsetx.measures.wall import SEGMENTS
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.table import Column, counted, print_list, print_table

__all__ = ["print_measures"]

_STRUCTURES = {
    "volume_ml": Column("volume ml"),
    "surface_mm2": Column("surface mm²", leaves=3),
    "long_axis_mm": Column("axes mm", leaves=1),
    "middle_axis_mm": Column(""),
    "short_axis_mm": Column(""),
    "sphericity": Column("sphericity", leaves=4),
    "length_mm": Column("length mm", leaves=1),
    "radius_mm": Column("radius mm"),
}
_WALLS = {
    "anterior": (1, 7, 13),
    "anteroseptal": (2, 8, 14),
    "inferoseptal": (3, 9, 14),
    "inferior": (4, 10, 15),
    "inferolateral": (5, 11, 16),
    "anterolateral": (6, 12, 16),
}
"""Wall → its segments in the basal, mid and apical ring; the apical one has only four."""

_AXES = ("long_axis_mm", "middle_axis_mm", "short_axis_mm")


def print_measures(hearts: Mapping[str, Mapping[str, Measured]], file: str = "measures") -> None:
    """Print the numbers of one heart, or the means of several.

    Args:
        hearts: Heart → numbers by name.
        file: Name, without ending, of the CSV and the JSON file that have all of them.
    """
    whose = next(iter(hearts)) if len(hearts) == 1 else f"Mean of {counted(len(hearts), 'heart')}"
    names = dict.fromkeys(name for found in hearts.values() for name in found)
    numbers = {
        name: _of_all([found[name] for found in hearts.values() if name in found]) for name in names
    }
    _print_structures(whose, numbers, file)
    _print_valves(numbers)
    _print_wall(numbers, file)
    reasons: dict[str, set[str]] = {}
    for heart, found in hearts.items():
        for name, one in found.items():
            if not one.known:
                reasons.setdefault(f"{name.split('_', 1)[0]}: {one.reason}", set()).add(heart)
    if reasons:
        console.print(f"\nnot measured ({file}.json has all reasons):", markup=False)
        among = f" of {counted(len(hearts), 'heart')})"
        print_list(
            [f"{why} ({len(of)}{among}" if len(hearts) > 1 else why for why, of in reasons.items()]
        )


def _of_all(numbers: list[Measured]) -> str:
    """Return the mean of known numbers, with their standard deviation if there are several."""
    known = [one.value for one in numbers if one.known]
    if not known:
        return ""
    mean = statistics.fmean(known)
    text = _form(mean)
    return text if len(known) == 1 else f"{text} ± {_form(statistics.stdev(known))}"


def _form(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _print_structures(whose: str, numbers: Mapping[str, str], file: str) -> None:
    columns = [Column("structure", is_text=True)]
    shown = [name for name in _STRUCTURES if name not in _AXES[1:]]
    columns += [_STRUCTURES[name] for name in shown]
    rows = []
    for structure in structure_names():
        if f"{structure}_volume_ml" not in numbers:
            continue
        of = {name: numbers.get(f"{structure}_{name}", "") for name in _STRUCTURES}
        axes = " × ".join(of[name] for name in _AXES if of[name])
        cells = [
            axes if name == _AXES[0] else of[name] for name in _STRUCTURES if name not in _AXES[1:]
        ]
        rows.append([structure, *cells])
    print_table(whose, columns, rows, also_in=f"{file}.csv")


def _print_valves(numbers: Mapping[str, str]) -> None:
    rows = [[valve, area] for valve in VALVES if (area := numbers.get(f"{valve}_area_mm2"))]
    if rows:
        print_table("Valves", [Column("valve", is_text=True), Column("area mm²")], rows)


def _print_wall(numbers: Mapping[str, str], file: str) -> None:
    facts = {
        "LV from base to apex": (numbers.get("LV_base_to_apex_mm"), "mm"),
        "myocardium": (numbers.get("Myocardium_mass_g"), "g"),
        "wall": (numbers.get("Myocardium_thickness_mm"), "mm thick on average"),
    }
    told = [f"{what} {value} {unit}" for what, (value, unit) in facts.items() if value]
    if told:
        console.print("; ".join(told), markup=False)
    of = [numbers.get(f"Myocardium_thickness_{n}_mm", "") for n in range(1, SEGMENTS + 1)]
    if any(of):
        columns = [Column("wall", is_text=True), *map(Column, ("basal", "mid", "apical"))]
        rows = [[wall, *(of[n - 1] for n in segments)] for wall, segments in _WALLS.items()]
        rows.append(["apex", "", "", of[-1]])
        title = "Thickness of the wall in the segments of the AHA, mm"
        print_table(title, columns, rows, also_in=f"{file}.csv")
