"""Several analyses side by side, as a table."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.analysis import Fits
from bayesimpute.arguments import checked
from bayesimpute.errors import ImputationWarning, SpecificationError
from bayesimpute.pooling.pooled import Pooled
from bayesimpute.pooling.term_names import position_of
from bayesimpute.wording import did_you_mean, listed, visible

#: Columns of each analysis.
QUANTITIES = ("estimate", "std_error", "conf_low", "conf_high", "df", "fmi")
#: A table from elsewhere has at least these.
NEEDED = ("estimate", "conf_low", "conf_high")


class Comparison(pd.DataFrame):
    """Analyses side by side; prints as estimate, (standard error) and [interval].

    An ordinary frame otherwise: whatever is taken from it or computed with it is a plain one.
    """

    def as_text(self) -> pd.DataFrame:
        """Give each analysis a column of text: two significant digits of the standard error.

        Returns
        -------
        pandas.DataFrame
            Two rows a term: estimate with standard error, and the interval below.
        """
        rows: dict[tuple[str, str], dict[str, str]] = {}
        labels = list(dict.fromkeys(self.columns.get_level_values(0)))
        for term in self.index:
            each = {label: self.loc[term, label] for label in labels}
            digits = _digits(each.values())
            rows[str(term), "estimate (SE)"] = {k: _estimate(v, digits) for k, v in each.items()}
            rows[str(term), "interval"] = {k: _interval(v, digits) for k, v in each.items()}
        text = pd.DataFrame(list(rows.values()), pd.MultiIndex.from_tuples(rows), labels)
        return text.rename_axis(columns=None, index=["term", ""])

    def __repr__(self) -> str:
        if self.empty or self.columns.nlevels != 2:
            return super().__repr__()
        return visible(self.as_text().to_string())

    def _repr_html_(self) -> str | None:
        if self.empty or self.columns.nlevels != 2:
            return super()._repr_html_()  # type: ignore[misc]
        return html.printed(self.as_text())


@checked
def compare_estimates(
    analyses: Mapping[str, Any], terms: Sequence[str] | None = None
) -> Comparison:
    """Put several analyses side by side, such as complete cases and two imputations.

    Parameters
    ----------
    analyses
        Label -> :class:`~bayesimpute.Pooled`, the fits of ``imp.fit`` (pooled here by Rubin's
        rules; fits of one data set stay as they are), or a frame with estimate, conf_low and
        conf_high, in rows of the index or of a column ``term``.
    terms
        Which, in which order; by default all, in the order in which they are met.

    Returns
    -------
    pandas.DataFrame
        Index ``term``; columns in two levels, the analysis and then estimate, std_error,
        conf_low, conf_high, df and fmi (fraction of missing information). NaN where an analysis
        does not say. It prints as estimates with (standard error) and [interval].

    Raises
    ------
    SpecificationError
        Nothing to compare, something that is no analysis, or a term that none of them has.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayesimpute as bi
    >>> seen = pd.DataFrame(
    ...     {"estimate": 1.3, "std_error": 0.25, "conf_low": 0.81, "conf_high": 1.79}, ["age"]
    ... )
    >>> imputed = bi.pool([[1.0], [1.2]], [[0.04], [0.05]], terms=["age"])
    >>> table = bi.compare_estimates({"complete cases": seen, "imputed": imputed})
    >>> table
                       complete cases       imputed
    term
    age  estimate (SE)    1.30 (0.25)   1.10 (0.27)
         interval        [0.81, 1.79]  [0.44, 1.76]
    >>> float(table["complete cases", "estimate"]["age"])
    1.3
    """
    tables = tables_of(analyses)
    chosen = chosen_terms(tables, terms)
    parts = {
        label: table.reindex(index=chosen, columns=list(QUANTITIES))
        for label, table in tables.items()
    }
    return Comparison(pd.concat(parts, axis=1, names=["analysis", "quantity"]))


def tables_of(analyses: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Tables by term of everything that is compared.

    Raises
    ------
    SpecificationError
        If there is nothing, or something that is no analysis.
    """
    if not isinstance(analyses, Mapping) or not analyses:
        raise SpecificationError(
            "Give the analyses as a mapping from label to analysis, such as "
            "{'complete cases': fits, 'imputed': imp.fit(…).pool()}."
        )
    tables = {str(label): _table(str(label), analysis) for label, analysis in analyses.items()}
    known: list[str] = []
    for label, table in tables.items():
        # the same term may be spelled otherwise in another analysis: x:z and z:x
        same = [position_of(term, known) for term in table.index]
        names = [
            term if at is None or known[at] in table.index else known[at]
            for term, at in zip(table.index, same, strict=True)
        ]
        tables[label] = table.set_axis(names)
        known += [term for term in names if term not in known]
    return tables


