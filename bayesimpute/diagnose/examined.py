"""A finished run as its checks see it, and the code of their advice."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.data.table import ClusterIndex, Kind
from bayesimpute.design import DesignBuilder
from bayesimpute.diagnostics import FEWEST_DRAWS, diagnostics, quantities
from bayesimpute.engine.chain import ChainState
from bayesimpute.method import Array, Design
from bayesimpute.result.restored import without_models
from bayesimpute.result.run import Run
from bayesimpute.specification.aliases import MATCHING, MATCHING_OF_CLUSTERS
from bayesimpute.specification.specification import Target
from bayesimpute.wrappers.base import declared, innermost


@dataclass(frozen=True, eq=False, repr=False)
class Examined(Run):
    """A run, and what several checks work out from it."""

    @classmethod
    def of(cls, run: Run) -> "Examined":
        """Take a run apart into what its checks ask for."""
        return cls(**{each.name: getattr(run, each.name) for each in fields(Run)})

    @property
    def discard(self) -> int:
        """First iterations that are left out: half of a long run, a quarter of a short one.

        Chains start spread out on purpose; what is asked is whether they have met since.
        """
        share = self.iterations // 2 if self.iterations >= 20 else self.iterations // 4
        return max(0, min(share, self.iterations - FEWEST_DRAWS))

    def longer(self, extra: int) -> str:
        """Code for so many more iterations; of runs that were bound, each goes on by itself."""
        if self.history.further_seeds:
            return f"one.extend({extra}).bind(two.extend({extra}))  # the runs that were bound"
        return f"imp = imp.extend({extra})"

    def with_imputations(self, m: int) -> str:
        """Code for so many imputations; what was bound or made elsewhere is made again."""
        if self.history.further_seeds or without_models(self.specification):
            return f"bi.impute(..., m={m})"
        return f"imp = imp.more({m})"

    @cached_property
    def quantities(self) -> dict[tuple[str, str], Array]:
        """(variable, quantity) -> (m, iterations kept), the rows of ``imp.diagnostics()``."""
        return dict(quantities(self.datatree, self.discard))

    @cached_property
    def diagnostics(self) -> pd.DataFrame:
        """R-hat, ESS and so on of the iterations that are kept."""
        return diagnostics(self.datatree, self.discard)

    @cached_property
    def targets(self) -> Mapping[str, Target]:
        """Variables imputed by a model."""
        return {n: t for n, t in self.specification.targets.items() if isinstance(t, Target)}

    def observed(self, name: str) -> Array:
        """Observed values, codes of categories."""
        values = self.specification.table.values[name]
        return values[~np.isnan(values)]

    def drawn(self, name: str) -> Array:
        """Imputed values of the cells that were missing, (m, cell)."""
        cells = np.isnan(self.specification.table.values[name])
        where = self.specification.where[name]
        return self.history.imputed[name][:, cells[where]]

    def cells(self, name: str) -> npt.NDArray[np.int64]:
        """Rows of these cells, (cell,)."""
        missing = np.isnan(self.specification.table.values[name])
        return np.flatnonzero(missing & self.specification.where[name])

    def kind(self, name: str) -> Kind:
        """Kind of a variable as its model sees it."""
        target = self.targets.get(name)
        own = self.specification.table.variables[name].kind
        return own if target is None or target.kind is None else target.kind

    def clusters(self, name: str) -> ClusterIndex | None:
        """Clusters of a target's model."""
        cluster = self.targets[name].cluster
        return None if cluster is None else self.specification.table.clusters(cluster)

    @cached_property
    def completed(self) -> Mapping[str, Array]:
        """Data as the models of the first chain see them, variable -> (row,)."""
        return ChainState.from_bytes(self.specification, self.history.states[0]).values

    def designs(self) -> Iterator[tuple[str, Design]]:
        """Design of each model with predictors, on the first chain's completed data."""
        for name, target in self.targets.items():
            if declared(target.method, "uses_predictors", True) and target.terms:
                builder = DesignBuilder.of(self.specification, target)
                yield name, builder.build(self.completed)


def with_role(run: Examined, name: str, columns: str | list[str], role: int, words: str) -> str:
    """Give code for the role of predictors in a model; words where only a formula has its terms."""
    known, target = run.specification.table.variables, run.targets.get(name)
    some = [columns] if isinstance(columns, str) else columns
    if (target is not None and target.needs_formula(known)) or not set(some) <= set(known):
        return words
    return f"predictors.loc[{name!r}, {columns!r}] = {role}  # or in its formula, where it has one"


def matching(target: Target) -> str:
    """Predictive mean matching at the level of a target."""
    return MATCHING_OF_CLUSTERS if target.level == 2 else MATCHING


def switched(target: Target, method: str, options: dict[str, Any] | None = None) -> str:
    """Give code for another method, without options and priors that only the one so far knows."""
    name, lines = target.name, [f"method[{target.name!r}] = {method!r}"]
    if options:
        lines.append(f"model_options[{name!r}] = {options}")
    elif target.options and method != innermost(target.method):
        lines.append(f"model_options.pop({name!r}, None)")
    if target.priors and method != innermost(target.method):
        lines.append(f"priors.pop({name!r}, None)")
    return "; ".join(lines)
