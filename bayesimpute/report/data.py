"""What was given: the data, what is missing of them, and what predicts what."""

from functools import partial
from itertools import compress

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, Table
from bayesimpute.explore.patterns import flux, missing_summary
from bayesimpute.html import Html, decimals, join, number, percent, table
from bayesimpute.plots.missing import plot_flux, plot_miss, plot_pattern
from bayesimpute.plots.predictors import MEANINGS, plot_predictors
from bayesimpute.report.content import (
    Content,
    counted,
    folded,
    grid,
    groupings_of,
    note,
    paragraph,
    picture,
    scroll,
)
from bayesimpute.roles import Role
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wording import p_value

#: Columns shown unfolded.
MOST_OPEN = 30
#: Categories named in a cell.
MOST_CATEGORIES = 5

WORDS = {
    Kind.NUMERIC: "number",
    Kind.BINARY: "two categories",
    Kind.NOMINAL: "unordered categories",
    Kind.ORDINAL: "ordered categories",
    Kind.OTHER: "neither number nor category",
}


def data(content: Content) -> Html:
    """Size of the data, their clusters, and a row for each column."""
    specification = content.run.specification
    given = specification.table
    n, columns = content.given.shape
    gone = content.given.isna()
    complete = int((~gone.any(axis=1)).sum())
    parts = [
        paragraph(
            f"{n:,} rows and {columns:,} columns. {int(gone.to_numpy().sum()):,} of "
            f"{gone.size:,} cells are missing ({percent(float(gone.to_numpy().mean()))}); "
            f"{complete:,} rows are complete ({percent(complete / n)})."
        )
    ]
    clusters = groupings_of(specification)
    for name in clusters:
        sizes = given.clusters(name).sizes
        parts.append(
            paragraph(
                f"{len(sizes):,} clusters by {name}, of {int(sizes.min()):,} to "
                f"{int(sizes.max()):,} rows (median {number(float(np.median(sizes)))})."
            )
        )
    if specification.ignore.any():
        parts.append(
            paragraph(f"No model is fitted to {int(specification.ignore.sum()):,} rows (ignore=).")
        )
    kinds = {name: WORDS[variable.kind] for name, variable in given.variables.items()}
    kinds |= {name: "cluster" for name in given.columns_of(clusters)}
    kinds |= {name: "computed" for name in kinds if name not in content.given}
    rows = [_column(given, name, kind) for name, kind in kinds.items()]
    head = ["column", "type", "dtype", "observed", "missing", "observed values"]
    shown = grid(head, rows, (3, 4))
    if len(rows) > MOST_OPEN:
        shown = folded(f"All {len(rows)} columns", shown)
    return join([*parts, shown, note("Numbers: mean (SD), smallest to largest.")])


def _column(given: Table, name: str, kind: str) -> tuple[object, ...]:
    column = given.frame[name]
    known = int(column.notna().sum())
    share = (len(column) - known) / len(column)
    gone = f"{len(column) - known:,} ({percent(share)})" if share else "0"
    text = f"{column.nunique():,} different" if kind == "cluster" else _values(given, name)
    return name, kind, str(column.dtype), known, gone, text


def _values(given: Table, name: str) -> str:
    variable, values = given.variables[name], given.values[name]
    if variable.kind is Kind.OTHER:
        try:
            return f"{given.frame[name].nunique():,} different"
        except TypeError:  # lists and the like cannot be told apart
            return "possibly different"
    seen = values[~np.isnan(values)]
    if len(seen) == 0:
        return "none"
    if not variable.categories:
        spread = f" ({number(seen.std(ddof=1), 3)})" if len(seen) > 1 else ""
        low, high = number(seen.min(), 3), number(seen.max(), 3)
        return f"{number(seen.mean(), 3)}{spread}, {low} to {high}"
    counts = np.bincount(seen.astype(np.int64), minlength=len(variable.categories))
    order = list(range(len(counts)))
    if len(order) > MOST_CATEGORIES:
        order = sorted(order, key=lambda k: -counts[k])[: MOST_CATEGORIES - 1]
    named = [f"{variable.categories[k]} {percent(counts[k] / len(seen))}" for k in order]
    rest = len(counts) - len(order)
    return ", ".join([*named, *([f"{rest} more"] if rest else [])])


