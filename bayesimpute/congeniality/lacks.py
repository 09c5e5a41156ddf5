"""What an analysis wants of an incomplete variable's model, what is lacking, and why it matters.

An imputation model is congenial (Meng 1994) if it holds every relation the analysis asks about: of
the outcome with each predictor, and of each incomplete predictor with the outcome, in the form the
analysis has. A predictor in an interaction with z depends on the outcome in a way that varies with
z, so that its model needs outcome × z; one with a random slope needs the outcome with one.

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

from collections.abc import Callable, Iterator, Mapping
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
    whole,
)
from bayesimpute.congeniality.data_checks import WORTH, lost_to_cluster_means
from bayesimpute.congeniality.imputation_model import (
    Addition,
    ImputationModel,
    evaluated,
    numeric_columns,
)
from bayesimpute.data.table import Kind
from bayesimpute.specification.specification import Passive, Target
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
        return tuple(
            dict.fromkeys([*own, *(n for n in self.analysis.means if n == self.model.name)])
        )

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
        values = evaluated(outcome, self.model.specification.table.values)
        return values is None or len(np.unique(values[~np.isnan(values)])) > TWO

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
        values = evaluated(factor, self.model.specification.table.values)
        return values is not None and len(np.unique(values[~np.isnan(values)])) <= TWO


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
    outcome = evaluated(read.analysis.outcome, numeric_columns(table))
    if outcome is None:
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


#: Kind of lack -> severity, what is found, why it matters.
REASONS: Mapping[str, tuple[str, str, str]] = {
    "outcome": (
        "error",
        "the outcome does not predict it",
        "Imputed values then have no relation with the outcome, and its coefficient is drawn "
        "towards 0 (Moons et al. 2006, J Clin Epidemiol 59: 1092; Meng 1994, Stat Sci 9: 538).",
    ),
    "covariate": (
        "error",
        "a predictor of the analysis is not in the model of the outcome",
        "Imputed outcomes then have no relation with it, and its coefficient is drawn towards 0 "
        "(Meng 1994, Stat Sci 9: 538).",
    ),
    "other covariate": (
        "warning",
        "another predictor of the analysis is not in its model",
        "The two are taken as unrelated in imputed rows given the rest, which biases the "
        "coefficients of both (Meng 1994, Stat Sci 9: 538).",
    ),
    "incompatible": (
        "warning",
        "no model of it given the others is compatible with the analysis",
        "Given the outcome it does not lie on a straight line with a constant spread (the log odds "
        "of a category have no normal effects of clusters), whatever terms are added: outcome × z, "
        "or a slope of the outcome, draws the interaction, curve or variance of slopes towards 0 "
        "as much as leaving it out (Seaman, Bartlett & White 2012, BMC Med Res Methodol 12: 46; "
        "Grund, Lüdtke & Robitzsch 2018, Organ Res Methods 21: 111). It takes imputation by the "
        "analysis model itself (Bartlett et al. 2015, Stat Methods Med Res 24: 462), which is what "
        "analysis= asks for.",
    ),
    "interaction": (
        "warning",
        "an interaction of the analysis is not in its model",
        "Imputed rows then have no interaction, and its coefficient is drawn towards 0 (Tilling et "
        "al. 2016, J Clin Epidemiol 80: 107; Seaman, Bartlett & White 2012, BMC Med Res Methodol "
        "12: 46).",
    ),
    "transformation": (
        "warning",
        "a function of a variable in the analysis is not in its model",
        "Imputed rows then follow a straight line where the analysis asks for a curve; to impute "
        "and then transform draws the curve towards 0 (von Hippel 2009, Sociol Methodol 39: 265).",
    ),
    "order": (
        "warning",
        "its model has one slope for all categories",
        "In the analysis each category has an effect of its own, while categories imputed by one "
        "slope, or by donors, go only up or only down with the outcome, equally at every "
        "threshold. In 30 simulated data sets an effect that was largest in the middle came out "
        "half as large, and interactions a tenth smaller; with a slope for each there was no bias.",
    ),
    "slope": (
        "warning",
        "a random slope of the analysis is not in its model",
        "Imputed rows then have the same slope in all clusters, and the variance of slopes comes "
        "out too small (Grund, Lüdtke & Robitzsch 2016, Behav Res Methods 48: 640).",
    ),
    "correlation": (
        "warning",
        "effects that are correlated in the analysis are independent in its model",
        "Slopes of imputed rows then have no relation with the intercepts of their clusters, and "
        "the covariance of the two is drawn towards 0 (Meng 1994, Stat Sci 9: 538).",
    ),
    "mean": (
        "warning",
        "a cluster mean of the analysis is not in its model",
        "Relations within and between clusters are taken as equal in imputed rows, and the "
        "contextual effect is drawn towards 0 (Grund, Lüdtke & Robitzsch 2018, Organ Res Methods "
        "21: 111).",
    ),
    "cluster effects": (
        "warning",
        "its random intercepts do not go with the level of the outcome in clusters",
        "Given the outcome it follows what is left of it after the effect of the cluster. Random "
        "intercepts that are independent of the outcome do not take that out where clusters are "
        "small and differ much, so that its coefficient is drawn towards 0: by a third where they "
        "have 3 to 5 rows and four fifths of the variance, half of it missing, and by nothing with "
        "the cluster mean of the outcome as predictor (Mundlak 1978, Econometrica 46: 69).",
    ),
}


#: Functions with an inverse: impute the transformed column and compute the original from it.
INVERSES = {"log": "exp", "exp": "log", "sqrt": "square", "log1p": "expm1", "expm1": "log1p"}


@dataclass(frozen=True)
class Lack:
    """One thing a model lacks.

    Attributes
    ----------
    kind
        ``"outcome"``, ``"covariate"``, ``"other covariate"``, ``"interaction"``,
        ``"transformation"``, ``"order"``, ``"slope"``, ``"correlation"``, ``"mean"``,
        ``"cluster effects"``; ``"incompatible"`` where nothing can be added that mends it.
    addition
        What would mend it; None where it is no term.
    what
        The term of the analysis that asks for it.
    groups
        Columns each of whose values needs a model of its own.
    """

    kind: str
    addition: Addition | None
    what: str
    groups: tuple[str, ...] = ()


def written(factors: Factors) -> str:
    """Term in words."""
    return ":".join(sorted(factors))


def lacks(model: ImputationModel, analysis: Analysis) -> Iterator[Lack]:
    """Everything the analysis wants of a model and the model lacks.

    The variable of the model stands in the analysis itself, or something computed from it does.
    """
    roles = {model.name, *filter(model.is_computed_from_it, analysis.names)}
    outcome = set(columns_in(analysis.outcome, model.columns))
    found = (
        _of_outcome(model, analysis) if outcome & roles else _of_predictor(model, analysis, outcome)
    )
    yield from (lack for lack in found if not _is_found_by_itself(model, lack))


def _is_found_by_itself(model: ImputationModel, lack: Lack) -> bool:
    """Whether predictors act in any way in a model, and those of a product or bend are there."""
    if lack.kind not in ("interaction", "transformation") or lack.addition is None:
        return False
    columns = _columns(model, lack.addition.factors)
    return model.any_function and all(map(model.relates_to, columns))


def _of_outcome(model: ImputationModel, analysis: Analysis) -> Iterator[Lack]:
    """Each term of the analysis in the model of the outcome, on the scale of the analysis."""
    scale = _other_scale(model, analysis)
    if scale and is_continuous(model, model.name):
        if incomplete_in(model, scale)[:1] == [model.name]:
            yield Lack("transformation", None, scale)
        return  # what the terms are wanted in is the model on that scale
    for column in columns_in(analysis.outcome, model.columns):  # the others of a sum
        if column in model.columns and not model.relates_to(column):
            yield Lack("outcome", Addition(frozenset({column})), column)
    for factors in analysis.terms:
        columns = _columns(model, factors)
        if model.has(factors) or model.name in columns or not columns <= model.columns:
            continue
        plain = len(factors) == 1 and next(iter(factors)) in model.columns
        kind = "covariate" if plain else "interaction" if len(factors) > 1 else "transformation"
        yield Lack(kind, Addition(factors), written(factors))
    for cluster, factors in analysis.slopes:
        if not _applies(model, factors, cluster):
            continue
        if not model.slope(factors, cluster):
            yield Lack("slope", Addition(factors, random=True), written(factors))
    for cluster, effects in analysis.correlated:
        parts = {f: p for f in effects if (p := model.random_part(f, cluster)) is not None}
        for factors, part in parts.items() if len(set(parts.values())) > 1 else ():
            if part:
                yield Lack("correlation", Addition(factors, random=True), written(factors))
    for column in analysis.means:
        cluster = _cluster(model, analysis)
        if cluster and not _constant(model, column, cluster) and not model.cluster_mean(column):
            yield Lack("mean", Addition(frozenset({column}), mean=True), column)


def _other_scale(model: ImputationModel, analysis: Analysis) -> str:
    """Give the function of the variable that the outcome is; empty for itself or a sum of it."""
    outcome = analysis.outcome
    passive = model.specification.targets.get(outcome)
    if isinstance(passive, Passive):
        outcome = whole(passive.expression, model.columns)
        if columns_in(outcome, model.columns) != (model.name,):
            return ""  # of several, such as a ratio: of each it is a function given the others
    parts = product(outcome, model.columns)
    straight = all(len(part) == 1 and part <= model.columns for part in parts)
    return "" if straight or model.name not in columns_in(outcome, model.columns) else outcome


def _of_predictor(model: ImputationModel, analysis: Analysis, outcome: set[str]) -> Iterator[Lack]:
    """Outcome, in the form that follows from the analysis, and the other predictors."""
    lacking = _of_predictor_on_this_scale(model, analysis, outcome)
    if any(map(_moves_scale(model, analysis), outcome)):  # asked again on the scale it moves to
        lacking = (lack for lack in lacking if lack.kind == "incompatible")
    yield from lacking


def _moves_scale(model: ImputationModel, analysis: Analysis) -> Callable[[str], bool]:
    """Whether an incomplete column of the outcome is to be imputed as a function of it."""

    def moves(column: str) -> bool:
        target = model.specification.targets.get(column)
        if not isinstance(target, Target) or not is_continuous(model, column):
            return False
        return bool(_other_scale(ImputationModel(model.specification, target), analysis))

    return moves


def _of_predictor_on_this_scale(
    model: ImputationModel, analysis: Analysis, outcome: set[str]
) -> Iterator[Lack]:
    read = PredictorTerms(model, analysis)
    y = frozenset({analysis.outcome})
    for column in sorted(outcome & model.columns):
        if not model.relates_to(column):
            yield Lack("outcome", Addition(frozenset({column})), column)
    if analysis.outcome not in model.columns and not model.has(y):
        yield Lack("transformation", Addition(y), analysis.outcome)
    for factors in read.terms:
        if not _columns(model, factors) <= model.columns:
            continue  # not in the data at all, which is said elsewhere
        mine = read.mine(factors)
        if not mine:
            yield from _of_others(read, factors, outcome)
        else:
            yield from _of_own(read, factors, mine, outcome)
    yield from _slopes_of_predictor(read)
    for column in analysis.means:
        own = column == model.name or model.is_computed_from_it(column)
        cluster = _cluster(model, analysis)
        varying = not any(_constant(model, name, cluster) for name in (column, analysis.outcome))
        wanted = own and analysis.outcome in model.columns and varying
        if cluster and wanted and not model.cluster_mean(analysis.outcome):
            yield Lack("mean", Addition(y, mean=True), column)
    yield from _effects_of_clusters(read)


def _of_others(read: PredictorTerms, factors: Factors, outcome: set[str]) -> Iterator[Lack]:
    """Terms without the variable: it depends on all that the outcome depends on."""
    model = read.model
    whole = model.target.level == 1 and read.continuous_outcome
    for column in sorted(_columns(model, factors) & model.columns - outcome):
        if not model.relates_to(column):
            yield Lack("other covariate", Addition(frozenset({column})), column)
    plain = len(factors) == 1 and next(iter(factors)) in model.columns
    if whole and not plain and not model.has(factors):
        yield Lack("other covariate", Addition(factors), written(factors))


def _of_own(
    read: PredictorTerms, factors: Factors, mine: Factors, outcome: set[str]
) -> Iterator[Lack]:
    """Terms that the variable is part of."""
    model = read.model
    rest, what = factors - mine, written(factors)
    partners = rest - model.groups
    bent = sorted(mine - model.columns) if read.continuous else []
    if len(mine) > 1 or (read.continuous_outcome and (partners or bent) and read.continuous):
        if bent and read.alone and read.computable(bent[0]):
            if incomplete_in(model, bent[0])[:1] == [model.name]:
                yield Lack("transformation", None, bent[0])
        elif partners and not bent and (groups := read.groups_for(rest)):
            yield Lack("interaction", None, what, groups)
        else:
            yield Lack("incompatible", None, what)
        return
    if any(partners and not model.has(y | rest) for y in read.outcomes):
        if model.target.level == 2 and not all(map(read.varies_by_cluster_only, partners)):
            yield Lack("incompatible", None, what)
            return
        for y in read.outcomes:
            yield Lack("interaction", Addition(y | rest), what)
    if (
        clearly_out_of_order(read)
        if not partners
        else read.continuous_outcome and has_one_slope(model)
    ):
        yield Lack("order", None, what)
    if partners and read.continuous_outcome:
        for term in read.beside(rest):
            if not model.has(term):
                yield Lack("interaction", Addition(term), what)
    if bent:
        yield from _bent(read, bent[0], outcome)


def _bent(read: PredictorTerms, bent: str, outcome: set[str]) -> Iterator[Lack]:
    """See whether the variable has a distribution of its own in each category of the outcome."""
    own = frozenset(outcome & read.model.columns)
    if own <= read.model.groups:
        return
    groups = read.groups_for(own)
    if read.alone and bent.partition("(")[0] in INVERSES:
        yield Lack("transformation", None, bent)
    elif groups:
        yield Lack("transformation", None, bent, groups)
    else:
        yield Lack("incompatible", None, bent)


def _slopes_of_predictor(read: PredictorTerms) -> Iterator[Lack]:
    """Slopes by cluster, of the variable itself and of others."""
    model = read.model
    for cluster, given in read.analysis.slopes:
        for factors in read.written_out(given):
            own = bool(read.mine(factors))
            if not _applies(model, factors, cluster) or cluster in model.groups:
                continue
            if own and read.continuous_outcome:
                yield Lack("incompatible", None, f"{written(factors)} | {cluster}")
            elif own:
                for y in read.outcomes:
                    if _applies(model, y, cluster) and not model.slope(y, cluster):
                        yield Lack("slope", Addition(y, random=True), written(factors))
            elif read.continuous_outcome and not model.slope(factors, cluster):
                yield Lack("slope", Addition(factors, random=True), written(factors))


def _effects_of_clusters(read: PredictorTerms) -> Iterator[Lack]:
    """Random intercepts that have nothing to do with those of the outcome, where that matters."""
    model, outcome = read.model, read.analysis.outcome
    cluster = model.target.cluster or ""
    if (
        (cluster,) not in read.analysis.groups
        or model.target.level == 2
        or model.fixed_clusters
        or cluster in model.groups
        or model.cluster_mean(outcome)
        or not model.relates_to(outcome)
        or not (outcome in model.columns and read.continuous_outcome)
    ):
        return
    others = dict.fromkeys(f for term in read.terms for f in term if not read.mine(term))
    numbers = tuple(f for f in others if f != outcome and is_numeric(model, f))
    if lost_to_cluster_means(model, outcome, cluster, numbers) > WORTH:
        addition = Addition(frozenset({outcome}), mean=True)
        yield Lack("cluster effects", addition, f"(1 | {cluster})")


def incomplete_in(model: ImputationModel, factor: str) -> list[str]:
    """Columns of a factor that models impute."""
    targets = model.specification.targets
    return [c for c in columns_in(factor, model.columns) if isinstance(targets.get(c), Target)]


def _columns(model: ImputationModel, factors: Factors) -> set[str]:
    return {name for factor in factors for name in columns_in(factor, model.columns)}


def _cluster(model: ImputationModel, analysis: Analysis) -> str:
    """Give the grouping column that cluster means are of."""
    grouping = [group[-1] for group in analysis.groups if group[-1] in model.columns]
    return grouping[0] if grouping else (model.target.cluster or "")


def _constant(model: ImputationModel, column: str, cluster: str) -> bool:
    return column in model.columns and model.is_of_clusters(column, cluster)


def _applies(model: ImputationModel, factors: Factors, cluster: str) -> bool:
    """Whether a slope of a term by cluster can be had in the model of this variable."""
    columns = _columns(model, factors) & model.columns
    if model.target.level == 2 or cluster not in model.columns:
        return False
    return not _constant(model, model.name, cluster) and not all(
        _constant(model, column, cluster) for column in columns
    )
