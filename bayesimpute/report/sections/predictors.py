"""The predictor matrix, with what its codes mean."""

import pandas as pd

from bayesimpute.html import Html, join, table
from bayesimpute.plots.predictors import MEANINGS, plot_predictors
from bayesimpute.report.content import Content, folded, note, paragraph, scroll
from bayesimpute.report.pictures import picture
from bayesimpute.roles import Role
from bayesimpute.specification.specification import Target

#: Columns up to which the matrix is drawn.
MOST_DRAWN = 60


def predictors(content: Content) -> Html:
    """Matrix as it was used: a row a target."""
    specification = content.run.specification
    targets = [name for name, target in specification.targets.items() if isinstance(target, Target)]
    matrix = content.run.predictors.reindex(index=targets, fill_value=0).astype(int)
    used = sorted({int(code) for code in matrix.to_numpy().ravel()})
    legend = join([f"{_signed(code)}: {MEANINGS[Role(code)]}" for code in used], "; ")
    rows = [
        (name, *("·" if code == 0 else _signed(int(code)) for code in codes))
        for name, codes in zip(targets, matrix.to_numpy(), strict=True)
    ]
    shown = scroll(table(["target", *matrix.columns], rows, range(1, matrix.shape[1] + 1), None,
                         "codes"))  # fmt: skip
    shown = folded(f"Codes of {len(rows)} targets and {matrix.shape[1]} columns", shown)
    return join(
        [
            paragraph(
                "What predicts what, after terms were left out that a model cannot use (see "
                "Events). Interactions and functions of a column count for the column; the "
                "equations have them in full."
            ),
            _drawn(matrix, content.run.method),
            shown,
            note("Codes, as in mice and miceadds. ", legend, "."),
        ]
    )


def _drawn(matrix: pd.DataFrame, method: dict[str, str]) -> Html:
    if matrix.shape[1] > MOST_DRAWN:
        return Html("")
    return picture(lambda: plot_predictors(matrix, method), "What predicts what")


def _signed(code: int) -> str:
    return str(code).replace("-", "−")
