"""Imports point one way: each layer knows those below it, and nothing above."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From the ground up. A module may import the layers before its own, and its own.
LAYERS = [
    ("arrays", "checking.uniformity", "checking.psis"),
    (
        "errors",
        "html",
        "interrupts",
        "roles",
        "events",
        "progress",
        "wording",
        "content",
        "files",
        "interchange",
    ),
    ("arguments",),
    ("findings",),
    ("pooling.rubin",),
    ("data",),
    ("method",),
    ("sampling",),
    ("registry",),
    ("specification.expressions", "specification.aliases"),
    ("wrappers",),
    ("specification",),
    ("design",),
    ("models",),
    ("engine",),
    ("diagnostics",),
    ("result",),
    ("tables", "new_rows", "prior", "derived"),
    ("pooling",),
    ("analysis", "congeniality"),
    ("posterior", "new_rows.predict_new"),
    ("explore",),
    ("plots",),
    ("checking",),
    ("diagnose",),
    ("report",),
    ("imputations",),
    ("opening",),
    ("elsewhere", "imputation"),
    ("sensitivity_grid", "sklearn"),
    ("simulate",),
    ("before",),
    ("cli", "__main__"),
]
WHAT_MODELS_KNOW = ("errors", "roles", "data", "method", "sampling", "models")


def sources() -> dict[str, Path]:
    """Every module below ``bayesimpute``, by its name without that prefix; the root left out."""
    found = {}
    for folder, prefix in ((ROOT / "bayesimpute", ""), (ROOT / "models", "models")):
        for path in folder.rglob("*.py"):
            if folder.name == "bayesimpute" and "models" in path.relative_to(folder).parts:
                continue  # the link that mypy and editors need
            parts = [p for p in (prefix, *path.relative_to(folder).with_suffix("").parts) if p]
            name = ".".join(parts).removesuffix("__init__").rstrip(".")
            if name:
                found[name] = path
    return found


SOURCES = sources()


def imported(tree: ast.AST) -> set[str]:
    """Modules of this package that a source imports, in functions and for type checkers too."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" for alias in node.names}
    own = set()
    for name in names:
        if name.split(".")[0] == "bayesimpute":
            inner = name.removeprefix("bayesimpute").lstrip(".")
            while inner and inner not in SOURCES:
                inner = inner.rpartition(".")[0]
            own.add(inner)  # "" is the root, which loads everything on demand
    return own


@cache
def trees() -> dict[str, ast.Module]:
    return {name: ast.parse(path.read_text("utf-8")) for name, path in SOURCES.items()}


@cache
def imports() -> dict[str, set[str]]:
    """Modules of this package that each module imports."""
    return {name: imported(tree) for name, tree in trees().items()}


def inside(name: str, unit: str) -> bool:
    return name == unit or name.startswith(f"{unit}.")


def layer(name: str) -> int:
    """Position of the longest entry that holds the module."""
    fitting = [(len(u), i) for i, units in enumerate(LAYERS) for u in units if inside(name, u)]
    assert fitting, f"{name} has no layer yet: give it one in {Path(__file__).name}"
    return max(fitting)[1]


def test_a_module_imports_only_its_own_layer_and_those_below() -> None:
    upward = [
        f"{module} imports {other or 'the root'} from above"
        for module, others in imports().items()
        for other in sorted(others)
        if not other or layer(other) > layer(module)
    ]
    assert upward == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    remaining = {name: set(others) - {name, ""} for name, others in imports().items()}
    while free := [name for name, others in remaining.items() if not others & remaining.keys()]:
        for name in free:
            del remaining[name]
    # What is left holds every circle and what leads to one; who is imported by nobody is no part.
    while ends := [n for n in remaining if not any(n in others for others in remaining.values())]:
        for name in ends:
            del remaining[name]
    assert not remaining, f"a circle among {sorted(remaining)}"


def test_a_model_knows_the_contract_and_the_samplers_but_not_the_engine() -> None:
    beyond = [
        f"{module} imports {other}"
        for module, others in imports().items()
        if inside(module, "models")
        for other in sorted(others)
        if not any(inside(other, unit) for unit in WHAT_MODELS_KNOW)
    ]
    assert beyond == []


#: Where methods have their names: the registry, mice's names of them, and their own files.
NAMING = ("registry", "specification.aliases", "models")
#: Words that are names of methods and, in these modules, of something else.
OTHER_MEANINGS = {
    "data.encoding": {"ordinal"},  # kind of a variable
    "pooling.formula_models": {"poisson"},  # family of a GLM, as the fitting packages spell it
    "posterior.of_analysis": {"joint"},  # group of the table: the joint model
    "posterior.pooled": {"sample"},  # ArviZ's dimension of stacked draws
    "report.models": {"normal"},  # MathML's variant of a letter
    "tables.read_write": {"ordinal"},  # how SPSS calls a scale
    "simulate.scenario": {"ordinal"},  # kind of a variable
    "simulate.calibration": {"normal"},  # weight of a font
    "simulate.studies_not_at_random": {"normal"},  # distribution of errors
    "sampling.selection_kernel": {"pmm"},  # option of selection models
    "specification.suggest": {"2l.jomo", "norm"},  # micemd's rule, in its words
}
COEFFICIENT = "beta"  # a parameter everywhere, and in two files a distribution


def texts(tree: ast.AST) -> Iterator[str]:
    """All strings of a source but its docstrings."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def methods_named(tree: ast.AST) -> set[str]:
    """Names of methods that are strings of a source, or stand in one between quotes."""
    from bayesimpute.registry import METHODS
    from bayesimpute.specification.aliases import ALIASES

    known = {*METHODS, *ALIASES} - {COEFFICIENT}
    found = set()
    for text in texts(tree):
        found |= known & {text, *re.findall(r"""['"]([\w.]+)['"]""", text)}
        if text.startswith("bayesimpute.models."):
            found.add(text)
    return found


def test_only_models_import_models() -> None:
    outside = {name: others for name, others in imports().items() if not inside(name, "models")}
    assert [m for m, others in outside.items() if any(inside(o, "models") for o in others)] == []


def test_a_method_has_its_name_in_the_registry_and_in_its_file_alone() -> None:
    named = {
        module: methods_named(tree) - OTHER_MEANINGS.get(module, set())
        for module, tree in trees().items()
        if not any(inside(module, unit) for unit in NAMING)
    }
    # let the class of the method say what it is
    assert {module: names for module, names in named.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    ['X = ("pmm", 1)', "f\"{a}: use 'normal.robust'.\"", 'if str(m) == "heckman": pass'],
)
def test_names_of_methods_are_found(source: str) -> None:
    assert methods_named(ast.parse(source))


def test_no_other_meaning_is_allowed_for_nothing() -> None:
    for module, words in OTHER_MEANINGS.items():
        assert words <= methods_named(trees()[module]), module
