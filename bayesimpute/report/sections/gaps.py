"""What is missing, where, and how the gaps are connected."""

from functools import partial

import pandas as pd

from bayesimpute.explore.flux import flux
from bayesimpute.explore.summary import missing_summary
from bayesimpute.html import Html, decimals, join, percent, table
from bayesimpute.plots.flux import plot_flux
from bayesimpute.plots.missing_map import plot_miss
from bayesimpute.plots.pattern import plot_pattern
from bayesimpute.report.content import Content, folded, note, paragraph, scroll
from bayesimpute.report.pictures import picture
from bayesimpute.specification.specification import Specification, Target

#: Patterns, and clusters named in a cell, that are shown.
MOST_PATTERNS, MOST_CLUSTERS = 20, 6
#: Variables up to which the flux is drawn.
MOST_DRAWN = 60
#: Patterns that are drawn, and clusters that have a column each beside them.
MOST_ROWS, MOST_COLUMNS = 25, 30


def main_cluster(specification: Specification) -> str | None:
    """Cluster column of most models; None without any."""
    named = [
        target.cluster
        for target in specification.targets.values()
        if isinstance(target, Target) and target.cluster is not None
    ]
    return max(dict.fromkeys(named), key=named.count) if named else None


def gaps(content: Content) -> Html:
    """Count by variable and cluster, patterns, flux."""
    specification = content.run.specification
    given = specification.table.frame
    if not given.isna().to_numpy().any():
        return paragraph("Nothing is missing; the imputed cells were asked for by where=.")
    return join(
        [
            _summary(missing_summary(given, main_cluster(specification))),
            *_patterns(given, main_cluster(specification)),
            *_flux(given),
        ]
    )


def _summary(found: pd.DataFrame) -> Html:
    gone = found[found["n_missing"] > 0]
    clustered = "systematic" in found.columns
    head = ["variable", "missing", "share"]
    if clustered:
        head += ["level", "clusters without any", "clusters with some", "ICC"]
    rows = []
    for name, row in gone.iterrows():
        cells = [str(name), row["n_missing"], percent(row["share_missing"])]
        if clustered:
            cells += [
                row["level"],
                _clusters(row["systematic_clusters"]),
                f"{row['sporadic']:,}",
                decimals(row["icc"], 2),
            ]
        rows.append(cells)
    numeric = (1, 2, 3, 5, 6) if clustered else (1, 2)
    parts = [scroll(table(head, rows, numeric))]
    complete = [str(name) for name in found.index[found["n_missing"] == 0]]
    if complete:
        parts.append(paragraph("Complete: ", ", ".join(complete), "."))
    odd = found[found["inconsistent"] > 0] if clustered else found.iloc[:0]
    for name, row in odd.iterrows():
        where = _clusters(row["inconsistent_clusters"])
        parts.append(note(f"{name} looks like a property of clusters, but differs within {where}."))
    if clustered:
        parts.append(
            note(
                "A variable is systematically missing in a cluster without any of its values, and "
                "sporadically where some are there. Level 2: a property of clusters. ICC: share "
                "of the observed values' variance that lies between clusters."
            )
        )
    return join(parts)


def _clusters(labels: tuple[object, ...]) -> str:
    if len(labels) == 0:
        return "0"
    named = ", ".join(map(str, labels[:MOST_CLUSTERS]))
    return f"{len(labels):,} ({named}{', …' if len(labels) > MOST_CLUSTERS else ''})"


def _patterns(given: pd.DataFrame, cluster: str | None) -> list[Html]:
    """Which variables are missing together: a table of the most frequent patterns."""
    missing = given.isna()
    names = [name for name in given.columns if missing[name].any()]
    counted = missing[names].value_counts()
    rows = []
    most = counted.iloc[:MOST_PATTERNS]
    for gone, times in zip(most.index.to_list(), most, strict=True):
        without = [name for name, absent in zip(names, gone, strict=True) if absent]
        rows.append((", ".join(without) or "nothing", int(times), percent(times / len(given))))
    left = len(counted) - len(rows)
    shown = scroll(table(["missing together", "rows", "share"], rows, (1, 2)))
    more = note(f"{left:,} rarer patterns are left out.") if left else ""
    drawn = [name for name in names if name != cluster][:MOST_DRAWN]
    figure = picture(
        partial(plot_pattern, given, drawn, cluster if _few(given, cluster) else None, MOST_ROWS),
        "Patterns of missing values, one a row of tiles",
    )
    map_of_cells = picture(
        partial(plot_miss, given, cluster, variables=drawn), "All cells, observed or missing"
    )
    return [
        figure,
        folded(f"Patterns: {len(counted):,}", shown, more),
        folded("Map of the cells", map_of_cells),
    ]


def _few(given: pd.DataFrame, cluster: str | None) -> bool:
    """Whether there are clusters, and so few that each has a column in the picture."""
    return cluster is not None and given[cluster].nunique() <= MOST_COLUMNS


def _flux(given: pd.DataFrame) -> list[Html]:
    """How what is missing of a variable meets what is observed of the others."""
    found = flux(given)
    gone = found[found["pobs"] < 1]
    rows = [(str(name), *(decimals(value, 2) for value in row)) for name, row in gone.iterrows()]
    shown = scroll(table(["variable", *found.columns], rows, range(1, found.shape[1] + 1)))
    drawn = []
    if len(gone) > 1 and len(found) <= MOST_DRAWN:
        drawn = [picture(lambda: plot_flux(given), "Influx and outflux of each variable")]
    words = (
        "Influx: how well the missing values of a variable are met by observed values of others; "
        "outflux: how well its observed values meet missing ones of others. Low in both: it has "
        "little to take and little to give."
    )
    return [*drawn, note(words), folded("Flux of the incomplete variables", shown)]
