"""The site: Markdown in this folder, executed when built. `make docs` writes `_build/html`."""

import hashlib
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

import bayesimpute

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

from formulas import mathml  # noqa: E402  (of this folder)

project = "bayesimpute"
author = "The bayesimpute developers"
project_copyright = author
release = version = bayesimpute.__version__

extensions = [
    "from_the_package",
    "myst_nb",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "*.py", "notebooks/README.md", "notebooks/executed"]

# Pages are Markdown with cells. The notebooks, Python files in percent format, are pages as well.
source_suffix = {".md": "myst-nb"}
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3


def sources() -> str:
    """Digest of what outputs depend on: the package and the versions it runs with."""
    files = [
        ROOT / "constraints.txt",
        *sorted((ROOT / "bayesimpute").rglob("*.py")),
        *sorted((ROOT / "models").rglob("*.py")),
    ]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


# Cells run again when they or the package have changed. They may write files, which nobody keeps.
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "executed" / sources())
nb_execution_timeout = 600
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
nb_ipywidgets_js = {}  # would be fetched from elsewhere

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings have the types, in words
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "bayesimpute"
html_static_path = ["_static"]
html_favicon = "_static/mark.svg"
html_context = {"default_mode": "auto"}  # else the theme complains in the console
html_css_files = ["site.css"]
html_show_sourcelink = False
html_sidebars = {"start": [], "cases": []}  # pages without others beside them
html_copy_source = False
html_theme_options = {
    "logo": {
        "text": "bayesimpute",
        "image_light": "_static/mark.svg",
        "image_dark": "_static/mark.svg",
    },
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

# MathML, which browsers draw themselves: no script, no font, nothing to fetch.
html_math_renderer = "mathml"


def inline_math(self: nodes.NodeVisitor, node: nodes.math) -> None:
    """Write a formula within a line."""
    self.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def displayed_math(self: nodes.NodeVisitor, node: nodes.math_block) -> None:
    """Write a formula on lines of its own; what is wider than the page scrolls."""
    for line in node.astext().strip().split("\n\n"):  # a blank line begins another formula
        self.body.append(f'<div class="displayed-math">{mathml(line, display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the formulas."""
    app.add_html_math_renderer("mathml", (inline_math, None), (displayed_math, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
