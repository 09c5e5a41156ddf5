"""What an amputation gives: the incomplete data, and how they came about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayesimpute import html
from bayesimpute.wording import visible


@dataclass(frozen=True, eq=False)
class Amputed:
    """Data made incomplete by :func:`bayesimpute.ampute`; all rows in the order of the data.

    Attributes
    ----------
    incomplete
        The data with gaps. Integers become floats, and booleans pandas' nullable ``boolean``, in
        columns with gaps; all other dtypes and all categories stay.
    complete
        A copy of the data.
    pattern
        Number of the pattern by which each row lost values; 0 if it lost none by a pattern.
    patterns
        One row a pattern, numbered from 1, one column a variable: 1 where it stays observed. As
        ``patterns=`` takes it; without rows if there were none.
    candidate
        Number of the pattern each row was a candidate of; 0 without patterns.
    probability
        Chance of each row to lose the values of its candidate pattern.
    scores
        Weighted sum score of each row in its candidate pattern, before it is standardised among
        the candidates (mean of the cluster where candidates are whole clusters). NaN without
        weights.
    systematic
        Variable -> labels of the clusters it was removed from.
    selection
        Variable -> frame with ``residual`` e, ``error`` u, ``latent`` and ``probability`` of each
        row, as :class:`bayesimpute.simulate.Selection` describes them.
    seed
        With which the same call gives the same data.
    """

    incomplete: pd.DataFrame
    complete: pd.DataFrame
    pattern: "pd.Series[Any]"
    patterns: pd.DataFrame
    candidate: "pd.Series[Any]"
    probability: "pd.Series[Any]"
    scores: "pd.Series[Any]"
    systematic: Mapping[str, tuple[Any, ...]]
    selection: Mapping[str, pd.DataFrame]
    seed: int

    def __repr__(self) -> str:
        """Count what is missing: in all, by variable, by pattern."""
        counts = (each.to_string() for each in self._counts())
        return visible("\n\n".join([self._heading(), *counts]))

    def _repr_html_(self) -> str:
        return html.plain(self._heading(), *(html.frame(each) for each in self._counts()))

    def _heading(self) -> str:
        n = len(self.incomplete)
        rows = int(self.incomplete.isna().any(axis=1).sum())
        return f"Amputed: {rows} of {n} rows incomplete ({rows / n:.1%}), seed {self.seed}"

    def _counts(self) -> list[pd.DataFrame]:
        """Missing values by variable, then rows by pattern."""
        gone = self.incomplete.isna()
        parts = []
        with_gaps = [name for name in gone.columns if gone[name].any()]
        if with_gaps:
            table = pd.DataFrame(
                {
                    "missing": [int(gone[name].sum()) for name in with_gaps],
                    "share": [f"{gone[name].mean():.1%}" for name in with_gaps],
                },
                index=pd.Index(with_gaps, name="variable"),
            )
            if self.systematic:
                table["clusters without"] = [
                    len(self.systematic.get(name, ())) for name in with_gaps
                ]
            parts.append(table)
        if len(self.patterns):
            by_pattern = pd.DataFrame(
                {
                    "candidates": self.candidate.value_counts(),
                    "amputed": self.pattern.value_counts(),
                    "mean chance": self.probability.groupby(self.candidate.to_numpy()).mean(),
                },
                index=self.patterns.index,
            )
            shown = by_pattern[["candidates", "amputed"]].fillna(0).astype(int)
            shown["mean chance"] = by_pattern["mean chance"].map("{:.3f}".format)
            shown["without"] = [
                ", ".join(row.index[row == 0]) for _, row in self.patterns.iterrows()
            ]
            parts.append(shown)
        return parts