#: Patterns, and clusters named in a cell, that are shown.
MOST_PATTERNS, MOST_CLUSTERS = 20, 6
#: Variables up to which the flux is drawn.
MOST_FLUX = 60
#: Patterns that are drawn, and clusters that have a column each beside them.
MOST_PATTERN_ROWS, MOST_CLUSTER_COLUMNS = 25, 30


def main_cluster(specification: Specification) -> str | None:
    """Cluster column of most models; None without any.

    Of classes whose ids count anew in each school, which no column tells apart, the schools.
    """
    named = [
        name
        for target in specification.targets.values()
        if isinstance(target, Target)
        for name in target.clusters
        if name in specification.table.variables
    ]
    return max(dict.fromkeys(named), key=named.count) if named else None


def gaps(content: Content) -> Html:
    """Count by variable and cluster, patterns, flux."""
    specification = content.run.specification
    given = content.given
    if not given.isna().to_numpy().any():
        return paragraph("Nothing is missing; the imputed cells were asked for by where=.")
    cluster = main_cluster(specification)
    summary = _summary(missing_summary(given, cluster))
    return join([summary, *_patterns(given, cluster), *_tests(content), *_flux(given)])


def _summary(found: pd.DataFrame) -> Html:
    gone = found[found["n_missing"] > 0]
    clustered = "systematic" in found.columns
    head, numeric = ["variable", "missing", "share"], [1, 2]
    rows = [[str(k), row["n_missing"], percent(row["share_missing"])] for k, row in gone.iterrows()]
    if clustered:
        head += ["level", "clusters without any", "clusters with some", "ICC"]
        numeric += [3, 5, 6]
        for cells, (_, row) in zip(rows, gone.iterrows(), strict=True):
            without = _named_clusters(row["systematic_clusters"])
            cells += [row["level"], without, f"{row['sporadic']:,}", decimals(row["icc"], 2)]
    parts = [grid(head, rows, numeric)]
    complete = [str(name) for name in found.index[found["n_missing"] == 0]]
    if complete:
        parts.append(paragraph("Complete: ", ", ".join(complete), "."))
    odd = found[found["inconsistent"] > 0] if clustered else found.iloc[:0]
    for name, row in odd.iterrows():
        where = _named_clusters(row["inconsistent_clusters"])
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


def _named_clusters(labels: tuple[object, ...]) -> str:
    if len(labels) == 0:
        return "0"
    named = ", ".join(map(str, labels[:MOST_CLUSTERS]))
    return f"{len(labels):,} ({named}{', …' if len(labels) > MOST_CLUSTERS else ''})"


def _patterns(given: pd.DataFrame, cluster: str | None) -> list[Html]:
    """Which variables are missing together: a table of the most frequent patterns."""
    missing = given.isna()
    names = [name for name in given.columns if missing[name].any()]
    times_of = missing[names].value_counts()
    most = times_of.iloc[:MOST_PATTERNS]
    rows = [
        (", ".join(compress(names, gone)) or "nothing", int(times), percent(times / len(given)))
        for gone, times in zip(most.index.to_list(), most, strict=True)
    ]
    left = len(times_of) - len(rows)
    shown = grid(["missing together", "rows", "share"], rows)
    more = note(f"{left:,} rarer patterns are left out.") if left else ""
    drawn = [name for name in names if name != cluster][:MOST_FLUX]
    # clusters have a column each in the picture, if they are few
    few = cluster is not None and given[cluster].nunique() <= MOST_CLUSTER_COLUMNS
    figure = picture(
        partial(plot_pattern, given, drawn, cluster if few else None, MOST_PATTERN_ROWS),
        "Patterns of missing values, one a row of tiles",
        f"{len(times_of):,} patterns; "
        + "; ".join(
            f"{without} missing in {times:,} rows ({share})" for without, times, share in rows[:5]
        ),
    )
    map_of_cells = picture(
        partial(plot_miss, given, cluster, variables=drawn),
        "All cells, observed or missing",
        "; ".join(f"{name} {percent(float(missing[name].mean()))} missing" for name in drawn[:12]),
    )
    return [
        figure,
        folded(f"Patterns: {len(times_of):,}", shown, more),
        folded("Map of the cells", map_of_cells),
    ]


#: Comparisons shown, those with the smallest p first.
MOST_COMPARISONS = 200


