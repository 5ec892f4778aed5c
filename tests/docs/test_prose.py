"""What the check of prose reads of a page, and that it finds errors there."""

import check_prose
import pytest
from support.pages import DOCS, ROOT

PAGE = """# Hearts

Hearts beat `a a`, and
[a link](the/the.md) leads on.

| one | two |
|---|---|
| two | **in** the `code` |

```sh
the the
```

    very very

- the

  end of of it
"""


def test_prose_keeps_words_and_lines_and_leaves_code_out() -> None:
    expected = [""] * (PAGE.count("\n") + 1)
    expected[0] = "Hearts |"
    expected[2:4] = ["Hearts beat …, and", "a link leads on. |"]
    expected[5] = "one |two |"
    expected[7] = "two |in the … |"
    expected[15], expected[17] = "the |", "end of of it |"
    assert check_prose.prose(PAGE).split("\n") == expected


def test_an_error_is_found_in_its_line() -> None:
    pytest.importorskip("proselint")
    (found,) = check_prose.complaints("page.md", check_prose.prose(PAGE))
    assert found.startswith("page.md:18: ")
    assert "'of of'" in found


def test_what_is_ignored_is_what_would_be_found() -> None:
    pytest.importorskip("proselint")
    from proselint.config import DEFAULT
    from proselint.tools import LintFile

    text = 'A "quote". Resume it, and decimate meshes. |'
    assert not list(check_prose.complaints("page.md", text))
    found = {each.check_result.check_path for each in LintFile("page.md", text).lint(DEFAULT)}
    assert found == set(check_prose._IGNORED)


def test_every_page_is_checked_and_recordings_by_their_templates() -> None:
    pages = set(check_prose.pages())
    assert {ROOT / "README.md", DOCS / "index.md", ROOT / "examples" / "openCARP.md"} <= pages
    assert ROOT / "tutorials" / "templates" / "train.md" in pages
    assert DOCS / "tutorials" / "train.md" not in pages
    assert {*DOCS.rglob("*.md")} - pages == {*(DOCS / "tutorials").glob("*.md")}
