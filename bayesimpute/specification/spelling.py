"""Arithmetic written as text: names as R allows them, Python's syntax tree, one spelling."""

import ast
import keyword
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping

from bayesimpute.errors import SpecificationError

#: Keywords that stay what they are in Python; any other, such as class, may name a column.
_OPERATORS = (
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "for",
    "lambda",
    "True",
    "False",
    "None",
)
_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_TOKEN = re.compile(
    rf"`(?P<quoted>[^`]+)`|\bQ\s*\(\s*(?P<named>{_STRING})\s*\)|(?P<text>{_STRING})"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:L\b)?"
    r"|(?P<name>(?:[^\W\d]|\.(?=[^\W\d]))[\w.]*)(?P<call>\s*\()?"
    r"|(?P<operator>\^|%%|%/%)"
)
_NUMPY = re.compile(r"(?:np|numpy)\.(?=\w+$)")
#: R's names of operators and functions, and those by which they are known here.
_OF_R = {"^": "**", "%%": "%", "%/%": "//"}
_CALLS_OF_R = {
    "as.factor": "factor",
    "as.numeric": "I",
    "ceiling": "ceil",
    "ifelse": "where",
    "pmax": "maximum",
    "pmin": "minimum",
}
_ALIAS = re.compile(r"\b_column\d+_\b")
#: Characters of an expression; longer ones are no arithmetic anybody wrote.
LONGEST = 50_000
#: Levels of its tree; a sum of n columns has n.
DEEPEST = 2000


def respelled(expression: str, name_of: Callable[[str], str]) -> str:
    """Write an expression in Python's spelling, names Python would not read by `name_of`.

    ``^`` is a power, ``%%`` a remainder and ``2L`` a number, as in R; ``np.log`` is ``log`` and
    ``pmin`` is ``minimum``; names are ``wt.loss``, ``class``, ``Q("body fat")`` and what stands in
    backticks.

    Examples
    --------
    >>> respelled("I(wt.loss / (Height)^2) + np.log(x)", "<{}>".format)
    'I(<wt.loss> / (Height)**2) + log(x)'
    """

    def spelled(token: re.Match[str]) -> str:
        if token["quoted"]:
            return name_of(token["quoted"])
        if token["named"]:
            return name_of(unquoted(token["named"]))
        if token["operator"]:
            return _OF_R[token["operator"]]
        name = token["name"]
        if name is None:
            return token["number"] or token[0]
        if token["call"]:
            return function_name(name) + token["call"]
        return name if name in _OPERATORS or _is_plain(name) else name_of(name)

    return _TOKEN.sub(spelled, expression)


def function_name(written: str) -> str:
    """Name by which a function is known here, whether R, NumPy or this package calls it so.

    Examples
    --------
    >>> function_name("np.log"), function_name("pmin"), function_name("sqrt")
    ('log', 'minimum', 'sqrt')
    """
    name = _NUMPY.sub("", written)
    return _CALLS_OF_R.get(name, name)


def _is_plain(name: str) -> bool:
    """Whether Python reads a name as that very name, and no alias is spelled like it."""
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and unicodedata.normalize("NFKC", name) == name
        and not _ALIAS.fullmatch(name)
    )


def unquoted(text: str) -> str:
    """Text between quotation marks; a backslash takes the next character as it is."""
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def canonical(expression: str) -> str:
    """One spelling of all expressions that are the same but for blanks, brackets and order.

    Examples
    --------
    >>> canonical("I(x^2)") == canonical("I( (x) ** 2 )"), canonical("x*z") == canonical("z * x")
    (True, True)
    """
    try:
        tree, aliases = syntax_tree(expression)
        return _ordered(tree, aliases)
    except (SpecificationError, RecursionError):
        return expression.strip()


def _ordered(node: ast.expr, aliases: Mapping[str, str]) -> str:
    match node:
        case ast.Name(id=name):
            return quoted(aliases.get(name, name))
        case ast.BinOp(op=ast.Add() | ast.Mult() as operation):
            sign = "+" if isinstance(operation, ast.Add) else "*"
            return f"({f' {sign} '.join(sorted(_chain(node, type(operation), aliases)))})"
        case ast.BinOp(left=left, op=operation, right=right):
            sign = ast.unparse(ast.BinOp(ast.Name("a"), operation, ast.Name("b")))[1:-1]
            return f"({_ordered(left, aliases)}{sign}{_ordered(right, aliases)})"
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=options):
            parts = [_ordered(part, aliases) for part in arguments]
            named = sorted(f"{each.arg}={_ordered(each.value, aliases)}" for each in options)
            return f"{name}({', '.join([*parts, *named])})"
        case ast.Constant(value=bool() as value):
            return str(value)
        case ast.Constant(value=int() | float() as value):
            return repr(float(value))
    return unaliased(ast.unparse(node), aliases)


def _chain(
    node: ast.expr, operation: type[ast.operator], aliases: Mapping[str, str]
) -> Iterator[str]:
    """Summands of a sum, factors of a product."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, operation):
        yield from _chain(node.left, operation, aliases)
        yield from _chain(node.right, operation, aliases)
    else:
        yield _ordered(node, aliases)


def quoted(name: str) -> str:
    """Name of a column as it is written in an expression: in backticks or Q() if it has to be."""
    if _is_plain(name):
        return name
    if name and "`" not in name:
        return f"`{name}`"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'Q("{escaped}")'


def unaliased(text: str, aliases: Mapping[str, str]) -> str:
    """Give columns their own names back in the text of a part of `syntax_tree`."""
    return _ALIAS.sub(lambda found: quoted(aliases.get(found[0], found[0])), text)


def syntax_tree(expression: str) -> tuple[ast.expr, Mapping[str, str]]:
    """Syntax tree of a text, and the names in it that stand for columns Python could not name.

    Nothing is run, and nothing is refused but what is no Python: the caller looks at each node.

    Raises
    ------
    SpecificationError
        The text does not parse.
    """
    aliases: dict[str, str] = {}

    def alias(name: str) -> str:
        aliases[f"_column{len(aliases)}_"] = name
        return list(aliases)[-1]

    if len(expression) > LONGEST:
        raise SpecificationError(too_nested(expression))
    try:
        tree = ast.parse(respelled(expression, alias).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SpecificationError(
            f"'{expression[:200]}' cannot be read as an expression ({error.__class__.__name__}); "
            "write arithmetic on columns, such as 'I(weight / height**2)'."
        ) from error
    if _depth(tree) > DEEPEST:
        raise SpecificationError(too_nested(expression))
    return tree, aliases


def _depth(tree: ast.expr) -> int:
    """Count the levels, without recursion."""
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [
            part
            for node in level
            for part in ast.iter_child_nodes(node)
            if isinstance(part, ast.expr)
        ]
    return depth


def too_nested(expression: str) -> str:
    """Sentence on a text that is refused for its length or depth."""
    return (
        f"'{expression[:60]}…' is too long or too deeply nested ({len(expression)} characters); "
        "compute parts of it as columns of the data."
    )
