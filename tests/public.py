"""All public names of the package: those that its stub hands on."""

import ast
from pathlib import Path

import bayesimpute


def handed_on(stub: Path) -> list[str]:
    """Names that a stub imports as themselves, which is how it hands them on."""
    imports = [n for n in ast.parse(stub.read_text("utf-8")).body if isinstance(n, ast.ImportFrom)]
    aliases = [alias for node in imports for alias in node.names]
    assert all(alias.asname == alias.name for alias in aliases)
    return sorted(alias.name for alias in aliases)


PACKAGE = Path(bayesimpute.__file__).parent
NAMES = handed_on(PACKAGE / "__init__.pyi")
GROUPS = {
    "before": handed_on(PACKAGE / "before.pyi"),
    "pooling": handed_on(PACKAGE / "pooling" / "__init__.pyi"),
    "simulate": handed_on(PACKAGE / "simulate" / "__init__.pyi"),
}
