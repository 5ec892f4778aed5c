"""Veins that touch a ventricle: no vein does, so another vessel has the vein's name.

The veins end at the atria. The pulmonary artery leaves the right ventricle, and the aorta the left
one.
"""

from collections.abc import Mapping

from vecsetx.anatomy.contacts import Contacts

__all__ = ["exchanged_veins", "veins_at_ventricles"]

_APART = (("SVC", "RV"), ("SVC", "LV"), ("PV", "RV"), ("PV", "LV"))
"""Veins, and ventricles that they never touch. The IVC and the coronary sinus pass close by."""

_MOST_MM2 = 250.0
"""Contact above which a vein touches a ventricle. Pulmonary veins (1 real heart, 30 phantoms) have
0 mm²; the pulmonary artery touches the RV over 574 mm² or more and the aorta the LV over 486 mm² or
more, in 67 real hearts of three sources."""

_ARTERIES = ("PA", "Aorta")


def veins_at_ventricles(contacts: Contacts, names: Mapping[int, str]) -> tuple[str, ...]:
    """Return the contacts of veins with ventricles, as clauses.

    Args:
        contacts: What was measured of a label map.
        names: Id → structure.
    """
    found = []
    for vein, ventricle in _APART:
        area_mm2 = sum(
            float(contacts.area_mm2[a, b])
            for a, id_a in enumerate(contacts.ids, start=1)
            for b, id_b in enumerate(contacts.ids, start=1)
            if (names.get(id_a), names.get(id_b)) == (vein, ventricle)
        )
        if area_mm2 > _MOST_MM2:
            found.append(f"the {vein} touches the {ventricle} over {area_mm2:.0f} mm²")
    return tuple(found)


def exchanged_veins(names: Mapping[int, str]) -> list[dict[int, str]]:
    """Return the names with one vein and one artery exchanged, in every way.

    Args:
        names: Id → structure; the artery need not be among them.
    """
    made = []
    for artery in _ARTERIES:
        for vein in sorted({vein for vein, _ in _APART} & set(names.values())):
            swap = {vein: artery, artery: vein}
            made.append({label_id: swap.get(name, name) for label_id, name in names.items()})
    return made
