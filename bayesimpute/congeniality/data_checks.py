"""Columns of an analysis that no model can make right, and clusters that a model ignores."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayesimpute.congeniality.analysis_formula import Analysis
from bayesimpute.congeniality.imputation_model import ImputationModel
from bayesimpute.data.table import Kind
from bayesimpute.findings import Finding
from bayesimpute.roles import Role
from bayesimpute.specification.aliases import MATCHING, MATCHING_OF_CLUSTERS
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.specification.spelling import quoted


def unknown_names(analysis: Analysis, specification: Specification) -> Iterator[Finding]:
    """Names of the formula that are no column."""
    for name in analysis.names:
        if name not in specification.table.variables and name.startswith("latent_mean("):
            wanted = analysis.formula.replace(quoted(name), name)
            cluster = specification.cluster
            given = "" if cluster is None else f"cluster={cluster!r}, "
            yield Finding(
                "error",
                name,
                "a latent mean that is not imputed",
                f"{name!r} is in the formula and has no values.",
                "No chained equation has the mean that the values of a cluster are around; it is "
                "imputed as a variable of clusters by the analysis (Lüdtke et al. 2008, Psychol "
                "Methods 13: 203).",
                f"imp = bi.impute(df, {given}analysis={wanted!r})",
            )
        elif name not in specification.table.variables:
            yield Finding(
                "error",
                name,
                "not in the imputed data",
                f"{name!r} is in the formula and no column of the data.",
                "What the imputation models have not seen is unrelated to what they impute.",
                f"Add {name!r} to the data before bi.impute; if it is computed from incomplete "
                "columns, with a method that says how, such as '~ I(weight / height**2)'.",
            )


def left_missing(analysis: Analysis, specification: Specification) -> Iterator[Finding]:
    """Incomplete columns of the analysis without a method."""
    table = specification.table
    for name in analysis.names:
        if name in table.variables and name not in specification.targets:
            missing = int(table.missing(name).sum())
            if missing:
                yield Finding(
                    "error",
                    name,
                    "incomplete and not imputed",
                    f"{missing:,} of {table.n_rows:,} values of {name!r} stay missing.",
                    "The analysis would lose these rows, imputed values of the others included.",
                    f"method[{name!r}] = {MATCHING!r}",
                )


def stale_means(analysis: Analysis, specification: Specification) -> Iterator[Finding]:
    """Columns that hold the cluster means of what was observed of an incomplete variable."""
    table = specification.table
    groups = dict.fromkeys(name for group in analysis.groups for name in group)
    for cluster in groups:
        if cluster not in table.variables or table.missing(cluster).any():
            continue
        clusters = table.clusters(cluster)
        for name in analysis.names:
            if name not in table.variables or table.variables[name].kind is not Kind.NUMERIC:
                continue
            values = table.values[name]
            if name in groups or not clusters.is_level2(values):
                continue
            for other, target in specification.targets.items():
                column = table.values[other]
                if (
                    other == name
                    or not isinstance(target, Target)
                    or table.variables[other].kind is not Kind.NUMERIC
                    or clusters.is_level2(column)
                ):
                    continue
                means = pd.Series(column).groupby(clusters.codes).transform("mean").to_numpy()
                both = np.isfinite(means) & np.isfinite(values)
                if both.sum() >= 3 and np.allclose(means[both], values[both], rtol=1e-9):
                    yield Finding(
                        "error",
                        name,
                        "cluster mean of the observed values only",
                        f"{name!r} is the mean of the observed {other!r} by {cluster!r}.",
                        "It ignores the imputed values, so that its coefficient is that of another "
                        "variable (Grund, Lüdtke & Robitzsch 2018, Organ Res Methods 21: 111).",
                        f"Leave {name!r} out of the data, write cluster_mean({other}) in formulas= "
                        f"(code 3 or 4), and compute it in each completed data set: "
                        f"imp.fit(lambda d: model(d.assign({_keyword(name)}="
                        f"d.groupby({cluster!r})[{other!r}].transform('mean'))))",
                    )


def _keyword(name: str) -> str:
    return name if name.isidentifier() else "cluster_mean"


def row_by_row(model: ImputationModel, analysis: Analysis) -> Finding | None:
    """Find a variable of the analysis' clusters that gets one value a row."""
    for cluster in (name for group in analysis.groups for name in group):
        if (
            cluster in model.columns
            and model.target.level == 1
            and model.is_of_clusters(model.name, cluster)
        ):
            return Finding(
                "error",
                model.name,
                "a variable of clusters imputed row by row",
                f"{model.name!r} never varies within {cluster!r} where it is observed.",
                "Rows of one cluster get different values: its relations between clusters are "
                "drawn towards 0 and its standard error is too small.",
                f"method[{model.name!r}] = {MATCHING_OF_CLUSTERS!r}  # with cluster={cluster!r}",
            )
    return None


def without_clusters(model: ImputationModel, analysis: Analysis) -> Iterator[tuple[str, Finding]]:
    """Find groupings of the analysis that a model has no effects of.

    Yields
    ------
    cluster, finding
        Cluster to add to the model, ``""`` if none can be; the code that adds it is still to be
        put behind the finding's advice.
    """
    name, own = model.name, model.target.cluster
    groups = [kept for group in analysis.groups
              if (kept := [c for c in group if c in model.columns and c != name])]  # fmt: skip
    lacking = [group for group in groups if not any(model.clustered(c) for c in group)]
    for group in lacking:
        cluster = group[-1]
        if own in group:
            yield (
                own,
                Finding(
                    "error",
                    name,
                    "no random intercept",
                    f"The model of {name!r} has slopes by {own!r} and no intercept.",
                    "Imputed rows of a cluster share no level.",
                    "",
                ),
            )
        elif own is None and len(lacking) == len(groups) and group is lacking[0]:
            yield (
                cluster,
                Finding(
                    "error",
                    name,
                    "clusters are ignored",
                    f"The analysis has effects of {cluster!r}, the model of {name!r} has none.",
                    "Imputed rows of a cluster share nothing: the variance between clusters and "
                    "standard errors come out too small (Lüdtke, Robitzsch & Grund 2017, Psychol "
                    "Methods 22: 141; Drechsler 2015, J Educ Behav Stat 40: 69).",
                    f"bi.impute(..., cluster={cluster!r})  # for all models; or for this one\n",
                ),
            )
        else:
            yield (
                "",
                Finding(
                    "warning",
                    name,
                    "a grouping of the analysis is not in its model",
                    f"The model of {name!r} has clusters of {own or groups[0][-1]!r}, the analysis "
                    f"also of {cluster!r}.",
                    "Imputed rows of one of its clusters share nothing, and its variance comes out "
                    "too small.",
                    f"predictors.loc[{name!r}, {cluster!r}] = {int(Role.CLUSTER)}  # effects of "
                    "several groupings",
                ),
            )
