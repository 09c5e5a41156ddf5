"""The design a method is calibrated on, and its textbook model run forward."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import CountOrNone, Level, Within, check_arguments
from bayesimpute.data.table import Kind
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.method import Array, Design, Grouping
from bayesimpute.registry import resolve
from bayesimpute.roles import Role
from bayesimpute.sampling.arithmetic import without_compiling
from bayesimpute.sampling.generic import reseed
from bayesimpute.specification.specification import Specification
from bayesimpute.specification.specify import specify

type Pattern = Literal["sporadic", "systematic", "level 2"]
type Effects = Literal[
    "slope", "independent slope", "intercept", "none", "nested", "crossed", "nested intercepts",
    "crossed intercepts",
]  # fmt: skip
type KindName = Literal["numeric", "nominal", "ordinal", "binary"]
KINDS = (Kind.NUMERIC, Kind.NOMINAL, Kind.ORDINAL, Kind.BINARY)  # the first a method takes

TARGET, CLUSTER, GROUP = "y", "cluster", "group"
CLUSTERS, CLUSTERS_AT_LEVEL_2, NESTED_CLUSTERS = 8, 30, 18
CLUSTERS_OF_A_GROUP = 3
#: Patterns of missing values that are tried for one that leaves each cluster a value.
MOST_TRIES = 1000
UNOBSERVED = 4  # one in so many clusters has no observed value where missing is systematic

Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scenario:
    """What data a method is calibrated on; arguments as in :func:`bayesimpute.simulate.sbc`."""

    pattern: Pattern = "sporadic"
    effects: Effects = "slope"
    clusters: Annotated[int, Within(2)] | None = None
    rows: Annotated[int, Within(2)] = 12
    predictors: CountOrNone = 1
    missing: Level = 0.3
    kind: KindName | None = None
    categories: Annotated[int, Within(3)] = 3
    typical: tuple[float, ...] = ()
    priors: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        return html.fields(self)

    def __post_init__(self) -> None:
        check_arguments(Scenario, vars(self))
        if self.pattern == "systematic" and self.effects == "none":
            raise SpecificationError(
                "pattern='systematic' leaves whole clusters unobserved, and effects='none' has no "
                "clusters; choose effects='intercept' or 'slope'."
            )
        slope = self.effects != "none" and "intercept" not in self.effects
        if slope and self.predictors == 0 and self.pattern != "level 2":
            raise SpecificationError(
                f"effects={self.effects!r} needs a predictor whose slope varies; give "
                "predictors=1, or effects='intercept'."
            )

    @property
    def n_clusters(self) -> int:
        """Number of clusters, with its default."""
        if self.clusters is not None:
            return self.clusters
        if self.pattern == "level 2":
            return CLUSTERS_AT_LEVEL_2
        return NESTED_CLUSTERS if self.effects.startswith("nested") else CLUSTERS

    def specification(self, method: Any, rng: np.random.Generator) -> Specification:
        """Specify the method on the reference frame, as ``bi.impute`` would.

        Raises
        ------
        DataError, SpecificationError
            If it cannot impute such data, or arguments do not fit it.
        """
        frame = self._frame(self._kind(method), rng)
        matrix = pd.DataFrame(int(Role.NONE), index=frame.columns, columns=frame.columns)
        names = [name for name in frame.columns if name not in (TARGET, CLUSTER, GROUP)]
        matrix.loc[TARGET, names] = int(Role.FIXED)
        if CLUSTER in frame:
            matrix.loc[TARGET, CLUSTER] = int(Role.CLUSTER)
            if self.effects == "slope" and self.pattern != "level 2":
                matrix.loc[TARGET, names[0]] = int(Role.RANDOM)
            if GROUP in frame:
                matrix.loc[TARGET, GROUP] = int(Role.CLUSTER)
        where = pd.DataFrame(False, index=frame.index, columns=frame.columns)
        where[TARGET] = True
        return specify(
            frame,
            cluster=[name for name in (CLUSTER, GROUP) if name in frame] or None,
            method={TARGET: method},
            predictors=matrix,
            formulas=self._formulas(names),
            priors={TARGET: dict(self.priors)} if self.priors else None,
            model_options={TARGET: dict(self.options)} if self.options else None,
            where=where,
        )

    def _formulas(self, predictors: Sequence[str]) -> dict[str, str] | None:
        """Write the formula that a matrix cannot say, of independent effects or two groupings."""
        if self.pattern == "level 2" or self.effects in ("slope", "intercept", "none"):
            return None
        if self.effects in ("nested intercepts", "crossed intercepts"):
            terms = [f"{TARGET} ~ 1", *predictors, f"(1 | {CLUSTER})", f"(1 | {GROUP})"]
            return {TARGET: " + ".join(terms)}
        *others, last = predictors
        together = " + ".join(["1", *others])
        random = {
            "independent slope": f"({together} | {CLUSTER}) + (0 + {last} | {CLUSTER})",
            "nested": f"(1 | {CLUSTER}) + (1 + {predictors[0]} | {GROUP})",
            "crossed": f"(1 + {predictors[0]} | {CLUSTER}) + (1 | {GROUP})",
        }
        return {TARGET: f"{TARGET} ~ {' + '.join(predictors)} + {random[self.effects]}"}

    def hide(self, design: Design, rng: np.random.Generator) -> Rows:
        """Choose the rows whose value goes missing, (row,): independent of all values.

        Clusters without any value are those that are meant to be, so that all replicates have the
        same quantities.

        Raises
        ------
        SpecificationError
            If so much is missing that others are without one nearly always.
        """
        unobserved = np.zeros(len(design.fit), dtype=bool)
        if self.pattern == "systematic":
            factors: list[Design | Grouping] = [design, *design.groupings]
            for each in factors:  # the last clusters, one in four
                unobserved |= each.cluster >= each.n_clusters - max(
                    1, each.n_clusters // UNOBSERVED
                )
        meant = np.bincount(design.cluster[~unobserved], minlength=design.n_clusters) > 0
        for _ in range(MOST_TRIES):
            gone = unobserved | (rng.random(len(unobserved)) < self.missing)
            sporadic = gone & ~unobserved
            seen = np.bincount(design.cluster[~gone], minlength=design.n_clusters) > 0
            if sporadic.any() and (~gone).sum() >= 2 and (seen == meant).all():
                return np.asarray(gone)
        raise SpecificationError(
            f"sbc: with missing={self.missing:g} and {self.rows} rows a cluster, some cluster is "
            "without any value nearly always; give more rows, or a smaller share."
        )

    def _kind(self, method: Any) -> Kind:
        if self.kind is not None:
            return next(kind for kind in KINDS if str(kind.value) == self.kind)
        from bayesimpute.specification.aliases import look_up

        chosen = look_up(method, TARGET).method if isinstance(method, str) else method
        kinds = getattr(resolve(chosen), "kinds", frozenset(Kind))
        return next((kind for kind in KINDS if kind in kinds), Kind.NUMERIC)

    def _frame(self, kind: Kind, rng: np.random.Generator) -> pd.DataFrame:
        level2 = self.pattern == "level 2"
        # at level 2, two rows a cluster that agree make one row of the design
        each = 2 if level2 else self.rows
        cluster = np.repeat(np.arange(self.n_clusters), each)
        of = cluster if level2 else np.arange(len(cluster))
        n = int(of[-1]) + 1
        # spread over the typical values, none of them left out by chance
        values = self._placeholder(kind, n)[rng.permutation(n)][of]
        frame = pd.DataFrame({TARGET: values})
        if kind is not Kind.NUMERIC:
            labels = pd.CategoricalDtype(
                [f"c{k}" for k in range(2 if kind is Kind.BINARY else self.categories)],
                ordered=kind is Kind.ORDINAL,
            )
            frame[TARGET] = pd.Categorical.from_codes(values.astype(int), dtype=labels)
        if level2 or self.effects != "none":
            frame[CLUSTER] = cluster
        if self.effects.startswith("nested"):
            frame[GROUP] = cluster // CLUSTERS_OF_A_GROUP
        if self.effects.startswith("crossed"):
            frame[GROUP] = np.arange(len(cluster)) % each
        for k in range(self.predictors):
            # every second one has two values, as a sex or a treatment has
            column = rng.normal(size=n) if k % 2 == 0 else rng.permutation(np.arange(n) % 2) * 1.0
            frame[f"x{k + 1}"] = column[of]
        return frame

    def _placeholder(self, kind: Kind, n: int) -> npt.NDArray[np.float64]:
        share = (np.arange(n) + 0.5) / n
        if self.typical:
            # values that are given, so that whole numbers stay whole
            return np.quantile(np.array(self.typical, dtype=float), share, method="inverted_cdf")
        if kind is Kind.NUMERIC:
            return np.array([NormalDist().inv_cdf(p) for p in share])
        return np.arange(n, dtype=np.float64) % (2 if kind is Kind.BINARY else self.categories)


class Forward:
    """Joint draws of parameters and data, compiled once.

    Parameters
    ----------
    model
        Textbook model with one observed variable, (row,).
    labels
        The kernel's parameters and the labels of their elements; each is a variable of the model
        with the same name.
    rows
        Rows of the design.

    Raises
    ------
    SpecificationError
        If model and kernel do not agree on the parameters, or there is no single observed
        variable with a value for each row.
    """

    def __init__(self, model: Any, labels: Mapping[str, tuple[str, ...]], rows: int) -> None:
        import pymc as pm

        if len(model.observed_RVs) != 1:
            raise SpecificationError(
                f"sbc: the method's model has {len(model.observed_RVs)} observed variables, and "
                "one is needed to simulate from; calibrate the methods it is made of."
            )
        unknown = [name for name in labels if name not in model.named_vars]
        if unknown:
            raise SpecificationError(
                f"sbc: the kernel reports {', '.join(map(repr, unknown))}, which the method's "
                "model() does not have; give free or deterministic variables these names."
            )
        observed = model.observed_RVs[0]
        size = model.rvs_to_values[observed].eval().shape
        if size != (rows,):
            raise SpecificationError(
                f"sbc: the method's model observes {size} values and the design has {rows} rows; "
                "it leaves some to another model, or to none; calibrate the method inside."
            )
        self._labels = labels
        drawn = [*(model[name] for name in labels), observed]
        # a few hundred calls do not repay seconds of compiling
        with without_compiling() as mode:
            self._function = pm.compile([], drawn, random_seed=0, mode=mode)

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], Array]:
        """Draw parameters, (element,) each, and the data, (row,).

        Raises
        ------
        SamplingError
            If a value of the data is not finite.
        """
        reseed(self._function, rng)
        *drawn, y = self._function()
        y = np.asarray(y, dtype=float)
        if not np.isfinite(y).all():
            raise SamplingError(
                "sbc: the priors draw data that are not finite; give tighter ones by priors=."
            )
        return {
            name: elements(value, labels, name)
            for (name, labels), value in zip(self._labels.items(), drawn, strict=True)
        }, y


def elements(value: Any, labels: tuple[str, ...], name: str) -> Array:
    """Elements of a parameter in the order of its labels, (element,).

    Raises
    ------
    SpecificationError
        If it has another number of them.
    """
    array = np.asarray(value, dtype=float)
    wanted = len(labels) or 1
    if array.ndim == 2 and array.size != wanted and array.shape[0] == array.shape[1]:
        if not np.triu(array, 1).any():
            array = array @ array.T  # PyMC's LKJCorr is the Cholesky factor of the correlations
        array = array[np.tril_indices(len(array), -1)]  # a kernel names what is below the diagonal
        # and of that only what is not zero because the effects are independent
        array = array if array.size == wanted else array[array != 0]
    if array.size != wanted:
        raise SpecificationError(
            f"sbc: parameter {name!r} has {array.size} element(s) in model() and {wanted} label(s) "
            "in the kernel."
        )
    return array.ravel()
