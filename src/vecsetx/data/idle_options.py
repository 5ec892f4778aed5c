"""Options that would change nothing, because the given hearts do not read them."""

from collections.abc import Collection

from vecsetx.data.heart_source import HeartSource
from vecsetx.errors import InputError

__all__ = ["check_idle"]


def check_idle(
    hearts: Collection[HeartSource],
    labels: bool = False,
    space: str = "lps",
    units: str = "mm",
    trust_names: bool = False,
    space_option: str = "--space",
) -> None:
    """Check that each option, if it was given, matters to at least one heart.

    Args:
        hearts: The hearts.
        labels: Whether a label set was given.
        space: Axes of coordinates whose files do not say; ``lps`` if none were given.
        units: Unit of coordinates; ``mm`` if none was given.
        trust_names: Whether names of structures are to be trusted.
        space_option: The option that sets the axes.

    Raises:
        InputError: An option that was given matters to none.
    """
    read = {
        "--labels": (labels, "reads_labels", "prepared samples name their structures themselves"),
        f"{space_option} {space}": (
            space.lower() != "lps",
            "has_coordinates",
            "only meshes and points leave their axes open",
        ),
        f"--units {units}": (
            units != "mm",
            "has_coordinates",
            "only meshes and points leave their unit open",
        ),
        "--trust-names": (
            trust_names,
            "has_volume",
            "only names of label maps, masks and meshes are held against anatomy",
        ),
    }
    for option, (given, trait, why) in read.items():
        if given and hearts and not any(getattr(heart, trait) for heart in hearts):
            first = next(iter(hearts)).path
            raise InputError(f"{option}: changes nothing for {first}: {why}; leave it out")
