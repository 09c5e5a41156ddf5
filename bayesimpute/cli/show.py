"""``bayesimpute open`` and ``show``: what is in a result, and whether it converged."""

import argparse
from typing import TYPE_CHECKING

from bayesimpute.wording import one_line, visible

if TYPE_CHECKING:
    from bayesimpute.imputations import Imputations


def run_show(options: argparse.Namespace) -> None:
    """Describe the result in a file."""
    from bayesimpute.opening import open_file

    describe(open_file(options.file))


def describe(imputations: "Imputations") -> None:
    """Print what was imputed, by which models, what is wrong with it, and what was noted."""
    from bayesimpute.report.content import seeds_of
    from bayesimpute.result.restored import made_elsewhere

    elsewhere = made_elsewhere(imputations.specification)
    how = "taken in" if elsewhere else f"{seeds_of(imputations)}, made"
    print(f"{imputations!r}\n{how} {imputations.created_at}")
    for target, equation in imputations.equations().items():
        print(f"  {one_line(target)}: {one_line(equation)}")
    print(visible(f"\n{imputations.diagnose()}\n"))
    events = imputations.events
    for message in dict.fromkeys(events.loc[events["severity"] != "info", "message"]):
        print(f"Note: {one_line(message)}")
