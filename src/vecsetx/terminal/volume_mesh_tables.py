"""Print what tetrahedral meshes are worth."""

from collections.abc import Mapping

from vecsetx.cohort.meshed_heart import MeshedHeart
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.table import Column, print_list, print_table

__all__ = ["print_meshes"]


def print_meshes(hearts: Mapping[str, MeshedHeart]) -> None:
    """Print a row per heart; of a single one, a row per structure, too."""
    if len(hearts) == 1:
        ((name, heart),) = hearts.items()
        _print_structures(name, heart)
    columns = [
        Column("heart", is_text=True),
        Column("tetrahedra"),
        Column("angles °", leaves=2),
        Column("1% below °", leaves=3),
        Column("scaled Jacobian", leaves=4),
        Column("off interfaces mm"),
        Column("s", leaves=1),
    ]
    rows = []
    for name, heart in hearts.items():
        quality, of = heart.quality, heart.quality.numbers
        angles = f"{of['least_dihedral_deg']:.1f}–{of['largest_dihedral_deg']:.0f}"
        off = f"{of['interface_mean_mm']:.3f}, at most {of['interface_largest_mm']:.2f}"
        rows.append(
            [
                name,
                f"{quality.tetrahedra:,}",
                angles,
                f"{of['dihedral_of_99_percent_deg']:.1f}",
                f"{of['least_scaled_jacobian']:.2f}",
                off,
                f"{heart.seconds:.0f}",
            ]
        )
    print_table("Meshes", columns, rows, also_in="quality.json")
    told = [
        f"{name}: {structure} is too thin for those asked for; {heart.edges_mm[structure]:g} mm"
        for name, heart in hearts.items()
        for structure in heart.halved
    ]
    if told:
        console.print("\nshorter edges than asked for:", markup=False)
        print_list(told)


def _print_structures(name: str, heart: MeshedHeart) -> None:
    columns = [
        Column("structure", is_text=True),
        Column("tetrahedra"),
        Column("edges mm", leaves=2),
        Column("volume ml"),
        Column("off by", leaves=3),
    ]
    rows = [
        [
            structure,
            f"{of['tetrahedra']:,.0f}",
            f"{of['shortest_edge_mm']:.1f}–{of['longest_edge_mm']:.1f}",
            f"{of['volume_ml']:.1f}",
            f"{of['volume_error']:+.2%}" if "volume_error" in of else "",
        ]
        for structure, of in heart.quality.regions.items()
    ]
    print_table(name, columns, rows, also_in="quality.json")
