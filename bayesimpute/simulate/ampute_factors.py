"""The clusters of ampute: of one column, or of several, nested in each other or crossed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.data.table import ClusterIndex, Kind, Table
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.simulate.ampute_chances import check_share, proportions, systematic_clusters
from bayesimpute.simulate.ampute_patterns import unknown
from bayesimpute.wording import did_you_mean, listed


@dataclass(frozen=True, eq=False)
class Factors:
    """Columns that group rows.

    Attributes
    ----------
    by_name
        Column -> clusters of the rows, in the order given; empty without clusters.
    """

    by_name: Mapping[str, ClusterIndex]

    @classmethod
    def of(cls, table: Table, cluster: str | Sequence[str] | None) -> "Factors":
        """Give clusters their numbers.

        Raises
        ------
        SpecificationError
            If there is no such column, or one is named twice.
        DataError
            If nothing is left that could go missing.
        """
        names = [] if cluster is None else [cluster] if isinstance(cluster, str) else list(cluster)
        for name in names:
            if name not in table.variables:
                hint = did_you_mean(name, table.variables)
                raise SpecificationError(
                    f"cluster={name!r} is no column of the data: {listed(table.variables)}.{hint}"
                )
        if len(set(names)) < len(names):
            raise SpecificationError(f"cluster={names!r} names a column twice.")
        if names and len(table.variables) == len(names):
            raise DataError("Besides the cluster column there is no column that could go missing.")
        return cls({name: table.clusters(name) for name in names})

    @property
    def first(self) -> ClusterIndex | None:
        """Clusters of the first column, None without."""
        return next(iter(self.by_name.values()), None)

    def __len__(self) -> int:
        return len(self.by_name)

    def levels(self, table: Table, names: Iterable[str]) -> dict[str, str]:
        """Give variables that never vary within clusters, and the column whose clusters these are.

        That of the fewest clusters, where there are several.
        """
        found = {}
        for name in names:
            values = table.values[name]
            if table.variables[name].kind is Kind.OTHER:  # its encoding says only what is missing
                values = pd.factorize(table.frame[name].iloc[table.rows])[0].astype(np.float64)
            constant = [f for f, clusters in self.by_name.items() if clusters.is_level2(values)]
            if constant:
                found[name] = min(constant, key=lambda factor: self.by_name[factor].n)
        return found

    def units(
        self, levels: Mapping[str, str], patterns: Sequence[Sequence[str]]
    ) -> tuple[str | None, ...]:
        """Give the column whose whole clusters lose each pattern's variables; None for rows.

        Raises
        ------
        SpecificationError
            If patterns go by clusters that cut each other: those of one would be torn by the other.
        """
        found: list[str | None] = []
        for names in patterns:
            of = {levels[name] for name in names if name in levels}
            found.append(min(of, key=lambda factor: self.by_name[factor].n) if of else None)
        used = sorted(
            {factor for names in patterns for name in names if (factor := levels.get(name))},
            key=lambda factor: self.by_name[factor].n,
        )
        for k, upper in enumerate(used):
            for lower in used[k + 1 :]:
                if not self.by_name[lower].is_level2(self.by_name[upper].codes.astype(float)):
                    raise SpecificationError(
                        f"patterns take away variables of {upper!r} and of {lower!r}, whose "
                        "clusters cross, so that not all rows of a cluster would lose them; make "
                        "the data incomplete by one after the other."
                    )
        return tuple(found)

    def finest_first(self) -> list[str]:
        """Columns in the order of their numbers of clusters, most first."""
        return sorted(self.by_name, key=lambda factor: -self.by_name[factor].n)

    def share(self, prop: Any) -> float | npt.NDArray[np.float64]:
        """Proportion of all, or of each cluster (cluster,).

        Raises
        ------
        SpecificationError
            If it is none.
        """
        if not isinstance(prop, Mapping):
            return check_share("prop", prop)
        if self.first is None:
            raise SpecificationError("prop has a share for each cluster; say which with cluster=.")
        if len(self) > 1:
            raise SpecificationError(
                f"prop has a share for each cluster, and there are those of {listed(self.by_name)};"
                " give one number, or cluster= one column."
            )
        return proportions(prop, self.first)

    def prop_sd(self, given: Any, share: Any) -> dict[str, float]:
        """SD of the effects on chances of each column's clusters, those of 0 left out.

        Raises
        ------
        SpecificationError
            Unless chances can vary so.
        """
        if isinstance(given, Mapping):
            for factor in given:
                if factor not in self.by_name:
                    raise unknown("prop_sd names", factor, list(self.by_name))
            sds = dict(given)
        else:
            sds = dict.fromkeys(self.by_name, given)
        for factor, value in (sds or {"": given}).items():
            where = f"prop_sd[{factor!r}]" if isinstance(given, Mapping) else "prop_sd"
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not 0 <= float(value) < np.inf:
                raise SpecificationError(f"{where}={value!r} must be a number from 0.")
            if value != 0 and not self.by_name:
                raise SpecificationError("prop_sd is about clusters; say which with cluster=.")
            if value != 0 and not isinstance(share, float):
                raise SpecificationError(
                    "prop gives each cluster its share, so that nothing is left for prop_sd; leave "
                    "one out."
                )
        return {factor: float(sds[factor]) for factor in self.by_name if sds.get(factor)}

    def systematic(
        self, variable: str, given: Any, rng: np.random.Generator
    ) -> dict[str, npt.NDArray[np.int64]]:
        """Clusters that a variable is removed from: column -> their numbers.

        Raises
        ------
        SpecificationError
            If there are none such, or it is not said of which column they are.
        """
        if not self.by_name:
            raise SpecificationError("systematic is about clusters; say which with cluster=.")
        where = f"systematic['{variable}']"
        if len(self) == 1 and not isinstance(given, Mapping):
            given = {next(iter(self.by_name)): given}
        if not isinstance(given, Mapping):
            example = {next(iter(self.by_name)): 0.2}
            raise SpecificationError(
                f"{where}={given!r}: clusters are those of {listed(self.by_name)}; say of which, "
                f"as in {example}."
            )
        found = {}
        for factor, wanted in given.items():
            if factor not in self.by_name:
                raise unknown(f"{where} names", factor, list(self.by_name))
            label = variable if len(self) == 1 else f"{variable}'] of '{factor}"
            found[factor] = systematic_clusters(label, wanted, self.by_name[factor], rng)
        return found

    def labels(self, removed: Mapping[str, npt.NDArray[np.int64]]) -> Any:
        """Labels of clusters; of several columns, by column."""
        found = {
            factor: tuple(self.by_name[factor].labels[k] for k in chosen)
            for factor, chosen in removed.items()
        }
        return found if len(self) > 1 else next(iter(found.values()))

    def rows(self, removed: Mapping[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.bool_]:
        """Rows of clusters, (row,) bool."""
        each = [np.isin(self.by_name[factor].codes, chosen) for factor, chosen in removed.items()]
        return np.asarray(np.any(each, axis=0))
