"""The frozen specification: everything that is decided before the first draw."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, Table
from bayesimpute.events import Event
from bayesimpute.interchange import Origin
from bayesimpute.specification.expressions import names_in
from bayesimpute.specification.known import fill_known


@dataclass(frozen=True)
class Term:
    """One term of a conditional model.

    Attributes
    ----------
    label
        How the term is written: ``"sex"``, ``"sex:texp"``, ``"log(age)"``.
    factors
        Expressions whose product is the term; each is a column name or a call of numeric
        functions on columns. A categorical column expands to indicator columns.
    fixed, random, cluster_mean
        Whether the term has a population coefficient, a coefficient varying by cluster, and
        whether its cluster mean (recomputed at every visit) is a further fixed predictor.
    equation
        ``"both"``, ``"selection"`` or ``"outcome"``; only selection models have two equations.
    random_part
        Which random part of the formula a coefficient varying by cluster is in: coefficients of
        different parts are independent, as in lme4. The random intercept is in part 0.
    """

    label: str
    factors: tuple[str, ...]
    fixed: bool = True
    random: bool = False
    cluster_mean: bool = False
    equation: str = "both"
    random_part: int = 0

    @property
    def columns(self) -> set[str]:
        """Columns its factors read, and the factors themselves, which may have columns' names."""
        return {name for factor in self.factors for name in (factor, *names_in(factor))}


@dataclass(frozen=True)
class Grouping:
    """Clusters by which coefficients of a model vary.

    Attributes
    ----------
    name
        Column of cluster ids, or columns joined by ``:``.
    intercept
        Whether the intercept varies.
    slopes
        Label of each term whose coefficient varies, with the number of its random part: effects
        of different parts are independent.
    means
        Labels of terms whose mean in each cluster is a further fixed predictor.
    """

    name: str
    intercept: bool = True
    slopes: tuple[tuple[str, int], ...] = ()
    means: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """One incomplete variable and the conditional model that imputes it.

    Attributes
    ----------
    name
        Column of the data.
    method
        Canonical method name (``"normal"``), or the user's own method object or model builder.
    cluster
        Cluster column of this model, None for a single-level model.
    level
        1: one value a row; 2: one value a cluster (``2lonly.*``).
    terms
        Predictors, in column order. The intercept, and with a cluster the random intercept, are
        always there and are not listed (unless `random_intercept` is False).
    priors
        PyMC distributions by parameter name, replacing the defaults of the method.
    options
        Keyword options of the method (``donors``, ``heteroscedastic``, ``transitions``, …).
    kind
        Kind a numeric target is treated as, where its method imputes categories: its distinct
        observed numbers are the categories. None: the variable's own kind.
    post
        Called on freshly drawn values, before they are stored: ``post(values, data, rng)``.
    block
        Targets imputed together with this one, itself among them, in the order of the model; the
        first is the one in the visit sequence. Empty for a target by itself.
    known_from
        Expressions that give its missing cells where what they read is known: such cells are not
        drawn, and the model learns from them.
    around
        Column whose value is added to the linear predictor as it is: the latent mean of the
        variable in each cluster, itself a target. The model is of the difference.
    groupings
        Further groupings, whose effects are independent of those by `cluster`, nested or crossed.
        At level 2, where `cluster` is what has a value, those of the clusters.
    """

    name: str
    method: Any
    cluster: str | None
    level: int
    terms: tuple[Term, ...]
    random_intercept: bool = True
    priors: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    post: Callable[..., np.ndarray] | None = None
    kind: Kind | None = None
    block: tuple[str, ...] = ()
    known_from: tuple[str, ...] = ()
    around: str = ""
    groupings: tuple[Grouping, ...] = ()

    @property
    def effects(self) -> tuple[Grouping, ...]:
        """All groupings with effects; the first is that of `random` of the terms at level 1."""
        if self.level == 2 or self.cluster is None:
            return self.groupings
        slopes = tuple((term.label, term.random_part) for term in self.terms if term.random)
        means = tuple(term.label for term in self.terms if term.cluster_mean)
        return (Grouping(self.cluster, self.random_intercept, slopes, means), *self.groupings)

    @property
    def clusters(self) -> tuple[str, ...]:
        """Names of all groupings: of `cluster` and of the further ones."""
        return (*filter(None, [self.cluster]), *(each.name for each in self.groupings))