def _tests(content: Content) -> list[Html]:
    """Missingness against the other variables."""
    found = content.missing_tests
    if found is None:
        return [note("Missingness against covariates: bi.missing_tests(df) has the many pairs.")]
    allowing = [name for name in found.columns if name.startswith("p_cluster")]
    p = allowing[0] if allowing else "p_value"
    ordered = found.sort_values(p, kind="stable").head(MOST_COMPARISONS)
    head = ["missing", "compared", "test", "mean, observed", "mean, missing", "difference in SDs",
            "Cramér's V", "p"]  # fmt: skip
    for name in allowing:
        group = name.partition("|")[2]
        head.append(f"p, clusters of {group}" if group else "p, clusters")
    rows = [
        (row["missing"], row["variable"], row["test"],
         *(number(row[name], 3) for name in ("mean_observed", "mean_missing")),
         *(decimals(row[name], 2) for name in ("std_difference", "cramers_v")),
         *("–" if np.isnan(row[p]) else p_value(row[p], 3) for p in ("p_value", *allowing)))
        for _, row in ordered.iterrows()
    ]  # fmt: skip
    low, tested = int((found[p] < LOW).sum()), int(found[p].notna().sum())
    left = len(found) - len(rows)
    words = (
        f"Rows in which a variable is missing against rows in which it is observed: {low} of "
        f"{tested} comparisons have p < {LOW}, where {number(LOW * tested, 2)} would be "
        "usual by chance. A difference speaks against values missing completely at random."
    )
    return [
        paragraph(words),
        folded(
            f"Missingness against covariates: {counted(len(rows), 'comparison')}",
            grid(head, rows, range(3, len(head))),
            note(f"{left} with larger p are left out.") if left else "",
        ),
    ]


#: Below it a p value is counted.
LOW = 0.05


def _flux(given: pd.DataFrame) -> list[Html]:
    """How what is missing of a variable meets what is observed of the others."""
    found = flux(given)
    gone = found[found["pobs"] < 1]
    rows = [(str(name), *(decimals(value, 2) for value in row)) for name, row in gone.iterrows()]
    shown = grid(["variable", *found.columns], rows)
    drawn = []
    if len(gone) > 1 and len(found) <= MOST_FLUX:
        seen = [
            f"{name} influx {decimals(row['influx'], 2)}, outflux {decimals(row['outflux'], 2)}"
            for name, row in gone.head(12).iterrows()
        ]
        words = "Influx and outflux of each variable"
        drawn = [picture(lambda: plot_flux(given), words, "; ".join(seen))]
    words = (
        "Influx: how well the missing values of a variable are met by observed values of others; "
        "outflux: how well its observed values meet missing ones of others. Low in both: it has "
        "little to take and little to give."
    )
    return [*drawn, note(words), folded("Flux of the incomplete variables", shown)]


#: Columns up to which the matrix is drawn.
MOST_MATRIX = 60


def predictors(content: Content) -> Html:
    """Matrix as it was used: a row a target."""
    specification = content.run.specification
    targets = [name for name, target in specification.targets.items() if isinstance(target, Target)]
    matrix = content.run.predictors.reindex(index=targets, fill_value=0).astype(int)
    used = sorted({int(code) for code in matrix.to_numpy().ravel()})
    legend = join([f"{_signed(code)}: {MEANINGS[Role(code)]}" for code in used], "; ")
    rows = [
        (name, *("·" if code == 0 else _signed(int(code)) for code in codes))
        for name, codes in zip(targets, matrix.to_numpy(), strict=True)
    ]
    shown = scroll(table(["target", *matrix.columns], rows, range(1, matrix.shape[1] + 1), None,
                         "codes"))  # fmt: skip
    shown = folded(f"Codes of {len(rows)} targets and {matrix.shape[1]} columns", shown)
    drawn = ""
    if matrix.shape[1] <= MOST_MATRIX:
        seen = [
            f"{name} by {int((row != 0).sum())} columns: {', '.join(row.index[row != 0])}"
            for name, row in matrix.head(8).iterrows()
        ]
        draw = partial(plot_predictors, matrix, content.run.method)
        drawn = picture(draw, "What predicts what", "; ".join(seen))
    return join(
        [
            paragraph(
                "What predicts what, after terms were left out that a model cannot use (see "
                "Events). Interactions and functions of a column count for the column; the "
                "equations have them in full."
            ),
            drawn,
            shown,
            note("Codes, as in mice and miceadds. ", legend, "."),
        ]
    )


def _signed(code: int) -> str:
    return str(code).replace("-", "−")
