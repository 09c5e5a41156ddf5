"""Clusters without a single observed value: what is imputed there rests on the other clusters."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Kind
from bayesimpute.diagnose.code import switched
from bayesimpute.diagnose.examined import Examined
from bayesimpute.diagnose.values import FEW_DONORS, FEWEST_CELLS
from bayesimpute.findings import Finding
from bayesimpute.method import Array
from bayesimpute.specification.aliases import NUMBER
from bayesimpute.specification.specification import Target
from bayesimpute.wrappers.base import declared

#: Share of the imputations in which the mean of such a cluster may lie further beyond those of the
#: others than these lie apart. With four others that differ by chance alone it is 7 %.
FAR = 0.1
#: A cluster like the others lies outside the range of n of them with probability 2 / (n + 1); so
#: many times that is worth a word.
MORE_OFTEN = 1.5
#: Share of the imputations in which such a cluster may come from few donors.
PILED_UP = 0.1


@dataclass(frozen=True, eq=False)
class EmptyCluster:
    """One cluster without any value, of a numeric target.

    Attributes
    ----------
    label
        The user's id of it, with the name of the column.
    drawn
        Its imputed values, (m, cell).
    """

    label: str
    drawn: Array


def _empty(run: Examined, target: Target) -> tuple[list[EmptyCluster], list[Array]]:
    """Give the clusters without any value, and the observed values of each of the others."""
    clusters = run.clusters(target.name)
    if clusters is None or target.level == 2 or run.kind(target.name) is not Kind.NUMERIC:
        return [], []
    values = run.specification.table.values[target.name]
    drawn, of_cell = run.drawn(target.name), clusters.codes[run.cells(target.name)]
    found = [
        EmptyCluster(f"{target.cluster} {clusters.labels[j]}", drawn[:, of_cell == j])
        for j in np.flatnonzero(clusters.systematic(values))
        if (of_cell == j).any()
    ]
    return found, _by_cluster(clusters, values) if found else []


def _by_cluster(clusters: ClusterIndex, values: Array) -> list[Array]:
    seen = ~np.isnan(values)
    codes, values = clusters.codes[seen], values[seen]
    return [values[codes == j] for j in np.unique(codes)]


def few_donors(run: Examined) -> Iterator[Finding]:
    """Clusters whose imputed values are copies of hardly any observed ones."""
    for name, target in run.targets.items():
        if not declared(target.method, "donors_by_score", False):
            continue
        empty, others = _empty(run, target)
        for each in empty:
            cells = each.drawn.shape[1]
            if cells < FEWEST_CELLS:
                continue
            different = np.array([len(np.unique(values)) for values in each.drawn])
            usual = float(np.mean([_expected_different(values, cells) for values in others]))
            few = different < FEW_DONORS * usual
            if few.mean() > PILED_UP:
                yield Finding(
                    "warning", name, "a cluster from few donors",
                    f"In {100 * few.mean():.0f} % of the imputations the {cells} values of "
                    f"{each.label}, where none is observed, are {np.median(different[few]):.0f} "
                    f"different ones; as varied as in other clusters, they would be {usual:.0f}.",
                    "Its effects, drawn from the population of clusters, take it beyond nearly all "
                    "rows that are observed, or to where they are few.",
                    f"{switched(target, NUMBER)}  # or\n{_nearer(run, target)}",
                )  # fmt: skip
                break


def _expected_different(values: Array, draws: int) -> float:
    """How many different values are expected among some draws."""
    counts = np.unique(values, return_counts=True)[1]
    return float((1 - (1 - counts / len(values)) ** draws).sum())


def far_out(run: Examined) -> Iterator[Finding]:
    """Clusters whose imputed mean lies far from what is observed in all others."""
    for name, target in run.targets.items():
        empty, others = _empty(run, target)
        if len(others) < 2:
            continue
        means = [float(values.mean()) for values in others]
        low, high = min(means), max(means)
        for each in empty:
            mean = each.drawn.mean(axis=1)
            outside = float(((mean < low) | (mean > high)).mean())
            far = float(((mean < 2 * low - high) | (mean > 2 * high - low)).mean())
            like_others = 2 / (len(others) + 1)
            if far > FAR or outside > MORE_OFTEN * like_others:
                severity = "warning" if far > FAR else "info"
                yield Finding(
                    severity, name, "a cluster's mean far out",
                    f"The mean of {each.label}, where none is observed, is between "
                    f"{mean.min():.4g} and {mean.max():.4g}, those of the {len(others)} clusters "
                    f"with values between {low:.4g} and {high:.4g}: {100 * outside:.0f} % of the "
                    f"imputations lie beyond (of clusters like the others "
                    f"{100 * like_others:.0f} %), {100 * far:.0f} % by more than that whole range.",
                    "How far a cluster without any value may be from the others is what the SDs "
                    "between clusters say, of which few clusters leave much to their priors; "
                    "slopes by cluster add to it wherever its predictors differ.",
                    _nearer(run, target),
                )  # fmt: skip
                break


def _nearer(run: Examined, target: Target) -> str:
    """Give common slopes where there are others, and tighter priors of the SDs between clusters."""
    name, known = target.name, run.specification.table.variables
    slopes = [term.label for term in target.terms if term.random]
    code = []
    if slopes and set(slopes) <= set(known):
        code.append(f"predictors.loc[{name!r}, {slopes!r}] = 1  # slopes common to all clusters")
    spread = float(f"{run.observed(name).std() / 4:.2g}")
    if "sd_intercept" in run.history.parameters.get(name, {}):
        code.append(f"priors[{name!r}] = {{'sd_intercept': pm.HalfNormal.dist({spread:g})}}"
                    "  # or what is known")  # fmt: skip
    return "  # or\n".join(code) or f"imp.priors({name!r})  # what is assumed of the SDs"
