"""Pages of the reference: the command line, from its own help, and the Python API."""

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MARKUP = re.compile(r"\[/?(?:bold|dim|italic)?\]")
_EXAMPLE = re.compile(r"Example: (vecsetx .*)")
_TYPE = re.compile(r" <(?:path|str|list\[\w+\])>$")  # of an argument, whose name says as much
_PAGE = re.compile(r"\bdocs/([\w-]+\.md)")

_API = {
    "Functions": (
        "vecsetx.inference.api",
        ("load", "encode", "surfaces", "labels", "doubtful", "save"),
    ),
    "Shape spaces": ("vecsetx.population.heart_space", ("load_shape_space", "HeartSpace")),
    "What they return": (
        "",
        (
            "vecsetx.model.saved.TrainedModel",
            "vecsetx.inference.heart.Heart",
            "vecsetx.model.vecset.LatentSet",
            "vecsetx.reconstruction.surfaces.Surface",
            "vecsetx.anatomy.label_map.LabelMap",
            "vecsetx.population.unusual.Placement",
            "vecsetx.errors.InputError",
        ),
    ),
}
"""Heading → module and names of it."""


def public_names(package: Path) -> set[str]:
    """The names in ``__all__`` of a package, without its version."""
    for node in ast.parse((package / "__init__.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return set(ast.literal_eval(node.value)) - {"__version__"}
    raise ValueError(f"{package}: has no __all__")


def python_api(package: Path) -> str:
    """Headings and names of the Python API, in Markdown; mkdocstrings puts docstrings there.

    Raises:
        ValueError: A public name is missing.
    """
    shown = {name for _, names in _API.values() for name in names}
    if missing := public_names(package) - shown:
        raise ValueError(f"the reference lacks {', '.join(sorted(missing))}; add it to _API")
    lines: list[str] = []
    for heading, (module, names) in _API.items():
        lines += [f"## {heading}", ""]
        for name in names:
            lines += [f"::: {module}.{name}" if module else f"::: {name}"]
            lines += ["    options:", "      heading_level: 3", ""]
    return "\n".join(lines)


def command_line() -> str:
    """All commands, in Markdown, from the help of each."""
    from typer.main import get_command

    from vecsetx.cli import app

    lines: list[str] = []
    for words, command, context in _commands(get_command(app), "vecsetx"):
        lines += _section(words, command, context)
    return "\n".join(lines)


def _commands(group: Any, name: str, above: Any = None) -> Iterator[tuple[str, Any, Any]]:
    """Each command below a group: its whole name, itself and its context."""
    context = group.make_context(name, [], parent=above, resilient_parsing=True)
    for own, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, own, context)
        else:
            of_command = command.make_context(own, [], parent=context, resilient_parsing=True)
            yield of_command.command_path, command, of_command


def _section(words: str, command: Any, context: Any) -> list[str]:
    usage = " ".join(command.collect_usage_pieces(context)).replace("[[", "[").replace("]]", "]")
    lines = [f"## {words}", "", f"```text\n{words} {usage}\n```", "", _described(command.help), ""]
    rows = []
    for parameter in command.get_params(context):
        described = parameter.get_help_record(context)
        if described is None:
            continue
        name, text = _TYPE.sub("", described[0]), described[1]
        rows.append(f"| <code>{_cell(name)}</code> | {_PAGE.sub(_link, _cell(text))} |")
    if rows:
        lines += ["| argument, option | meaning |", "|---|---|", *rows, ""]
    return lines


def _described(text: str | None) -> str:
    """A command's help, with its example as code."""
    plain = _MARKUP.sub("", text or "")
    return "\n\n".join(
        f"```sh\n{found[1]}\n```"
        if (found := _EXAMPLE.fullmatch(paragraph))
        else html.escape(paragraph, quote=False)
        for paragraph in plain.split("\n\n")
    )


def _link(page: re.Match[str]) -> str:
    return f"[{page[0]}](../{page[1]})"


def _cell(text: str) -> str:
    """A text of one line in a table."""
    plain = html.escape(_MARKUP.sub("", text), quote=False)
    return plain.replace("|", "&#124;").replace("\n", " ")
