"""The frozen specification: everything that is decided before the first draw.

With it: the missing cells that follow from known ones, by what one specification is told from
another (its fingerprint), and what is true of a predictor in several models, said once.
"""

import re
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.content import PYTHON, described, digest, fields_that_say_something, other_python
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.events import Event
from bayesimpute.interchange import Origin
from bayesimpute.specification.expressions import evaluate, names_in
from bayesimpute.wording import did_you_mean, listed


def fill_known(
    values: Mapping[str, np.ndarray], expressions: Mapping[str, Sequence[str]]
) -> Mapping[str, np.ndarray]:
    """Fill cells that expressions give, until nothing more follows.

    Parameters
    ----------
    values
        Variable -> (row,), NaN where missing; not written to.
    expressions
        Variable -> what gives it where its inputs are known.

    Returns
    -------
    dict
        The columns, the same arrays where nothing follows.

    Examples
    --------
    >>> import numpy as np
    >>> columns = {"kg": np.array([np.nan, 2.0]), "g": np.array([1000.0, np.nan])}
    >>> fill_known(columns, {"kg": ("g / 1000",)})["kg"].tolist()
    [1.0, 2.0]
    """
    filled = dict(values)
    more = bool(expressions)
    while more:
        more = False
        for name, texts in expressions.items():
            for text in texts:
                gaps = np.isnan(filled[name])
                if not gaps.any():
                    break
                result = evaluate(text, filled)
                follows = gaps & np.isfinite(result)
                if follows.any():
                    filled[name] = np.where(follows, result, filled[name])
                    more = True
    return filled


class Log(list[Event]):
    """Decisions that the user did not take, in their order."""

    def info(self, variable: str, action: str, message: str) -> None:
        """Note one that is good to know."""
        self.append(Event("info", "specification", variable, action, message))

    def warning(self, variable: str, action: str, message: str) -> None:
        """Note one that calls for a look."""
        self.append(Event("warning", "specification", variable, action, message))


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

    def read_columns(self, known: Container[str]) -> tuple[str, ...]:
        """Columns its factors read, a factor that is a known column being that."""
        each = ((f,) if f in known else names_in(f) for f in self.factors)
        return tuple(name for names in each for name in names)

    @property
    def parts(self) -> tuple[str, ...]:
        """Factors as they were written, with labels of categories; columns may have a colon."""
        if len(self.factors) == 1:
            return (self.label,)
        parts = tuple(re.split(r":(?![^(]*\))", self.label))  # none of those in brackets
        return parts if len(parts) == len(self.factors) else self.factors

    def and_also(self, other: "Term") -> "Term":
        """Join with what is said elsewhere of the same term."""
        return replace(
            self,
            fixed=self.fixed or other.fixed,
            random=self.random or other.random,
            cluster_mean=self.cluster_mean or other.cluster_mean,
        )


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

    def needs_formula(self, columns: Container[str]) -> bool:
        """Whether a row of the predictor matrix cannot say what the terms are."""
        plain = all(term.factors == (term.label,) and term.label in columns for term in self.terms)
        effects = all(term.fixed and term.random_part == 0 for term in self.terms)
        means = {term.label for term in self.terms if term.cluster_mean}
        alike = all(
            each.intercept and not each.slopes and set(each.means) <= means
            for each in self.groupings
        )
        return not (plain and effects and alike and self.random_intercept)


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


def models_of(targets: Mapping[str, Target | Passive]) -> dict[str, Target]:
    """Keep what is imputed by a model."""
    return {name: target for name, target in targets.items() if isinstance(target, Target)}


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


def sources_first(
    sources: Mapping[str, Collection[str]], refusal: Callable[[list[str]], str]
) -> list[str]:
    """Order names, what each depends on before it, as near to the order given as can be.

    Parameters
    ----------
    sources
        Name -> names it depends on, all of them among the keys.
    refusal
        Says what is wrong, of names that depend on each other in a circle.

    Examples
    --------
    >>> sources_first({"c": {"b", "a"}, "b": (), "a": ()}, str)
    ['b', 'a', 'c']
    """
    position = {name: k for k, name in enumerate(sources)}
    ordered: list[str] = []
    path: list[str] = []

    def follow(name: str) -> None:
        if name in ordered:
            return
        if name in path:
            raise SpecificationError(refusal([*path[path.index(name) :], name]))
        path.append(name)
        own = sources[name]  # sets have another order in every process
        for source in sorted(own, key=position.__getitem__) if isinstance(own, Set) else own:
            follow(source)
        path.pop()
        ordered.append(name)

    for name in sources:
        follow(name)
    return ordered


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
        found = named.pop() if len(named) == 1 else None
        return found if found in self.table.variables else None  # ids may be of two columns

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


#: What a field of the specification is called, if not by its own name.
WORDS: Mapping[str, str] = {"table": "data", "passive_order": "order of passive variables"}

