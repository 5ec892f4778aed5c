"""The command line, called within the test's own process."""

import pytest

from vecsetx.cli import main


def run(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command as a user would; return its exit status."""
    monkeypatch.setattr("sys.argv", ["vecsetx", *map(str, words)])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
