"""Findings: a tidy table of what is wrong that also prints as sentences."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import pandas as pd

from bayesimpute import html
from bayesimpute.wording import one_line, visible

#: From the worst; also the order of the rows.
SEVERITIES = ("error", "warning", "info")
WIDTH = 88


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    severity
        ``"error"``: results cannot be trusted; ``"warning"``: look at it; ``"info"``: know it.
    variable
        What it concerns; empty for the whole run.
    finding
        What is wrong, a few words.
    evidence
        The numbers that show it.
    cause
        What usually leads to it, or why it matters.
    advice
        What to do, as code where that is possible.
    about
        What `variable` names: a ``"variable"`` of the data or a ``"term"`` of an analysis; of the
        whole ``"run"`` it is empty.
    """

    severity: str
    variable: str
    finding: str
    evidence: str
    cause: str
    advice: str
    about: Literal["variable", "term", "run"] = "variable"


COLUMNS = tuple(Finding.__dataclass_fields__)


class Findings(pd.DataFrame):
    """A row a finding, the worst first; prints as sentences, also when there is nothing to say.

    An ordinary frame otherwise: whatever is taken from it or computed with it is a plain one.

    Attributes
    ----------
    checked
        Sentence that says what was looked at.
    """

    checked: str
    headings: tuple[str, ...]
    _metadata = ["checked", "headings"]  # noqa: RUF012  (pandas wants a list)

    @classmethod
    def of(
        cls,
        found: Iterable[Finding],
        checked: str,
        headings: Sequence[str] = ("Why", "Seen", "Do"),
    ) -> "Findings":
        """Sort findings by severity, then as they came.

        Parameters
        ----------
        found
            In any order.
        checked
            Sentence that says what was looked at.
        headings
            What stands before cause, evidence and advice in print.
        """
        ranked = sorted(found, key=lambda each: SEVERITIES.index(each.severity))
        told = [each if each.variable else replace(each, about="run") for each in ranked]
        table = cls([asdict(each) for each in told], columns=list(COLUMNS))
        object.__setattr__(table, "checked", checked)
        object.__setattr__(table, "headings", tuple(headings))
        return table

    def _prints(self) -> bool:
        return tuple(self.columns) == COLUMNS and hasattr(self, "checked")

    def _counted(self) -> str:
        if self.empty:
            return "Nothing found."
        counts = [(kind, int((self["severity"] == kind).sum())) for kind in SEVERITIES]
        parts = ", ".join(f"{n} × {kind}" for kind, n in counts if n)
        return f"{len(self)} finding{'s' * (len(self) != 1)} ({parts})."

    def as_text(self) -> str:
        """Give all findings as sentences."""
        lines = [self._counted()]
        why, seen, do = self.headings
        for each in _typed(self):
            lines.append(f"\n{_heading(each)}")
            for head, text in ((seen, each.evidence), (why, each.cause), (do, each.advice)):
                if text:
                    lines.append(_indented(f"{head}: ", text))
        return visible("\n".join([*lines, "", textwrap.fill(self.checked, WIDTH)]))

    def __repr__(self) -> str:
        return self.as_text() if self._prints() else super().__repr__()

    def _repr_html_(self) -> str | None:
        if not self._prints():
            return super()._repr_html_()  # type: ignore[misc]
        why, seen, do = self.headings
        checked = html.tag("p", self.checked)
        if self.empty:
            return html.plain(self._counted(), checked)
        each = [
            html.tag(
                "li",
                html.tag("b", _heading(row)),
                *(
                    html.tag("div", html.tag("i", f"{head}: "), text)
                    for head, text in ((seen, row.evidence), (why, row.cause))
                    if text
                ),
                *(
                    [html.tag("div", html.tag("i", f"{do}: "), _code(row.advice))]
                    if row.advice
                    else []
                ),
                style="margin-bottom:0.6em",
            )
            for row in _typed(self)
        ]
        return html.plain(self._counted(), html.tag("ul", *each), checked)


def _typed(table: pd.DataFrame) -> list[Finding]:
    rows = table.itertuples(index=False)
    return [Finding(*map(str, row)) for row in rows]  # type: ignore[arg-type]


def _heading(each: Finding) -> str:
    what = "term " if each.about == "term" else ""
    where = f" {what}{one_line(each.variable)}:" if each.variable else ""
    return f"[{each.severity}]{where} {one_line(each.finding)}"


def _code(text: str) -> html.Html:
    look = "white-space:pre-wrap;overflow-wrap:anywhere"
    return html.tag("code", text, style=look)


def _indented(head: str, text: str) -> str:
    """Text under a hanging heading; lines of code in it are kept as they are."""
    indent = " " * 4
    lines = []
    for k, line in enumerate(text.splitlines()):
        first = f"{indent}{head}" if k == 0 else " " * (4 + len(head))
        if len(first) + len(line) <= WIDTH or _is_code(line):
            lines.append(first + line)
        else:
            lines.append(textwrap.fill(line, WIDTH, initial_indent=first,
                                       subsequent_indent=" " * (4 + len(head))))  # fmt: skip
    return "\n".join(lines)


def _is_code(line: str) -> bool:
    return line.startswith(
        (" ", "df", "formulas", "predictors", "method", "imp", "model_options", "priors")
    )
