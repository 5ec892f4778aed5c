"""The messages that docs/problems.md quotes exist in the code."""

import ast
import functools
import re

import pytest
from support.pages import DOCS, ROOT


def quoted() -> list[str]:
    text = (DOCS / "problems.md").read_text("utf-8")
    return re.findall(r"^```text\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)


@functools.cache
def messages() -> frozenset[str]:
    """All texts in the code, with ``…`` for each value that is put in."""
    found = set()
    for file in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.add(
                    "".join(
                        part.value if isinstance(part, ast.Constant) else "…"
                        for part in node.values
                    )
                )
    return frozenset(found)


def exists(quote: str) -> bool:
    return any(quote in message for message in messages())


@pytest.mark.parametrize("quote", quoted())
def test_the_message_exists(quote: str) -> None:
    assert exists(quote)


def test_quotes_say_more_than_their_values() -> None:
    assert len(quoted()) > 30
    assert len(set(quoted())) == len(quoted())
    assert all(len(quote.replace("…", "")) > 15 for quote in quoted())


def test_another_message_does_not() -> None:
    assert not exists("…: the label map is full; segment the heart or leave the file out")