#: The same for a field of a target.
WORDS_OF_TARGET: Mapping[str, str] = {
    "terms": "formulas or predictors (terms)",
    "random_intercept": "formulas (random intercept)",
    "options": "model options",
}

#: Texts about decisions, which themselves are in the other fields; what completed data are given.
SAYS_NOTHING = ("events", "origin")


@dataclass(frozen=True)
class Fingerprint:
    """Digest of each part of what decides a run's numbers, by the words for it.

    Attributes
    ----------
    parts
        Words -> digest; what is at its default is left out.
    python
        Version of Python, without which functions cannot be compared.
    """

    parts: Mapping[str, str]
    python: str = field(default=PYTHON)

    def differences(self, other: "Fingerprint") -> list[str]:
        """Words for the parts that differ."""
        words = dict.fromkeys([*self.parts, *other.parts])
        return [each for each in words if self.parts.get(each) != other.parts.get(each)]

    def beside(self, parts: Mapping[str, Any]) -> "Fingerprint":
        """Give this with further parts: words -> what is to be the same."""
        more = {words: digest(described(held))[:16] for words, held in parts.items()}
        return Fingerprint({**self.parts, **more}, self.python)

    def why_not_compared(self) -> str:
        """Sentence on functions of another Python, empty for this one."""
        return other_python(self.python)


def fingerprint(specification: Specification) -> Fingerprint:
    """Take the fingerprint of a specification.

    It goes over the fields of the data classes themselves, so that none can be forgotten.

    Parameters
    ----------
    specification
        Before the run: what functions hold may change while they are called.

    Returns
    -------
    Fingerprint
        Equal for specifications that give the same numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesimpute.specification.specify import specify
    >>> df = pd.DataFrame({"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, None]})
    >>> one, other = (fingerprint(specify(df, ignore=rows)) for rows in (None, df["x"] > 3))
    >>> other.differences(one)
    ['ignore']
    """
    parts = dict(_parts(specification))
    return Fingerprint({words: digest(text)[:16] for words, text in parts.items()})


def words_of(argument: str, target: str, key: str) -> str:
    """Words for the part that an argument of ``bi.open`` gives again."""
    if argument == "monitor":
        return f"monitor {target!r}"
    name = {"methods": "method", "model_options": "options"}.get(argument, argument)
    return _words(name, target) + (f": {key}" if key else "")


def _parts(specification: Specification) -> Iterator[tuple[str, str]]:
    for name, text in fields_that_say_something(specification).items():
        if name == "targets":
            yield "imputed columns", described(list(specification.targets))
            for target in specification.targets.values():
                yield from _parts_of_target(target)
        elif name == "monitors":
            for monitor, function in specification.monitors.items():
                yield f"monitor {monitor!r}", described(function)
        elif name not in SAYS_NOTHING:
            yield WORDS.get(name, name), text


def _parts_of_target(target: Target | Passive) -> Iterator[tuple[str, str]]:
    if isinstance(target, Passive):
        yield _words("method", target.name), described(target)
        return
    for name, text in fields_that_say_something(target).items():
        if name in ("priors", "options"):  # by name, so that a file's gaps are filled one by one
            for key, held in getattr(target, name).items():
                yield f"{_words(name, target.name)}: {key}", described(held)
        else:
            yield _words(name, target.name), text


def _words(name: str, target: str) -> str:
    return f"{WORDS_OF_TARGET.get(name, name)} of {target!r}"


#: Actions whose reason is a predictor's or the clusters', not the target's.
SHARED = (
    "predictor left out",
    "predictor dropped",
    "too many categories",
    "slope made fixed",
    "cluster mean dropped",
    "cluster added",
    "clusters of one row",
)


def one_a_fact(events: Sequence[Event]) -> tuple[Event, ...]:
    """Join events that differ in the target only; the joint one names all targets.

    Examples
    --------
    >>> first = Event("info", "specification", "x", "predictor left out", "'id' for 'x'")
    >>> [event.message for event in one_a_fact([first, replace(first, variable="y",
    ...                                                        message="'id' for 'y'")])]
    ["'id' for 'x', 'y'"]
    """
    groups: dict[tuple[str, ...], list[Event]] = {}
    for position, event in enumerate(events):
        text = event.message.replace(repr(event.variable), "\0")
        shared = event.action in SHARED and event.variable and "\0" in text
        key = (event.action, text) if shared else (str(position),)
        groups.setdefault(key, []).append(event)
    return tuple(
        replace(
            group[0],
            message=key[1].replace(
                "\0", listed(dict.fromkeys(e.variable for e in group), len(group))
            ),
        )
        if len(group) > 1
        else group[0]
        for key, group in groups.items()
    )


def nearest(name: Any, known: Mapping[str, Any]) -> str:
    """Sentence with the name nearest to a mistyped one, or else all there are."""
    return did_you_mean(name, known) or f" There are {', '.join(known)}."
