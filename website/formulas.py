"""Formulas as MathML, which browsers show without a script.

As on GitHub, ``$x$`` is a formula within a line, and a block ```` ```math ```` one of its own.
"""

import re

_BLOCK = re.compile(r"^```math\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"^(?:```|~~~~).*?^(?:```|~~~~)\s*$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<![\\$\w])\$(?=\S)([^$\n]+?)(?<=\S)\$(?![\w$])")


def with_formulas(markdown: str) -> str:
    """The text with MathML in place of formulas; code stays as it is."""
    from latex2mathml.converter import convert

    text = _BLOCK.sub(lambda m: convert(m[1], display="block"), markdown)
    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [_inline(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _inline(text[end:])])


def _inline(text: str) -> str:
    from latex2mathml.converter import convert

    return _INLINE.sub(lambda m: convert(m[1]), text)
