"""The columns of completed data that an analysis formula uses, checked and computed."""

import re

import numpy as np
import pandas as pd

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import nearest

# Backquoted name | string | name, maybe called, maybe a keyword.
_TOKEN = re.compile(
    r"`(?P<quoted>[^`]+)`|\"[^\"]*\"|'[^']*'"
    r"|(?<![\w.])(?P<name>[^\W\d][\w.]*)(?P<call>\s*\()?(?P<keyword>\s*=(?!=))?"
)
_WORDS = {"True", "False", "None", "Treatment", "Sum", "Poly", "Diff", "Helmert"}
_CALL = re.compile(
    r"(?<![\w.])(?:np\.|numpy\.)?"
    r"(?P<function>I|factor|C|log|log10|log1p|exp|expm1|sqrt|abs|sin|cos|tan)\s*\("
)


def check_formula(formula: str, columns: pd.Index) -> tuple[str, ...]:
    """Columns a formula uses; an error names the one that is not there and its nearest name.

    Parameters
    ----------
    formula
        ``"y ~ x"`` or ``"y ~ x + (1 | g)"``.
    columns
        Of the completed data.

    Examples
    --------
    >>> check_formula("y ~ log(x) + (1 | g)", pd.Index(["g", "x", "y", "z"]))
    ('y', 'x', 'g')
    """
    if formula.count("~") != 1 or not all(side.strip() for side in formula.split("~")):
        raise AnalysisError(
            f"The formula {formula!r} does not parse: write one ~ with the outcome left of it and "
            "at least 1 right of it, e.g. 'y ~ x + (1 | g)'."
        )
    used: dict[str, None] = {}
    for token in _TOKEN.finditer(formula):
        name = token["quoted"] or token["name"]
        if name is None or token["call"] or token["keyword"] or name in _WORDS:
            continue
        if name not in columns:
            if name.startswith(("np.", "numpy.")):
                continue
            raise AnalysisError(
                f"The formula {formula!r} names {name!r}, which is no column of the data"
                f"{nearest(name, columns)}"
            )
        used[name] = None
    return tuple(used)


def prepared(frame: pd.DataFrame, used: tuple[str, ...]) -> pd.DataFrame:
    """Keep the columns used, as both packages understand them; missing values are an error."""
    columns = {}
    for name in used:
        column = frame[name]
        gaps = int(column.isna().sum())
        if gaps:
            raise AnalysisError(
                f"{name!r} still has {gaps} missing values after imputation; impute it, or drop "
                "those rows yourself by fitting a callable: lambda data: model(data.dropna())."
            )
        if pd.api.types.is_bool_dtype(column.dtype):
            column = column.astype(float)
        elif pd.api.types.is_numeric_dtype(column.dtype):
            column = column.astype(column.to_numpy().dtype if column.dtype.kind in "iuf" else float)
            if not np.isfinite(column).all():
                raise AnalysisError(f"{name!r} holds infinite values; recode them first.")
            column = pd.Series(column.to_numpy(), index=frame.index)
        elif isinstance(column.dtype, pd.CategoricalDtype):
            column = column.cat.remove_unused_categories()
        columns[name] = column
    return frame[list(used)].assign(**columns)


def with_derived_columns(frame: pd.DataFrame, formula: str, quote: str) -> tuple[str, pd.DataFrame]:
    """Replace ``log(x)``, ``I(x**2)``, ``factor(x)`` by columns of that name; quote odd names."""
    derived: dict[str, pd.Series] = {}
    out, position = [], 0
    while call := _CALL.search(formula, position):
        end = _closing(formula, call.end())
        inside, function = formula[call.end() : end - 1].strip(), call["function"]
        out.append(_requoted(formula[position : call.start()], quote))
        if function == "C" and "," in inside:  # a contrast: left to statsmodels
            out.append(formula[call.start() : end])
        else:
            label = f"{function}({inside})".replace("`", "")
            derived[label] = _derived(frame, function, inside)
            out.append(quote.format(label))
        position = end
    out.append(_requoted(formula[position:], quote))
    return "".join(out), frame.assign(**derived)


def _requoted(text: str, quote: str) -> str:
    return re.sub(r"`([^`]+)`", lambda name: quote.format(name[1]), text)


def _closing(text: str, start: int) -> int:
    depth = 1
    for position in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    raise AnalysisError(f"The formula {text!r} does not parse: a parenthesis is not closed.")


def _derived(frame: pd.DataFrame, function: str, inside: str) -> pd.Series:
    expression = inside.replace("np.", "").replace("^", "**")
    if function not in ("I", "factor", "C"):
        expression = f"{function}({expression})"
    try:
        with np.errstate(all="ignore"):
            values = frame.eval(expression, engine="python")
    except Exception as error:
        raise AnalysisError(f"{function}({inside}) cannot be computed: {error}") from error
    if function in ("factor", "C"):
        return pd.Series(values, index=frame.index).astype("category")
    values = pd.Series(values, index=frame.index).astype(float)
    if not np.isfinite(values).all():
        raise AnalysisError(
            f"{function}({inside}) is not finite for {int((~np.isfinite(values)).sum())} rows; "
            "transform the data so that it is defined everywhere."
        )
    return values
