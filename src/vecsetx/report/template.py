"""Write pages: each is one HTML file that opens from disk and loads nothing from the network.

Templates, styles and scripts are in ``templates/``; plotly.js comes from the installed plotly, the
3-D viewer from the installed k3d. Jinja escapes every value, and its ``tojson`` the data for the
scripts, so that no file name can inject markup or code.
"""

import re
from datetime import date
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from vecsetx._version import __version__
from vecsetx.anatomy.structures import structure
from vecsetx.files import write_text
from vecsetx.report.figures import is_number, rgb
from vecsetx.report.packing import gzip_base64

_OPTION = re.compile(r"(--[a-z][a-z-]*)")


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render a template with ``values`` and write the page."""
    write_text(path, _environment().get_template(template).render(values))


@cache
def _environment() -> Environment:
    loader = PackageLoader("vecsetx.report", "templates")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.tests["finite"] = is_number
    environment.filters["decimals"] = _decimals
    environment.filters["whole_options"] = _whole_options
    environment.globals |= {
        "rgb": rgb,
        "structure": structure,
        "version": __version__,
        "today": lambda: date.today().isoformat(),
        "plotly_gzip": _plotly_gzip,
        "k3d_gzip": _k3d_gzip,
        "verbatim": lambda name: Markup(loader.get_source(environment, name)[0]),
    }
    return environment


@cache
def _plotly_gzip() -> str:
    return gzip_base64(get_plotlyjs().encode())


@cache
def _k3d_gzip() -> str:
    """The script of k3d with its licences; k3d is not imported, since that takes a second."""
    package = distribution("k3d")
    static = Path(str(package.locate_file("k3d/static")))
    texts = [
        package.read_text("licenses/LICENSE.txt") or package.read_text("LICENSE.txt") or "",
        (static / "standalone.js.LICENSE.txt").read_text("utf-8"),
    ]
    # They become a comment, which they must not end.
    licences = "\n".join(texts).replace("*/", "* /")
    script = (static / "standalone.js").read_text("utf-8")
    return gzip_base64(f"/*!\n{licences}\n*/\n{script}".encode())


def _decimals(value: int | float, places: int) -> str:
    return f"{value:,.{places}f}"


def _whole_options(text: str) -> Markup:
    """Keep each option of the command line, such as ``--resolution-mm``, on one line."""
    parts = _OPTION.split(text)  # every second one is an option
    option = Markup('<span class="option">{}</span>')
    return Markup("").join(option.format(p) if k % 2 else p for k, p in enumerate(parts))
