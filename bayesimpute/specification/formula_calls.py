"""Factors of formulas from their tokens: columns, arithmetic, calls of known functions."""

from collections.abc import Sequence
from dataclasses import replace

from bayesimpute.errors import SpecificationError
from bayesimpute.specification.expressions import FUNCTIONS, read
from bayesimpute.specification.formula_terms import MEANS, SURVIVAL, Factor
from bayesimpute.specification.formula_tokens import Token, closing, name_in, split_at, unreadable
from bayesimpute.specification.spelling import function_name, quoted
from bayesimpute.wording import did_you_mean

#: Functions that say how a column of categories is coded.
CODINGS = ("C", "factor", "relevel")
#: Functions of whole columns, which `expressions` does not know.
COLUMN_FUNCTIONS = (*CODINGS, "scale", "center", "standardize", "poly", "bs", "ns", *MEANS)
_SPLINE = "ns(x, df = 4) is a natural cubic spline, bs(x, df = 5) a B-spline"
_SURVIVAL = "fit a function: imp.fit(lambda data: CoxPHFitter().fit(data, 'time', 'event'))"
_COLUMN = "compute it as a column of the data"
#: What stands for functions of other packages that are not known here.
_INSTEAD = {
    **dict.fromkeys(("cc", "cr", "rcs", "s", "te", "t2"), _SPLINE),
    "Surv": "it stands left of the ~, Surv(time, event) ~ x",
    **dict.fromkeys(("strata", "tt", "frailty"), _SURVIVAL),
    **dict.fromkeys(("cut", "interaction", "is.na", "lag", "diff", "paste", "qcut"), _COLUMN),
    "as.integer": "write the column itself, or floor(x)",
    "c": "a formula joins terms by +",
    "cbind": "fit a function: imp.fit(lambda data: GLM(data[['hits', 'misses']], …).fit())",
    "inv_logit": "write I(1 / (1 + exp(-x)))",
    "logit": "write log(x / (1 - x))",
    "mo": "write C(x, Diff)",
    "ordered": "write C(x, Poly)",
    "plogis": "write I(1 / (1 + exp(-x)))",
    "power": "write I(x^2)",
    "square": "write I(x^2)",
}


def response_of(formula: str, tokens: Sequence[Token]) -> Factor:
    """Column, call or arithmetic left of the ~."""
    called = tokens[0].kind == "name" and len(tokens) > 1 and tokens[1].text == "("
    if name_in(tokens) is None and called and closing(tokens, 1) == len(tokens) - 1:
        return (_survival if tokens[0].text == SURVIVAL else call_factor)(formula, tokens)
    return bare_factor(formula, tokens)


def _survival(formula: str, tokens: Sequence[Token]) -> Factor:
    """Give the factor of Surv(time, event), an outcome of two columns."""
    place = tokens[0].start
    parts = split_at(tokens[2:-1], ",")
    if any(len(part) > 1 and part[1].text == "=" for part in parts) or len(parts) != 2:
        raise unreadable(
            f"{SURVIVAL}(time, event) takes two columns: the time, and whether it ends with the "
            "event or is censored. Late entry and intervals are not known; where every time ends "
            "with the event, its column alone is the outcome",
            place,
        )
    names = [name_in(part) for part in parts]
    for name, part in zip(names, parts, strict=True):
        if name is None:
            text = formula[part[0].start : part[-1].end] if part else ""
            raise unreadable(
                f"{SURVIVAL}() takes columns, not {text!r}; make one of it, such as "
                "df['died'] = df['status'] == 2",
                place,
            )
    time, event = map(str, names)
    if time == event:
        raise unreadable(f"{time!r} cannot be both the time and the event", place)
    text = f"{SURVIVAL}({quoted(time)}, {quoted(event)})"
    return Factor(text.replace("`", ""), text, None, SURVIVAL, (quoted(time), quoted(event)))


def bare_factor(formula: str, tokens: Sequence[Token]) -> Factor:
    """Column or arithmetic, which needs no I() where only one thing can stand."""
    name = name_in(tokens)
    if name is not None:
        return column_factor(name)
    text = formula[tokens[0].start : tokens[-1].end]
    return replace(arithmetic_factor(f"I({text})", "I"), label=text.replace("`", ""))


def column_factor(name: str) -> Factor:
    """Give the factor of a column."""
    return Factor(name, quoted(name), name)


def call_factor(formula: str, tokens: Sequence[Token]) -> Factor:
    """Give the factor of a call of a known function."""
    name, place = function_name(tokens[0].text), tokens[0].start
    if name not in FUNCTIONS and name not in COLUMN_FUNCTIONS:
        raise unreadable(_unknown_function(tokens[0].text), place)
    inside = formula[tokens[1].end : tokens[-1].start].strip()
    text = f"{name}({inside})"
    written = tokens[0].text.removeprefix("numpy.").removeprefix("np.")
    label = f"{written}({inside})".replace("`", "")
    if name in FUNCTIONS:
        return replace(arithmetic_factor(text, name), label=label)
    arguments: list[str] = []
    options: list[tuple[str, str]] = []
    for part in split_at(tokens[2:-1], ","):
        if not part:
            raise unreadable(f"{name}() needs a column, and an argument after each comma", place)
        if len(part) > 2 and part[0].kind == "name" and part[1].text == "=":
            options.append((part[0].text, formula[part[2].start : part[-1].end]))
        else:
            told = _uncoded(part) if name in CODINGS and not arguments else part
            arguments.append(formula[told[0].start : told[-1].end])
    if not arguments:
        raise unreadable(f"{name}() needs a column", place)
    _check(arguments[0])
    return Factor(label, text, None, name, tuple(arguments), tuple(options))


def _uncoded(tokens: Sequence[Token]) -> Sequence[Token]:
    """Give x of factor(x), which says nothing that the call around it does not say."""
    called = len(tokens) > 3 and function_name(tokens[0].text) in ("factor", "C")
    if not called or tokens[1].text != "(" or closing(tokens, 1) != len(tokens) - 1:
        return tokens
    inside = tokens[2:-1]
    return inside if len(split_at(inside, ",")) == 1 else tokens


def _unknown_function(name: str) -> str:
    known = [*FUNCTIONS, *COLUMN_FUNCTIONS, "offset"]
    if name == "Q":
        return "Q() takes a name in quotation marks"
    if name == "offset":
        return "offset() is a summand of its own"
    instead = _INSTEAD.get(function_name(name)) or did_you_mean(name, known).replace(" Did", "did")
    return (
        f"it calls {name!r}, which is no function of formulas; "
        f"{instead or f'{_COLUMN}; there are ' + ', '.join(known)}"
    )


def arithmetic_factor(text: str, function: str) -> Factor:
    """Give the factor of an expression, whose outermost function is given."""
    _check(text)
    return Factor(text.replace("`", ""), text, None, function)


def _check(text: str) -> None:
    try:
        read(text)
    except SpecificationError as error:
        raise SpecificationError(f"it does not parse: {error}") from error
