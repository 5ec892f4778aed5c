"""The command ``labels``."""

from typing import Annotated

import typer

from vecsetx.cli import completions
from vecsetx.cli.command_result import CommandResult


def labels(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            autocompletion=completions.label_sets,
            help="A label set, or a YAML file (default: list all).",
        ),
    ] = None,
) -> CommandResult:
    """Show the label sets: which id means which structure, one of them as a YAML file.

    [dim]Example: vecsetx labels mmwhs > mine.yaml[/]
    """
    from vecsetx.anatomy.label_sets import label_set, label_set_names
    from vecsetx.terminal.label_set_tables import print_label_set, print_label_sets

    if name is None:
        print_label_sets()
        found = {each: label_set(each) for each in label_set_names()}
    else:
        one = label_set(name)
        print_label_set(one)
        found = {one.name: one}
    return CommandResult(lambda: {each: one.to_dict() for each, one in found.items()})
