"""Directives whose text is written from the package when the site is built.

``{models}`` has every model file, ``{method-names}`` what names of other packages stand for,
``{public-names} group`` tables of the public names, each with a page of its own.
"""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from bayesimpute.data.table import Kind
from bayesimpute.registry import METHODS, resolve
from bayesimpute.specification import aliases

CALIBRATION = Path(__file__).resolve().parents[1] / "calibration" / "table.csv"
KINDS = {
    Kind.NUMERIC: "numbers",
    Kind.BINARY: "two categories",
    Kind.NOMINAL: "categories without an order",
    Kind.ORDINAL: "ordered categories",
}


def method_names() -> str:
    """Give a table of the names of other packages, and what each stands for."""
    rows = ["| name | here | |", "| --- | --- | --- |"]
    for name, alias in aliases.ALIASES.items():
        if name in METHODS:
            continue
        method = f"`{alias.method}`" + (f", `{alias.binary}`" if alias.binary else "")
        said = [
            alias.said,
            "one value a cluster" if alias.level == 2 else "",
            "needs clusters" if alias.clustered else "",
            *(f"`{option}={value}`" for option, value in alias.options.items()),
        ]
        rows.append(f"| `{name}` | {method} | {'; '.join(filter(None, said))} |")
    for name, answer in aliases.NOT_HERE.items():
        rows.append(f"| `{name}` | not here | {_code(answer)} |")
    return "\n".join(rows)


def _code(text: str) -> str:
    """Put what is Python in a sentence into code."""
    call = r"bi\.\w+\([^)]*\)|bi\.\w+|\w+=\{.*?\}\}?|\w+='[^']*'|\w+=\[[^]]*\]|df\['y'\]\.\w+\(0\)"
    plain = r"(?<![\w=\[({,\"])'[\w.()]+'"
    return re.sub(rf"{call}|{plain}|builder\(design\) -> pm\.Model", r"`\g<0>`", text).replace(
        "|", "\\|"
    )


def models() -> str:
    """Give every method: what it is of, its names, options, calibration, and the model itself."""
    files: dict[str, list[str]] = {}
    for name, home in METHODS.items():
        files.setdefault(home.split(":")[0], []).append(name)
    return "\n\n".join("\n\n".join(_of_file(*each)) for each in files.items())


def _of_file(module: str, names: list[str]) -> Iterator[str]:
    documented = inspect.cleandoc(import_module(module).__doc__ or "")
    title, _, text = documented.partition("\n")
    yield f"## {', '.join(f'`{name}`' for name in names)}"
    yield title
    for name in names:
        yield from _of_method(name, resolve(name), alone=len(names) == 1)
    # headings of a docstring cannot be headings of the page
    text = re.sub(r"^(.+)\n-{3,}$", r".. rubric:: \1", text, flags=re.MULTILINE)
    yield f"````{{eval-rst}}\n{text}\n````"


def _of_method(name: str, method: Any, alone: bool) -> Iterator[str]:
    if not alone:
        yield f"### `{name}`"
        yield inspect.cleandoc(type(method).__doc__ or "").partition("\n")[0]
    facts = {"For": ", ".join(text for kind, text in KINDS.items() if kind in method.kinds)}
    words = method.words
    facts["In the report"] = (
        f"“{words.distribution}. {words.draw}”".replace("{x}", "*the predictors*")
        .replace("{donors}", str(method.options.get("donors", "")))
        .replace("{block}", "*the block*")
    )
    known = [
        other for other, alias in aliases.ALIASES.items() if name in (alias.method, alias.binary)
    ]
    facts["Also called"] = ", ".join(f"`{each}`" for each in known if each != name)
    facts["Options"] = ", ".join(f"`{k}={v!r}`" for k, v in method.options.items())
    facts["Calibration"] = _calibration(name)
    yield "\n".join(f":{key}: {value}" for key, value in facts.items() if value)


def _calibration(name: str) -> str:
    """What ``make sbc`` found, where its table lies."""
    if not CALIBRATION.is_file():
        return ""
    table = pd.read_csv(CALIBRATION)
    found = []
    for data, own in table[table["model"] == name].groupby("data", sort=False):
        off = own.loc[~own["uniform"], "quantity"].tolist()
        told = f"not uniform: {', '.join(off)}" if off else "all uniform"
        found.append(f"{data}: {len(own)} quantities, {own['replicates'].max()} data sets, {told}")
    return "; ".join(found)


class Written(SphinxDirective):
    """Parses what a function writes, headings too."""

    def run(self) -> list[nodes.Node]:
        """Give the parsed text."""
        text = {"models": models, "method-names": method_names}[self.name]()
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directives."""
    app.add_directive("models", Written)
    app.add_directive("method-names", Written)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
