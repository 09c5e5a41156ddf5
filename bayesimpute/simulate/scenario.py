"""The design a method is calibrated on: a reference frame, and which of its values go missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute import html
from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Design
from bayesimpute.registry import resolve
from bayesimpute.roles import Role
from bayesimpute.specification.specification import Specification
from bayesimpute.specification.specify import specify
from bayesimpute.wording import did_you_mean, listed

PATTERNS = ("sporadic", "systematic", "level 2")
EFFECTS = (
    "slope", "independent slope", "intercept", "none", "nested", "crossed", "nested intercepts",
    "crossed intercepts",
)  # fmt: skip
KINDS = (Kind.NUMERIC, Kind.NOMINAL, Kind.ORDINAL, Kind.BINARY)  # the first a method takes

TARGET, CLUSTER, GROUP = "y", "cluster", "group"
CLUSTERS, CLUSTERS_AT_LEVEL_2, NESTED_CLUSTERS = 8, 30, 18
CLUSTERS_OF_A_GROUP = 3
UNOBSERVED = 4  # one in so many clusters has no observed value where missing is systematic

Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scenario:
    """What data a method is calibrated on; arguments as in :func:`bayesimpute.simulate.sbc`."""

    pattern: str = "sporadic"
    effects: str = "slope"
    clusters: int | None = None
    rows: int = 12
    predictors: int = 1
    missing: float = 0.3
    kind: str | None = None
    categories: int = 3
    typical: tuple[float, ...] = ()
    priors: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        return html.fields(self)

    def __post_init__(self) -> None:
        for name, known in {"pattern": PATTERNS, "effects": EFFECTS}.items():
            value = getattr(self, name)
            if value not in known:
                hint = did_you_mean(str(value), known)
                raise SpecificationError(f"{name}={value!r} must be one of {listed(known)}.{hint}")
        if self.kind is not None and self.kind not in [str(kind.value) for kind in KINDS]:
            kinds = listed(str(kind.value) for kind in KINDS)
            raise SpecificationError(f"kind={self.kind!r} must be one of {kinds}.")
        if not isinstance(self.missing, Real) or not 0 < self.missing < 1:
            raise SpecificationError(f"missing={self.missing!r} must be a share between 0 and 1.")
        least = {"rows": 2, "predictors": 0, "categories": 3}
        if self.clusters is not None:
            least["clusters"] = 2
        for name, smallest in least.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < smallest:
                raise SpecificationError(
                    f"{name}={value!r} must be a whole number from {smallest}."
                )
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
            return {TARGET: " + ".join([f"{TARGET} ~ 1", *predictors, f"(1 | {CLUSTER})",
                                        f"(1 | {GROUP})"])}  # fmt: skip
        *others, last = predictors
        together = " + ".join(["1", *others])
        random = {
            "independent slope": f"({together} | {CLUSTER}) + (0 + {last} | {CLUSTER})",
            "nested": f"(1 | {CLUSTER}) + (1 + {predictors[0]} | {GROUP})",
            "crossed": f"(1 + {predictors[0]} | {CLUSTER}) + (1 | {GROUP})",
        }
        return {TARGET: f"{TARGET} ~ {' + '.join(predictors)} + {random[self.effects]}"}

    def hide(self, design: Design, rng: np.random.Generator) -> Rows:
        """Choose the rows whose value goes missing, (row,): independent of all values."""
        unobserved = np.zeros(len(design.fit), dtype=bool)
        if self.pattern == "systematic":
            unobserved = _last(design.cluster, design.n_clusters)
            for each in design.groupings:
                unobserved |= _last(each.cluster, each.n_clusters)
        while True:
            gone = unobserved | (rng.random(len(unobserved)) < self.missing)
            sporadic = gone & ~unobserved
            if sporadic.any() and (~gone).sum() >= 2:
                return np.asarray(gone)

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
            return np.asarray(_quantiles(self.typical, share))
        if kind is Kind.NUMERIC:
            return np.array([NormalDist().inv_cdf(p) for p in share])
        return np.arange(n, dtype=np.float64) % (2 if kind is Kind.BINARY else self.categories)


def _last(codes: npt.NDArray[np.int64], clusters: int) -> Rows:
    """Rows of the last clusters, one in four."""
    return np.asarray(codes >= clusters - max(1, clusters // UNOBSERVED))


def _quantiles(values: Sequence[float], share: npt.NDArray[np.float64]) -> Any:
    """Quantiles that are values given, so that whole numbers stay whole."""
    return np.quantile(np.asarray(values, dtype=float), share, method="inverted_cdf")
