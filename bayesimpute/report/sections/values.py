"""Observed and imputed values side by side."""

from functools import partial

from bayesimpute.html import Html, join, tag
from bayesimpute.plots.density import plot_density
from bayesimpute.report.content import MOST_PICTURES, Content, left_out, paragraph
from bayesimpute.report.pictures import picture


def values(content: Content) -> Html:
    """One picture a variable; of very many those with most imputed cells."""
    run = content.run
    names = run.history.variables
    cells = {name: run.history.imputed[name].shape[1] for name in names}
    most = sorted(names, key=lambda name: -cells[name])[:MOST_PICTURES]
    shown = [name for name in names if name in most]
    pictures = [
        picture(
            partial(plot_density, run, name, figsize=(5, 3)),
            f"{name}: observed and imputed values",
        )
        for name in shown
    ]
    return join(
        [
            paragraph(
                "Where values are missing at random, imputed and observed ones may differ, but "
                "the difference should be explicable by the predictors. Values that cannot occur, "
                "or shapes that the data do not have, speak against a model."
            ),
            tag("div", *pictures, class_="gallery"),
            left_out([name for name in names if name not in shown], "the pictures"),
        ]
    )
