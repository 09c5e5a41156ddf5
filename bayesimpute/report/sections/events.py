"""What was decided automatically while specifying and running."""

from collections import Counter

from bayesimpute.events import Event
from bayesimpute.html import Html, join, table, tag
from bayesimpute.report.content import Content, counted, folded, note, paragraph, scroll

#: Lines shown, and shown unfolded.
MOST, MOST_OPEN = 300, 25


def events(content: Content) -> Html:
    """Every automatic action; the same one in several imputations is one line."""
    happened = content.run.history.events
    if not happened:
        return paragraph("Nothing was decided automatically, and nothing went wrong.")
    alike = Counter(_key(event) for event in happened)
    first: dict[tuple[str, ...], Event] = {}
    for event in happened:
        first.setdefault(_key(event), event)
    order = {"error": 0, "warning": 1, "info": 2}
    lines = sorted(first.values(), key=lambda event: order.get(event.severity, 3))
    rows = [_row(event, alike[_key(event)]) for event in lines[:MOST]]
    serious = sum(event.severity != "info" for event in happened)
    shown = scroll(table(["severity", "variable", "what", "times", "message"], rows, (3,)))
    if len(rows) > MOST_OPEN:
        shown = folded(counted(len(rows), "action"), shown)
    left = len(lines) - len(rows)
    return join(
        [
            paragraph(
                f"{counted(len(happened), 'automatic action')}, {serious:,} of them warnings or "
                f"errors. The same one in several imputations is one line."
            ),
            shown,
            note(f"{counted(left, 'further line')} in imp.events.") if left else "",
        ]
    )


def _key(event: Event) -> tuple[str, ...]:
    return event.severity, event.stage, event.variable, event.action, event.message


def _row(event: Event, times: int) -> tuple[object, ...]:
    place = f" (imputation {event.imputation}, iteration {event.iteration})" * bool(
        event.imputation and times == 1
    )
    mark = tag("span", event.severity, class_=f"severity {event.severity}")
    return mark, event.variable, event.action, times, event.message + place
