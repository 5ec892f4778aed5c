"""The label sets on the terminal: as a list, or as YAML files."""

import yaml
from rich.box import SIMPLE_HEAD
from rich.table import Table

from vecsetx.anatomy.label_sets import (
    LabelSet,
    label_set,
    label_set_names,
    label_set_purpose,
)
from vecsetx.anatomy.structures import structure
from vecsetx.terminal.progress_bars import console

__all__ = ["label_set_yaml", "print_label_set", "print_label_sets"]


def print_label_sets() -> None:
    """Print a row per named label set: its structures, and what it is for."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Label set", no_wrap=True)
    table.add_column("Structures")
    table.add_column("For")
    for name in label_set_names():
        table.add_row(name, ", ".join(label_set(name).structures), label_set_purpose(name))
    console.print(table)
    console.notice("vecsetx labels NAME > FILE.yaml makes a file to edit of one.")


def print_label_set(found: LabelSet) -> None:
    """Print a label set as a YAML file, all of it, so that it can be redirected into one."""
    purpose = label_set_purpose(found.name)
    about = found.name + (f": {purpose}" if purpose else "")
    head = f"# {about}\n# Edit this file and give it as --labels FILE.yaml for ids of your own.\n"
    # Not wrapped, so that a line stays a line.
    console.print(head + label_set_yaml(found), markup=False, soft_wrap=True, end="")


def label_set_yaml(found: LabelSet) -> str:
    """Return a label set as the text of a YAML file, with a comment on each key.

    It does not name the label set, which is then called after the file.
    """
    ids = "".join(f"  {i}: {name}  # {structure(name).title}\n" for i, name in found.ids.items())
    drop = _flow([*sorted(found.drop), *sorted(found.drop_names)])
    others = str(found.drop_others).lower()
    return (
        f"ids:  # id in the label map: structure; 0 is background\n{ids}"
        f"drop: {drop}  # ids, and names of files and labels, that become background\n"
        f"drop_others: {others}  # true: all others become background; false: they are an error\n"
        f"ignore: {_flow(sorted(found.ignore))}  # ids of unknown voxels: no surface, no score\n"
    )


def _flow(values: list[int | str]) -> str:
    """Return a list as YAML in one line."""
    return yaml.safe_dump(values, default_flow_style=True, width=float("inf")).strip()
