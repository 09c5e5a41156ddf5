"""What the terms of an analysis ask of the model of an incomplete predictor.

Let y be the outcome and x the incomplete predictor. By Bayes' rule the density of x given the rest
is f(y | x, z) f(x | z), which settles what can stand in the model of x:

- y continuous, x continuous, x in no product, function or slope: a straight line in y and in
  whatever else y depends on, its variance constant. Other products (z·w) and slopes (of z) of the
  analysis must be in it, x itself not being part of them.
- y continuous, x continuous, x multiplied by z, under a function beside itself, or with a slope by
  cluster: x enters the exponent as (b₁ + b₃z)²x² and (b₁ + b₃z)xy, so that both the slope on y and
  the variance of x change with z (or the cluster); under a power x given y is not normal at all. No
  terms added to a model of constant variance hold that. Where z is a complete category, a model
  for each of its categories does.
- y continuous, x a category: its log odds are linear in y, in all that y depends on, and, with an
  interaction, in yz and in the products of z with all that y depends on, z² included. With a slope
  b by cluster they are b(y − u) − b²/2, of which no normal effects of clusters are left.
- y a category, x continuous: x is normal in each category of y, with a mean that depends on z: yz;
  a square asks for a variance of its own in each category, so for models by category.

Given a normal outcome whose mean differs between the categories of x, x follows a softmax with a
slope a category. A cumulative model, or donors by one score, has one slope, and is as good only as
long as the means go up, or down, from category to category.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product as every

import numpy as np
import pandas as pd

from bayesimpute.congeniality.analysis_formula import (
    Analysis,
    Factors,
    as_power,
    columns_in,
    product,
    raised,
)
from bayesimpute.congeniality.imputation_model import ImputationModel
from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.specification.expressions import evaluate
from bayesimpute.specification.specification import Passive
from bayesimpute.wrappers.base import declared

#: Different values up to which a number is as good as a category.
TWO = 2
#: Different values of a number up to which a model for each of them is worth advising.
MOST_GROUPS = 5


@dataclass(frozen=True, eq=False)
class PredictorTerms:
    """Terms of an analysis as the model of one of its incomplete predictors has to see them."""

    model: ImputationModel
    analysis: Analysis

    @cached_property
    def terms(self) -> tuple[Factors, ...]:
        """Terms with everything that is computed from the variable written out."""
        found = dict.fromkeys(
            each for factors in self.analysis.terms for each in self.written_out(factors)
        )
        return tuple(found)

    def written_out(self, factors: Factors) -> tuple[Factors, ...]:
        """Replace columns that are computed from the variable by what they are computed as."""
        model = self.model
        readings: list[tuple[Factors, ...]] = []
        for factor in factors:
            computed = model.specification.targets.get(factor)
            if isinstance(computed, Passive) and self._from_mine(factor):
                parts = product(computed.expression, model.columns)
                readings.append(tuple(x for part in parts for x in self.written_out(part)))
            elif factor not in model.columns and model.same_numbers(factor):
                readings.append((frozenset({model.name}),))  # log(w), and w computed from its log
            else:
                readings.append((frozenset({factor}),))
        return tuple(frozenset().union(*each) for each in every(*readings))

    def _from_mine(self, column: str) -> bool:
        return column != self.model.name and self.model.is_computed_from_it(column)

    def mine(self, factors: Factors) -> Factors:
        """Factors of a term that the variable is part of."""
        found = set()
        for factor in factors:
            names = columns_in(factor, self.model.columns)
            if self.model.name in names or any(map(self._from_mine, names)):
                found.add(factor)
        return frozenset(found)

    @cached_property
    def outcomes(self) -> tuple[Factors, ...]:
        """What stands for the outcome in products with it: of a sum each column."""
        parts = product(self.analysis.outcome, self.model.columns)
        return parts if len(parts) > 1 else (frozenset({self.analysis.outcome}),)

    @cached_property
    def own_factors(self) -> tuple[str, ...]:
        """All forms in which the variable stands in the analysis, once each."""
        own = [f for factors in self.terms for f in sorted(self.mine(factors))]
        return tuple(dict.fromkeys([*own, *([self.model.name] if self._in_means else [])]))

    @property
    def _in_means(self) -> bool:
        return self.model.name in self.analysis.means

    @property
    def alone(self) -> bool:
        """Whether it stands there in one form only, multiplied by complete categories at most."""
        rests = (factors - mine for factors in self.terms if (mine := self.mine(factors)))
        products = any(rest and not self.groups_for(rest) for rest in rests)
        slopes = any(self.mine(factors) for _, factors in self.analysis.slopes)
        return len(self.own_factors) == 1 and not products and not slopes

    @cached_property
    def continuous(self) -> bool:
        """Whether the variable has more than two values, which are numbers."""
        return is_continuous(self.model, self.model.name)

    @cached_property
    def continuous_outcome(self) -> bool:
        """Whether the outcome has more than two values, which are numbers."""
        outcome, columns = self.analysis.outcome, self.model.columns
        if outcome in columns:
            return is_continuous(self.model, outcome)
        if not all(is_numeric(self.model, c) for c in columns_in(outcome, columns)):
            return False
        try:
            values = np.asarray(evaluate(outcome, self.model.specification.table.values), float)
        except Exception:  # a function that imputation formulas do not know
            return True
        return len(np.unique(values[~np.isnan(values)])) > TWO

    def computable(self, factor: str) -> bool:
        """Whether ``df.eval`` can compute a function, as is advised for imputing on its scale."""
        names = columns_in(factor, self.model.columns)
        try:
            pd.DataFrame(1.0, index=[0], columns=list(names)).eval(factor)
        except Exception:  # pandas raises what it likes for functions it does not know
            return False
        return True

    def groups_for(self, rest: Factors) -> tuple[str, ...]:
        """Complete categories that a model each holds a product with; empty where that is not so.

        Parameters
        ----------
        rest
            The other factors of the product.
        """
        table, model = self.model.specification.table, self.model
        wanted = tuple(sorted(rest - model.groups))
        for column in wanted:
            if (
                column not in model.columns
                or (is_numeric(model, column) and _distinct(model, column) > MOST_GROUPS)
                or table.variables[column].kind is Kind.OTHER
                or table.missing(column).any()
                or column == model.target.cluster
                or (model.target.level == 2 and not self.varies_by_cluster_only(column))
            ):
                return ()
        codes = [table.values[column] for column in (*wanted, *model.groups)]
        values = table.values[model.name]
        groups = np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].ravel()
        for group in np.unique(groups):
            seen = values[(groups == group) & ~np.isnan(values)]
            if len(np.unique(seen)) < TWO:
                return ()
        return wanted

    def varies_by_cluster_only(self, column: str) -> bool:
        """Whether a column has one value in each cluster of the model."""
        return self.model.is_of_clusters(column, self.model.target.cluster or "")

    def beside(self, rest: Factors) -> Iterator[Factors]:
        """Products that the log odds of a category contain beside that with the outcome.

        Multiplied by z, it multiplies (y − η)·z, with η all that y depends on: z by every term.
        """
        for factors in self.terms:
            yield self._times(rest, factors - self.mine(factors))

    def _times(self, one: Factors, other: Factors) -> Factors:
        powers: dict[str, int] = {}
        for factor in (*sorted(one), *sorted(other)):
            base, exponent = as_power(factor, self.model.columns)
            powers[base] = powers.get(base, 0) + exponent
        return frozenset(
            base if k == 1 or self._is_own_square(base) else raised(base, k)
            for base, k in powers.items()
        )

    def _is_own_square(self, factor: str) -> bool:
        """Whether a factor takes two values, as indicators do, or is a category."""
        if factor in self.model.columns:
            return not is_continuous(self.model, factor)
        try:
            values = evaluate(factor, self.model.specification.table.values)
        except SpecificationError:
            return False
        return len(np.unique(values[~np.isnan(values)])) <= TWO


def is_numeric(model: ImputationModel, column: str) -> bool:
    """Whether a column of the data holds numbers."""
    variable = model.specification.table.variables.get(column)
    return variable is not None and variable.kind is Kind.NUMERIC


def is_continuous(model: ImputationModel, column: str) -> bool:
    """Whether a column holds numbers of which more than two differ."""
    return is_numeric(model, column) and _distinct(model, column) > TWO


def _distinct(model: ImputationModel, column: str) -> int:
    values = model.specification.table.values[column]
    return len(np.unique(values[~np.isnan(values)]))


#: Standard errors by which two means have to differ to be called different.
CLEARLY = 4.0
#: Observed values a category needs to have a mean.
FEWEST = 10


def has_one_slope(model: ImputationModel) -> bool:
    """Whether a model of more than two categories has one slope for all of them."""
    kind = model.specification.table.variables[model.name].kind
    return kind in declared(model.target.method, "one_slope", ())


def clearly_out_of_order(read: PredictorTerms) -> bool:
    """Whether observed means of the outcome go up and down over the categories of x, not by chance.

    Parameters
    ----------
    read
        Terms of the analysis, with the model of x.
    """
    table, name = read.model.specification.table, read.model.name
    ordered = table.variables[name].kind is Kind.ORDINAL
    if not (ordered and has_one_slope(read.model)):
        return False
    numbers = {n: v for n, v in table.values.items() if table.variables[n].kind is Kind.NUMERIC}
    try:
        outcome = np.asarray(evaluate(read.analysis.outcome, numbers), dtype=float)
    except SpecificationError:  # a category, or a function that formulas do not know
        return False
    known = np.isfinite(outcome) & ~np.isnan(table.values[name])
    groups = [outcome[known & (table.values[name] == code)]
              for code in np.unique(table.values[name][known])]  # fmt: skip
    groups = [values for values in groups if len(values) >= FEWEST]
    if len(groups) < 3:
        return False
    means = np.array([values.mean() for values in groups])
    variances = np.array([values.var(ddof=1) / len(values) for values in groups])
    rises = (means - means[:, None]) / np.sqrt(variances + variances[:, None])
    above = np.triu_indices(len(groups), 1)
    return bool(rises[above].max() > CLEARLY and rises[above].min() < -CLEARLY)
