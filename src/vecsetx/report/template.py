"""Pages, each one file that opens from disk and asks the network for nothing.

Templates, style and scripts lie in ``templates/``; plotly.js comes from the installed plotly. Every
value is escaped by jinja, and data for the scripts by its ``tojson``, so that a name from a file
system stays a name.
"""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from vecsetx.anatomy.structures import structure
from vecsetx.files import write_text
from vecsetx.report.figures import is_number, rgb


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
        "verbatim": lambda name: Markup(loader.get_source(environment, name)[0]),
    }
    return environment


def _decimals(value: int | float, places: int) -> str:
    return f"{value:,.{places}f}"