def _table(label: str, analysis: Any) -> pd.DataFrame:
    if isinstance(analysis, Fits):
        with warnings.catch_warnings():
            if len(analysis) == 1:  # complete cases: that nothing was imputed is the point
                warnings.filterwarnings("ignore", "Only one imputation", ImputationWarning)
            analysis = analysis.pool()
    if isinstance(analysis, Pooled):
        return analysis.table
    if not isinstance(analysis, pd.DataFrame):
        raise SpecificationError(
            f"{label!r} is a {type(analysis).__name__}; compared are the results of imp.fit(…) or "
            "of .pool(), and data frames with estimate, conf_low and conf_high by term."
        )
    table = analysis.set_index("term") if "term" in analysis.columns else analysis
    absent = [name for name in NEEDED if name not in table.columns]
    if absent:
        raise SpecificationError(
            f"The table {label!r} has no column {listed(absent)}; it needs {', '.join(NEEDED)}."
        )
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()][0]
        raise SpecificationError(f"The table {label!r} has the term {twice!r} twice.")
    return table.set_axis([str(term) for term in table.index])


def chosen_terms(
    tables: Mapping[str, pd.DataFrame], terms: Sequence[str] | str | None
) -> list[str]:
    """Give the terms asked for, or all in the order in which they are met.

    Raises
    ------
    SpecificationError
        If none of the analyses has one of them.
    """
    known = list(dict.fromkeys(str(term) for table in tables.values() for term in table.index))
    if terms is None:
        return known
    wanted = [terms] if isinstance(terms, str) else [str(term) for term in terms]
    places = [position_of(term, known) for term in wanted]
    for term, place in zip(wanted, places, strict=True):
        if place is None:
            raise SpecificationError(
                f"No analysis has the term {term!r}; there are {listed(known, 12)}."
                f"{did_you_mean(term, known)}"
            )
    if not wanted:
        raise SpecificationError("terms= is empty; leave it out for all terms.")
    return list(dict.fromkeys(known[place] for place in places if place is not None))


def _digits(each: Iterable["pd.Series[Any]"]) -> int:
    """Decimals that show two significant digits of the smallest standard error."""
    errors = [
        float(row["conf_high"] - row["conf_low"]) / 4
        if np.isnan(row["std_error"])
        else float(row["std_error"])
        for row in each
    ]
    positive = [error for error in errors if error > 0]
    return int(np.clip(1 - np.floor(np.log10(min(positive))), 0, 8)) if positive else 3


def _estimate(row: "pd.Series[Any]", digits: int) -> str:
    if np.isnan(row["estimate"]):
        return "—"
    error = "" if np.isnan(row["std_error"]) else f" ({row['std_error']:.{digits}f})"
    return f"{row['estimate']:.{digits}f}{error}"


def _interval(row: "pd.Series[Any]", digits: int) -> str:
    if np.isnan(row["estimate"]):
        return ""
    return f"[{row['conf_low']:.{digits}f}, {row['conf_high']:.{digits}f}]"
