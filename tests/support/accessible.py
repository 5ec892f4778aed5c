"""What keeps readers from using a page: low contrast, missing names, what no key reaches."""

from pathlib import Path
from typing import Any

from support.browser import Browser

_SCRIPT = Path(__file__).with_suffix(".js").read_text()


def faults(page: Browser) -> list[str]:
    """Return what is wrong with the page that a browser shows, in light and in dark."""
    found = _run(page, "structureFaults()")
    for scheme in ("dark", "light"):
        media = {"name": "prefers-color-scheme", "value": scheme}
        page.send("Emulation.setEmulatedMedia", features=[media])
        page.run("new Promise(done => setTimeout(done, 100))")  # plots take the colours
        found += [f"{scheme}: {fault}" for fault in _run(page, "contrastFaults()")]
    return found + _out_of_reach(page)


def _out_of_reach(page: Browser) -> list[str]:
    """Return the controls that the tabulator never comes to."""
    page.run("document.activeElement.blur()")
    page.run("void (window.reached = new Set())")
    for _ in range(_run(page, "controls().length") + 5):
        page.key("Tab")
        page.run("void window.reached.add(document.activeElement)")
    missed = "controls().filter((e) => !window.reached.has(e)).map(called)"
    return [f"Tab never comes to {one}" for one in _run(page, missed)]


def _run(page: Browser, expression: str) -> Any:
    return page.run(f"(() => {{ {_SCRIPT}\nreturn {expression}; }})()")
