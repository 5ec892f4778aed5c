"""Formulas as MathML, which browsers show without a script.

As on GitHub, ``$x$`` is a formula within a line, and a block ```` ```math ```` one of its own.
"""

import re

_BLOCK = re.compile(r"^```math\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"^(?:```|~~~~).*?^(?:```|~~~~)\s*$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<![\\$\w])\$(?=\S)([^$\n]+?)(?<=\S)\$(?![\w$])")


def with_formulas(markdown: str) -> str:
    """The text with MathML in place of formulas; code stays as it is."""
    text = _BLOCK.sub(lambda m: _mathml(m[1], "block"), markdown)
    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [_inline(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _inline(text[end:])])


def _inline(text: str) -> str:
    # In a span, as Markdown takes a line that begins with a formula for a block of its own.
    return _INLINE.sub(lambda m: f"<span>{_mathml(m[1], 'inline')}</span>", text)


def _mathml(formula: str, display: str) -> str:
    from latex2mathml.converter import convert

    made = convert(formula, display=display)
    if "\\" in made:  # the converter passes on what it does not know
        raise ValueError(f"{formula}: has a command that cannot be shown; write it otherwise")
    return made
