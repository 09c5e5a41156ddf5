"""What is wrong with the run, why, and what to do: the findings of ``imp.diagnose``."""

from bayesimpute.html import Html, join, tag
from bayesimpute.report.content import Content, folded, note, paragraph

#: Findings shown unfolded.
MOST_OPEN = 12

#: What a light says, by the severest finding; None where there is none.
LIGHTS = {
    "error": ("bad", "wrong"),
    "warning": ("fair", "look"),
    "info": ("unknown", "note"),
    None: ("good", "fine"),
}


def diagnosis(content: Content) -> Html:
    """Every finding with its evidence, cause and advice."""
    found = content.findings
    if found.empty:
        return join([paragraph(light(None), " Nothing was found wrong."), note(found.checked)])
    drawn = [
        tag(
            "li",
            light(str(row["severity"])),
            f" {row['variable']}: " if row["variable"] else " ",
            tag("strong", row["finding"]),
            ". ",
            tag("p", row["evidence"], " ", row["cause"]),
            tag("p", "What to do: ", tag("code", row["advice"])) if row["advice"] else "",
        )
        for _, row in found.iterrows()
    ]
    first = tag("ul", *drawn[:MOST_OPEN], class_="findings")
    rest = drawn[MOST_OPEN:]
    more = folded(f"{len(rest)} more", tag("ul", *rest, class_="findings")) if rest else ""
    return join([first, more, note(found.checked)])


def light(severity: str | None) -> Html:
    """Sign and word for the severest finding."""
    look, word = LIGHTS[severity]
    return tag("span", word, class_=f"light {look}")
