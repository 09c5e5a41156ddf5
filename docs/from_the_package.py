"""Directives whose text is written from the package when the site is built.

``{models}`` has every model file, ``{method-names}`` what names of other packages stand for,
``{public-names} group`` what the docstrings of the public names of a group say, ``{calibration}``
what ``make sbc`` found. ``{measured} file/part`` has a table of ``results/`` and how it was
measured, the role ``{measured}`file/part/name:format``` one number: none is typed into a page.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cached_property
from importlib import import_module
from typing import Any

from docutils import nodes
from measurements import RESULTS, calibration, calibration_of, measured, number
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

import bayesimpute
from bayesimpute.data.table import Kind
from bayesimpute.imputations import Checks, Entry, Imputations, Plots
from bayesimpute.registry import METHODS, resolve
from bayesimpute.result.run import Run
from bayesimpute.specification import aliases
from tests.public import GROUPS, NAMES

KINDS = {
    Kind.NUMERIC: "numbers",
    Kind.BINARY: "two categories",
    Kind.NOMINAL: "categories without an order",
    Kind.ORDINAL: "ordered categories",
}
#: Of methods without a likelihood.
COPIES = "none: values are copied from donors, so that no parameter gives the data their ranks"


def method_names() -> str:
    """Give a table of the names of other packages, and what each stands for."""
    alike: dict[tuple[str, str], list[str]] = {}
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
        alike.setdefault((method, "; ".join(filter(None, said))), []).append(f"`{name}`")
    for name, answer in aliases.NOT_HERE.items():
        alike.setdefault(("not here", _code(answer)), []).append(f"`{name}`")
    rows = ["| name | here | |", "| --- | --- | --- |"]
    rows += [f"| {', '.join(names)} | {here} | {said} |" for (here, said), names in alike.items()]
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
    text = re.sub(r"^(.+)\n-{3,}$", r".. rubric:: \1\n", text, flags=re.MULTILINE)
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
        other
        for other, alias in aliases.ALIASES.items()
        if name in (alias.method, alias.binary) and other != name
    ]
    facts["Also called"] = ", ".join(f"`{each}`" for each in known)
    facts["Options"] = ", ".join(f"`{k}={v!r}`" for k, v in method.options.items())
    copies = not getattr(method, "has_likelihood", True)
    facts["Calibration"] = COPIES if copies else calibration_of(name)
    yield "\n".join(f":{key}: {value}" for key, value in facts.items() if value)


def public_names(group: str) -> str:
    """Give autodoc's directives for a group of public names."""
    if group == "imp":
        members = [n for n in vars(Imputations) | vars(Run) if not n.startswith(("_", "plot_"))]
        members += [field.name for field in fields(Run)] + ["complete"]
        given = [(f"bayesimpute.Imputations.{name}", Imputations, name) for name in members]
    elif group in ("imp.plot", "imp.check"):
        of = {"imp.plot": Plots, "imp.check": Checks}[group]
        entries = [name for name, entry in vars(of).items() if isinstance(entry, Entry)]
        given = [(f"bayesimpute.imputations.{of.__name__}.{name}", of, name) for name in entries]
    elif group == "bi":
        grouped = {name for names in GROUPS.values() for name in names}
        chosen = [name for name in NAMES if name not in grouped | {"Imputations", *GROUPS}]
        chosen.sort(key=lambda name: _place(getattr(bayesimpute, name)))
        given = [(f"bayesimpute.{name}", bayesimpute, name) for name in chosen]
    else:
        home = getattr(bayesimpute, group)
        given = [(f"bayesimpute.{group}.{name}", home, name) for name in GROUPS[group]]
    texts = [_directive(*each) for each in dict.fromkeys(given)]
    return "````{eval-rst}\n" + "\n\n".join(texts) + "\n````"


def _place(value: Any) -> int:
    """Place among names in order of their letters: functions, classes, errors."""
    if not inspect.isclass(value):
        return 0 if value is not bayesimpute.impute else -1
    return 2 if issubclass(value, BaseException) else 1


def _directive(path: str, of: Any, name: str) -> str:
    """Give autodoc's directive of one member of a class or module."""
    if isinstance(inspect.getattr_static(of, name, None), property | cached_property):
        return f".. autoproperty:: {path}"
    if inspect.isclass(of) and not hasattr(of, name):  # a field without a default
        return f".. autoattribute:: {path}"
    value = getattr(of, name)
    if inspect.isclass(value):
        error = issubclass(value, BaseException)
        return f".. {'autoexception' if error else 'autoclass'}:: {path}\n   :members:"
    if callable(value):
        return f".. {'automethod' if inspect.isclass(of) else 'autofunction'}:: {path}"
    return f".. py:data:: {path}\n   :value: {value!r}"


class Written(SphinxDirective):
    """Parses what a function writes, headings too."""

    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Give the parsed text."""
        for file in RESULTS.iterdir():
            self.env.note_dependency(str(file))
        write: Any = {
            "models": models, "method-names": method_names, "public-names": public_names,
            "calibration": calibration, "measured": measured,
        }[self.name]  # fmt: skip
        return self.parse_text_to_nodes(write(*self.arguments), allow_section_headings=True)


class Measured(SphinxRole):
    """Writes one number that was measured."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Give the number as text."""
        return [nodes.Text(number(self.text))], []


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directives and of the role."""
    for name in ("models", "method-names", "public-names", "calibration", "measured"):
        app.add_directive(name, Written)
    app.add_role("measured", Measured())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
