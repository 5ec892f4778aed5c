"""Pages, each one file that opens from disk and asks the network for nothing.

Templates, style and scripts lie in ``templates/``; plotly.js comes from the installed plotly, the
3-D viewer from the installed k3d. Every value is escaped by jinja, and data for the scripts by its
``tojson``, so that a name from a file system stays a name.
"""

from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from vecsetx.anatomy.structures import structure
from vecsetx.files import write_text
from vecsetx.report.figures import is_number, rgb
from vecsetx.report.packing import packed


def write_page(path: Path, template: str, **values: Any) -> None:
    """Fill a template with ``values`` and write the page."""
    write_text(path, _environment().get_template(template).render(values))


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
    environment.globals |= {
        "rgb": rgb,
        "structure": structure,
        "plotly_js": lambda: Markup(get_plotlyjs()),
        "plotly_packed": _plotly_packed,
        "k3d_packed": _k3d_packed,
        "verbatim": lambda name: Markup(loader.get_source(environment, name)[0]),
    }
    return environment


@cache
def _plotly_packed() -> str:
    return packed(get_plotlyjs().encode())


@cache
def _k3d_packed() -> str:
    """The script of k3d with its licences, read without importing k3d (which takes a second)."""
    package = distribution("k3d")
    static = Path(str(package.locate_file("k3d/static")))
    texts = [
        package.read_text("licenses/LICENSE.txt") or package.read_text("LICENSE.txt") or "",
        (static / "standalone.js.LICENSE.txt").read_text("utf-8"),
    ]
    licences = "\n".join(texts).replace("*/", "* /")
    script = (static / "standalone.js").read_text("utf-8")
    return packed(f"/*!\n{licences}\n*/\n{script}".encode())


def _decimals(value: int | float, places: int) -> str:
    return f"{value:,.{places}f}"
