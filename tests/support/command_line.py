"""The command line, called within the test's own process."""

from typing import Any

import pytest
from typer.main import get_command

from vecsetx.cli import app, main


def every_command() -> dict[str, Any]:
    """Name → command, such as ``train`` or, of a group, ``shape fit``."""
    found: dict[str, Any] = {}
    for name, command in get_command(app).commands.items():
        of_group = getattr(command, "commands", None)
        found |= (
            {f"{name} {own}": each for own, each in of_group.items()}
            if of_group
            else {name: command}
        )
    return found


def run(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command as a user would; return its exit status."""
    monkeypatch.setattr("sys.argv", ["vecsetx", *map(str, words)])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
