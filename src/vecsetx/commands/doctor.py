"""``vecsetx doctor``: what a bug report needs to know, and whether the installation works."""

from collections.abc import Callable, Iterator

from vecsetx.doctor.devices import devices
from vecsetx.doctor.installation import packages, program
from vecsetx.doctor.machine_report import environment, machine
from vecsetx.doctor.section import Section
from vecsetx.doctor.self_test import built_in, self_test
from vecsetx.terminal.progress_bars import waiting

__all__ = ["examine"]

_PARTS: dict[str, Callable[[], Section]] = {
    "looking at packages": packages,
    "looking for devices": devices,
    "looking at the machine": machine,
    "reading variables": environment,
    "checking the built-in model": built_in,
    "testing the built-in model": self_test,
}


def examine() -> Iterator[Section]:
    """Yield the parts of the report, each as soon as it is known; the self-test comes last."""
    yield program()
    for what, part in _PARTS.items():
        with waiting(what):
            section = part()
        yield section
