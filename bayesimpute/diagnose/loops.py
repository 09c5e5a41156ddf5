"""Variables that drive each other: computed ones among their own inputs' predictors, and twins."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.diagnose.examined import Examined
from bayesimpute.findings import Finding
from bayesimpute.specification.aliases import IN_ONE_BLOCK
from bayesimpute.specification.expressions import names_in
from bayesimpute.specification.specification import Passive, Target, computed_from

#: Correlation from which two incomplete variables are hardly two.
TWINS = 0.95
#: Share of the rows in which one is missing that miss the other as well.
TOGETHER = 0.5


def predictors_of(target: Target) -> set[str]:
    """Columns in the terms of a model."""
    return {name for term in target.terms for factor in term.factors for name in names_in(factor)}


def circles(run: Examined) -> Iterator[Finding]:
    """Passive variables that predict what they are computed from."""
    for name, target in run.targets.items():
        for column in sorted(predictors_of(target)):
            computed = run.specification.targets.get(column)
            if isinstance(computed, Passive) and name in computed_from(
                column, run.specification.targets
            ):
                yield Finding(
                    "error", name, "feedback loop",
                    f"{name!r} is predicted by {column!r}, which is computed from it "
                    f"({computed.expression}).",
                    "Each confirms the other's imputed value at every iteration; chains get stuck, "
                    "and the relation with other variables is lost (van Buuren 2018, section 6.4).",
                    f"predictors.loc[{name!r}, {column!r}] = 0",
                )  # fmt: skip


def twins(run: Examined) -> Iterator[Finding]:
    """Incomplete numbers that predict each other nearly exactly and are missing together."""
    table = run.specification.table
    numeric = [n for n in run.targets if run.kind(n) is Kind.NUMERIC]
    for first, second in combinations(numeric, 2):
        one, other = run.targets[first], run.targets[second]
        if second not in predictors_of(one) or first not in predictors_of(other):
            continue
        gaps, others = table.missing(first), table.missing(second)
        both = ~gaps & ~others
        x, y = table.values[first][both], table.values[second][both]
        if both.sum() < 10 or np.ptp(x) == 0 or np.ptp(y) == 0:
            continue
        r = float(np.corrcoef(x, y)[0, 1])
        together = float((gaps & others).sum() / (gaps | others).sum())
        if abs(r) > TWINS and together > TOGETHER:
            yield Finding(
                "warning", first, "strong mutual dependence",
                f"{first!r} and {second!r} correlate by {r:.3f}, predict each other, and "
                f"{100 * together:.0f} % of the rows that miss one miss both.",
                "Where both are missing each is imputed from the other's last imputation: the pair "
                "moves by tiny steps.",
                f"method[{first!r}] = method[{second!r}] = {IN_ONE_BLOCK!r}  # drawn together; if "
                "one is a function of the other, give it a method that computes it",
            )  # fmt: skip
