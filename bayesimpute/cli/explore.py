"""``bayesimpute explore``: a table before it is imputed."""

import argparse
from typing import TYPE_CHECKING

from bayesimpute.cli.impute import read_data
from bayesimpute.errors import SpecificationError
from bayesimpute.tables.notes import notes_on
from bayesimpute.wording import did_you_mean, visible

if TYPE_CHECKING:
    import pandas as pd

#: Patterns that are shown; a table may have thousands.
MOST_PATTERNS = 20


def run_explore(options: argparse.Namespace) -> None:
    """Print what is missing, how it hangs together, and which methods suit."""
    said: list[str] = []
    data, cluster = read_data(vars(options), said), options.cluster
    if cluster is not None and cluster not in data.columns:
        raise SpecificationError(
            f"--cluster {cluster}: there is no such column.{did_you_mean(cluster, data.columns)}"
        )
    for note in (*said, *notes_on(data)):
        print(f"Note: {note}\n")
    for title, text in sections(data, cluster):
        print(visible(f"{title}\n{'-' * len(title)}\n{text}\n"))
    print(
        "Here and for bayesimpute impute: --ordered COLUMN=LOW,…,HIGH gives categories an order; "
        "--category COLUMN makes categories of numbers."
    )


def sections(data: "pd.DataFrame", cluster: str | None) -> list[tuple[str, str]]:
    """Title and text of each part."""
    from bayesimpute.explore.patterns import flux, missing_pattern, missing_summary
    from bayesimpute.specification.suggest import suggest_methods

    gaps = int(data.isna().sum().sum())
    complete = int(data.notna().all(axis=1).sum())
    size = (
        f"{len(data):,} rows and {data.shape[1]} columns; {gaps:,} of {data.size:,} cells are "
        f"missing; {complete:,} rows are complete."
    )
    # which clusters they are would make lines of any length
    counts = missing_summary(data, cluster=cluster).filter(regex="(?<!_clusters)$").round(3)
    found = [("Table", size), ("What is missing", _text(counts))]
    if gaps:
        pattern = missing_pattern(data)
        shown = _text(pattern.iloc[:MOST_PATTERNS])
        left = len(pattern) - MOST_PATTERNS
        found += [
            ("Patterns", shown + (f"\n… and {left} more" if left > 0 else "")),
            ("Influx and outflux", _text(flux(data).round(3))),
            ("Suggested methods", str(suggest_methods(data, cluster=cluster))),
        ]
    return found


def _text(frame: "pd.DataFrame") -> str:
    return frame.to_string()
