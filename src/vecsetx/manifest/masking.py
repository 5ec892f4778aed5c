"""Command lines and paths as they may be handed on: without passwords and access tokens."""

import re
from collections.abc import Sequence

__all__ = ["MASK", "masked", "masked_words"]

MASK = "***"
"""What stands in place of a secret."""

_SECRET_NAME = (
    r"[\w.-]*(?:(?:token|secret|passw(?:or)?d|passphrase|api[_-]?key|credential|signature)s?"
    r"|\b(?:auth|key|pass|pwd|sig))"
)
_PATTERNS = (
    # The user of an address: scheme://user:password@host; the password may have an @, too.
    (re.compile(r"(?<=://)[^/\s]+(?=@)"), MASK),
    # A whole word whose name says it, with any value: password=…, --api-key=….
    (re.compile(rf"^(-*{_SECRET_NAME}=).+", re.IGNORECASE | re.DOTALL), rf"\1{MASK}"),
    # The same within a word, up to the next value: ?token=…&….
    (re.compile(rf"([\s?&;,]{_SECRET_NAME}=)[^\s&;,]+", re.IGNORECASE), rf"\1{MASK}"),
    # What services mark as their tokens: Hugging Face, GitHub, GitLab, OpenAI, AWS, Slack, JWT.
    (
        re.compile(
            r"\b(?:hf_|gh[opsur]_|github_pat_|glpat-|sk-|AKIA|xox[abprs]-|eyJ)[\w.-]{8,}"
        ),
        MASK,
    ),
)  # fmt: skip
_SECRET_OPTION = re.compile(rf"--?{_SECRET_NAME}", re.IGNORECASE)


def masked(text: str) -> str:
    """Return a text with :data:`MASK` in place of each secret that its form gives away."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def masked_words(words: Sequence[str]) -> list[str]:
    """Return the words of a command line, each masked, and so is the value of ``--token VALUE``."""
    before = ("", *words)
    return [
        MASK if _SECRET_OPTION.fullmatch(option) and word else masked(word)
        for option, word in zip(before, words, strict=False)
    ]