@dataclass(frozen=True)
class Passive:
    """A variable computed from others: ``"~ I(Weight / Height**2)"``.

    Attributes
    ----------
    name, expression
        What is computed, and how.
    inputs
        Columns whose changes make it change. Empty if every cell follows from observed ones.
    found
        Whether the data showed that it is exact, without the user asking for it.
    """

    name: str
    expression: str
    inputs: tuple[str, ...]
    found: bool = False


def computed_from(name: str, targets: Mapping[str, Target | Passive]) -> set[str]:
    """Columns that a computed one depends on, through others that are computed.

    Empty for a column that is not computed.

    Examples
    --------
    >>> targets = {
    ...     "bmi": Passive("bmi", "kg / area", ("kg", "area")),
    ...     "area": Passive("area", "m ** 2", ("m",)),
    ... }
    >>> sorted(computed_from("bmi", targets)), computed_from("m", targets)
    (['area', 'kg', 'm'], set())
    """
    found: set[str] = set()
    queue = [name]
    while queue:
        target = targets.get(queue.pop())
        new = set(target.inputs) - found if isinstance(target, Passive) else set()
        found |= new
        queue += new
    return found


@dataclass(frozen=True)
class Analysed:
    """An analysis that the imputations are made for.

    Attributes
    ----------
    formula
        As it was given.
    outcome
        Column that it explains.
    family
        Method of its model.
    event
        Column that says whether a time ends with the event, of ``Surv(time, event)``.
    """

    formula: str
    outcome: str
    family: str
    event: str | None = None


@dataclass(frozen=True, eq=False)
class Specification:
    """Data, models and order of one imputation run; nothing in it changes while it runs.

    Attributes
    ----------
    table
        The data, encoded, rows in canonical order.
    targets
        What to do with each incomplete (or over-imputed) variable, by name.
    visit_sequence
        Names in the order they are visited in one iteration; may repeat. Passive variables are
        not in it: they follow each of their inputs, in the order of `passive_order`.
    passive_order
        Passive variables, inputs before what depends on them.
    where
        Cells to impute: variable -> bool (row,), canonical row order.
    ignore
        Rows (canonical order) no model is fitted to and no donor is taken from.
    methods, predictors
        What the user would see: method name by column; the effective predictor matrix.
    events
        Automatic decisions taken while specifying.
    monitors
        Name -> function of a completed frame, evaluated at every iteration.
    analyses
        What will be fitted to the completed data.
    live
        None for chained equations. Else all models are one joint distribution, and these are the
        missing cells that stand in models of others, variable -> (row,): drawn from their model
        times those, and learnt from as observed ones are.
    origin
        What the user's frame is, if none of pandas: completed data are given as such.
    """

    table: Table
    targets: Mapping[str, Target | Passive]
    visit_sequence: tuple[str, ...]
    passive_order: tuple[str, ...]
    where: Mapping[str, np.ndarray]
    ignore: np.ndarray
    methods: Mapping[str, str]
    predictors: pd.DataFrame
    events: tuple[Event, ...] = ()
    monitors: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    analyses: tuple["Analysed", ...] = ()
    live: Mapping[str, np.ndarray] | None = None
    origin: Origin | None = None

    def live_rows(self, name: str) -> np.ndarray:
        """Give the live cells of a variable, (row,)."""
        live = self.live or {}
        return live[name] if name in live else np.zeros(self.table.n_rows, dtype=bool)

    @property
    def cluster(self) -> str | None:
        """Column of cluster ids, if all two-level models have the same."""
        named = {getattr(target, "cluster", None) for target in self.targets.values()} - {None}
        return named.pop() if len(named) == 1 else None

    @cached_property
    def known(self) -> Mapping[str, np.ndarray]:
        """The data with the missing cells that identities give: variable -> (row,)."""
        expressions: dict[str, tuple[str, ...]] = {}
        for name, target in self.targets.items():
            if isinstance(target, Target):
                if target.known_from:
                    expressions[name] = target.known_from
            elif target.found or not target.inputs:
                expressions[name] = (target.expression,)
        return fill_known(self.table.values, expressions)
