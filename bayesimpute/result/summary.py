"""How a result introduces itself in a console and in a notebook."""

from bayesimpute.engine.history import History
from bayesimpute.html import plain, table, tag
from bayesimpute.specification.specification import Passive, Specification
from bayesimpute.wording import one_line

MOST_ROWS = 12


def rows(specification: Specification, history: History) -> list[tuple[str, str, str]]:
    """(variable, method, number of imputed cells) of each target, in visiting order."""
    found = []
    for name in history.variables:
        target = specification.targets.get(name)
        method = (
            target.expression
            if isinstance(target, Passive)
            else str(specification.methods.get(name, ""))
        )
        found.append(
            (one_line(name), one_line(method), f"{int(specification.where[name].sum()):,}")
        )
    return found


def headline(specification: Specification, history: History) -> str:
    """One line: how many imputations of what."""
    n, columns = specification.table.frame.shape
    warned = sum(event.severity != "info" for event in history.events)
    notes = f", {warned} warning{'s' * (warned != 1)} in .events" if warned else ""
    return (
        f"Imputations: m = {history.m}, {history.iterations} iterations, "
        f"{n:,} rows × {columns} columns{notes}"
    )


def text(specification: Specification, history: History) -> str:
    """Headline and a line a target."""
    lines = [headline(specification, history)]
    listed = rows(specification, history)
    width = max((len(name) for name, _, _ in listed[:MOST_ROWS]), default=0)
    lines += [
        f"  {name:<{width}}  {count:>9} cells  {method}"
        for name, method, count in listed[:MOST_ROWS]
    ]
    if len(listed) > MOST_ROWS:
        lines.append(f"  … and {len(listed) - MOST_ROWS} more variables")
    return "\n".join(lines)


def html(specification: Specification, history: History) -> str:
    """Give the same as a small table."""
    listed = rows(specification, history)
    shown = [(name, f"{count}", method) for name, method, count in listed[:MOST_ROWS]]
    left = len(listed) - MOST_ROWS
    return plain(
        headline(specification, history),
        table(["variable", "imputed cells", "method"], shown, (1,)),
        tag("p", f"… and {left} more variables") if left > 0 else "",
    )
