"""Clusters of the analysis that a model ignores, and variables of clusters drawn row by row."""

from collections.abc import Iterator

from bayesimpute.congeniality.analysis_formula import Analysis
from bayesimpute.congeniality.imputation_model import ImputationModel
from bayesimpute.findings import Finding
from bayesimpute.roles import Role
from bayesimpute.specification.aliases import MATCHING_OF_CLUSTERS


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
