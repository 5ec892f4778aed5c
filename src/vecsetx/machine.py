"""The machine that a command runs on."""

import os

__all__ = ["machine_bytes"]


def machine_bytes() -> int:
    """Return the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
