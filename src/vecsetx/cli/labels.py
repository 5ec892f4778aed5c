"""The command ``labels``."""

from typing import Annotated

import typer


def labels(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="A label set, or a YAML file (default: list all)."),
    ] = None,
) -> None:
    """Show the label sets: which id means which structure, one of them as a YAML file.

    [dim]Example: vecsetx labels mmwhs > mine.yaml[/]
    """
    from vecsetx.anatomy.label_sets import label_set
    from vecsetx.terminal.label_set_tables import print_label_set, print_label_sets

    if name is None:
        print_label_sets()
    else:
        print_label_set(label_set(name))
