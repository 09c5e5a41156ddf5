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
    print(f"{imputations!r}\nseed {imputations.seed}, made {imputations.created_at}")
    for target, equation in imputations.equations().items():
        print(f"  {one_line(target)}: {one_line(equation)}")
    print(visible(f"\n{imputations.diagnose()}\n"))
    events = imputations.events
    for message in dict.fromkeys(events.loc[events["severity"] != "info", "message"]):
        print(f"Note: {one_line(message)}")
