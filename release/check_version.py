"""Hold a tag against the version, the changelog and the citation.

    python release/check_version.py [--tag v0.1.0] [--notes FILE]

Without a tag, it checks that the files name one version, and that none of them says that it is
released unless all do. With a tag, all of them must say so, with one date. ``--notes`` writes the
changelog's section of the version, as the text of a release.
"""

import argparse
import datetime
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
_HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\](?P<rest>.*)$", re.MULTILINE)
_CITED = re.compile(r"^version: *(\S+)$", re.MULTILINE)
_CITED_DATE = re.compile(r"^date-released: *(\S+)$", re.MULTILINE)


class Section(NamedTuple):
    """The changelog's newest section.

    Attributes:
        version: Its version.
        date: When it was released, as written; None if it is not yet.
        text: What stands in it.
    """

    version: str
    date: str | None
    text: str


def newest_section(changelog: str) -> Section:
    """Return the newest section of a changelog.

    Its heading is ``## [Unreleased] 0.1.0`` before the release, ``## [0.1.0] - 2026-12-24`` after.

    Raises:
        ValueError: There is none, or its heading is another.
    """
    found = list(_HEADING.finditer(changelog))
    if not found:
        raise ValueError("CHANGELOG.md: has no section; write one such as ## [Unreleased] 0.1.0")
    end = found[1].start() if len(found) > 1 else len(changelog)
    text = changelog[found[0].end() : end].strip()
    name, rest = found[0]["name"], found[0]["rest"].strip()
    if name == "Unreleased" and rest:
        return Section(rest, None, text)
    if name != "Unreleased" and rest.startswith("- "):
        return Section(name, rest.removeprefix("- "), text)
    raise ValueError(
        f"CHANGELOG.md: heading {found[0][0]!r}; write ## [Unreleased] VERSION or, for a release, "
        "## [VERSION] - YYYY-MM-DD"
    )


def problems(root: Path, tag: str | None) -> list[str]:
    """Return what does not fit together in a checkout; nothing if all does.

    Args:
        root: The checkout.
        tag: The tag of a release; None if this is none.
    """
    version = _one(_VERSION, root / "src" / "vecsetx" / "_version.py")
    citation = root / "CITATION.cff"
    try:
        section = newest_section((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    except ValueError as error:
        return [str(error)]
    cited, cited_date = _one(_CITED, citation), _one(_CITED_DATE, citation)
    found = []
    if version is None:
        found.append('_version.py: no line __version__ = "…"; write one')
    if section.version != version:
        found.append(f"CHANGELOG.md: newest section {section.version}, version {version}")
    if cited != version:
        found.append(f"CITATION.cff: version {cited}, not {version}")
    if cited_date != section.date:
        found.append(
            f"CITATION.cff: date-released {cited_date}, in CHANGELOG.md {section.date}; both name "
            "the day of the release, or neither does"
        )
    if section.date is not None and not _is_date(section.date):
        found.append(f"CHANGELOG.md: {section.date!r} is no date; write YYYY-MM-DD")
    if tag is not None:
        if tag != f"v{version}":
            found.append(f"tag {tag}: the version is {version}; tag v{version} or change it")
        if section.date is None:
            found.append(f"CHANGELOG.md: {section.version} is unreleased; give it the date")
        if not section.text:
            found.append(f"CHANGELOG.md: the section of {section.version} is empty; write it")
    return found


def _one(pattern: re.Pattern[str], file: Path) -> str | None:
    match = pattern.search(file.read_text(encoding="utf-8"))
    return match[1].strip("\"'") if match else None


def _is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tag", help="the tag of a release, such as v0.1.0")
    parser.add_argument("--notes", type=Path, help="file for the changelog's section")
    options = parser.parse_args()
    if found := problems(ROOT, options.tag):
        sys.exit("\n".join(found))
    if options.notes:
        changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        options.notes.write_text(newest_section(changelog).text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
