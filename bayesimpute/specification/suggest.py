"""``bi.suggest_methods``: a method for every column, with the reason."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import CountOrNone, Share, checked
from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.specification.defaults import default_method
from bayesimpute.specification.find_default_method import (
    Limits,
    checked_limits,
    documented_rule,
    r_classes,
)
from bayesimpute.specification.groupings import checked_groupings
from bayesimpute.specification.suggest_rule import (
    choose,
    explain_default,
    facts_of,
    is_level_2,
)
from bayesimpute.wording import one_line, visible

RULES = ("default", "likelihood", "find.defaultMethod")

_COMPLETE = "Complete: nothing to impute."


@dataclass(frozen=True, eq=False, repr=False)
class Suggestions(Mapping[str, str]):
    """Column -> method, to be given to ``bi.impute`` as it is, and why.

    To change one, make a dict: ``{**suggestions, "age": "normal"}``.

    Attributes
    ----------
    rule
        The rule that chose.
    methods
        Column -> method, ``""`` for columns that are not imputed.
    reasons
        Column -> a sentence or two.
    """

    rule: str
    methods: Mapping[str, str]
    reasons: Mapping[str, str]
    _table: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row a column of the data (a copy).

        Columns ``method``, ``reason``, ``kind``, ``level`` (2: constant within clusters),
        ``n_observed``, ``n_missing``, and with clusters ``clusters_sporadic`` and
        ``clusters_systematic``: those with some and with all values missing.
        """
        return self._table.copy()

    def __getitem__(self, name: str) -> str:
        return self.methods[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.methods)

    def __len__(self) -> int:
        return len(self.methods)

    def __repr__(self) -> str:
        chosen = {name: method for name, method in self.methods.items() if method}
        complete = sum(reason == _COMPLETE for reason in self.reasons.values())
        left = [n for n, method in self.methods.items() if not method and not self._is_complete(n)]
        wide = max((len(one_line(name)) for name in [*chosen, *left]), default=0)
        broad = max((len(method) for method in chosen.values()), default=1)
        lines = [f"Suggested methods (rule {self.rule!r}); complete columns: {complete}"]
        lines += [
            f"  {one_line(name):<{wide}}  {self.methods[name] or '–':<{broad}}  {reason}"
            for name in [*chosen, *left]
            for reason in [one_line(self.reasons[name])]
        ]
        return visible("\n".join(lines))

    def _repr_html_(self) -> str:
        head = html.tag("tr", *(html.tag("th", each) for each in ("variable", "method", "reason")))
        body = [
            html.tag(
                "tr",
                html.tag("td", name),
                html.tag("td", html.tag("code", method or "–")),
                html.tag("td", self.reasons[name], style="text-align:left"),
            )
            for name, method in self.methods.items()
            if not self._is_complete(name)
        ]
        heading = html.tag("p", "Suggested methods (rule ", html.tag("code", self.rule), ")")
        table = html.tag("table", html.tag("thead", head), html.tag("tbody", *body))
        return str(html.join([heading, table]))

    def _is_complete(self, name: str) -> bool:
        return self.reasons[name] == _COMPLETE


@checked
def suggest_methods(
    df: pd.DataFrame,
    cluster: str | Sequence[str] | None = None,
    rule: str = "default",
    *,
    classes: Mapping[str, str] | None = None,
    I_small: CountOrNone = 7,
    ni_small: CountOrNone = 100,
    prop_small: Share = 0.4,
) -> Suggestions:
    """Suggest a method for each column, and say why.

    Parameters
    ----------
    df
        Any frame.
    cluster
        Column of cluster ids, or several.
    rule
        ``"default"``: what ``bi.impute`` takes where no method is named (:func:`make_method`),
        with a closer look at each column in the reason. ``"likelihood"``: each variable keeps its
        own likelihood; see Notes.
        ``"find.defaultMethod"``: the documented rule of micemd's function of that name, in the
        method names of mice.
    classes
        For ``"find.defaultMethod"``, where R's column classes decide: column -> ``"factor"``,
        ``"integer"`` or ``"numeric"``. Default: categories, text and booleans are factors,
        whole-number dtypes integers, other numbers numeric.
    I_small, ni_small, prop_small
        For ``"find.defaultMethod"``: a variable observed in at most `I_small` clusters has few;
        a cluster with at most `ni_small` observed values is small; with a share of small clusters
        over `prop_small` a one-stage method is chosen. Defaults are micemd's.

    Returns
    -------
    Suggestions
        A mapping column -> method with ``.reasons`` and ``.table``.

    Raises
    ------
    DataError, SpecificationError
        If data or arguments cannot be used.

    Notes
    -----
    By default: numbers ``pmm``, but ``logistic`` where they are only ever 0 or 1; categories their
    likelihood; a column of one value or of none is not imputed.

    ``"likelihood"``: two categories, or a number with two values: ``logistic``; ordered
    categories: ``ordinal``; others: ``categorical``. Counts (whole numbers from 0 or 1, with a
    right tail, spread at least as Poisson): ``poisson``, or ``negative_binomial`` where the
    variance within clusters is over 1.5 times the mean. Up to 7 other whole numbers: ``ordinal``;
    longer scores: ``pmm``. Continuous numbers: ``pmm`` if skewed, with a spike, or close above
    zero; ``normal.robust`` if symmetric with heavy tails; else ``normal``. The rule sees one
    column at a time, not what depends on what.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> methods = bi.suggest_methods(study.incomplete, cluster="school")
    >>> methods["popular"], methods["sex"]
    ('pmm', '')
    >>> bi.suggest_methods(study.incomplete, "school", rule="likelihood")["popular"]
    'normal'
    >>> imp = bi.impute(study.incomplete, "school", method=methods)  # doctest: +SKIP
    """
    limits = Limits(I_small, ni_small, prop_small)
    _check_rule(rule, cluster, classes, limits)
    table = Table.from_frame(df)
    groupings = checked_groupings(cluster, table)[0]
    # of several groupings that of most clusters: what is of the others is of these too
    clusters = table.clusters(groupings[0]) if groupings else None
    r_class = r_classes(table, classes)
    chosen: dict[str, tuple[str, str]] = {}
    for name, variable in table.variables.items():
        if not table.missing(name).any():
            chosen[name] = "", _COMPLETE
        elif rule != "find.defaultMethod" or variable.kind is Kind.OTHER:
            facts = facts_of(table, name, clusters)
            default = rule == "default"
            chosen[name] = (
                explain_default(facts, default_method(table, name)[0]) if default else choose(facts)
            )
        else:
            assert clusters is not None
            values = table.values[name]
            chosen[name] = documented_rule(values, clusters, r_class[name], limits)
    methods = {name: method for name, (method, _) in chosen.items()}
    reasons = {name: reason for name, (_, reason) in chosen.items()}
    return Suggestions(
        rule,
        MappingProxyType(methods),
        MappingProxyType(reasons),
        _overview(table, clusters, methods, reasons),
    )


def _check_rule(rule: Any, cluster: Any, classes: Any, limits: Limits) -> None:
    if rule not in RULES:
        raise SpecificationError(f"rule={rule!r} must be one of {', '.join(map(repr, RULES))}.")
    if rule == "find.defaultMethod":
        checked_limits(limits)
        if cluster is None:
            raise SpecificationError("rule='find.defaultMethod' counts clusters; give cluster=.")
    elif classes is not None or limits != Limits():
        raise SpecificationError(
            "classes, I_small, ni_small and prop_small belong to rule='find.defaultMethod'; the "
            f"rule {rule!r} looks at the values."
        )


def _overview(
    table: Table,
    clusters: ClusterIndex | None,
    methods: Mapping[str, str],
    reasons: Mapping[str, str],
) -> pd.DataFrame:
    rows = []
    for name, variable in table.variables.items():
        values = table.values[name]
        missing = int(table.missing(name).sum())
        row: dict[str, Any] = {
            "method": methods[name],
            "reason": reasons[name],
            "kind": str(variable.kind),
            "level": 2 if is_level_2(values, clusters) else 1,
            "n_observed": table.n_rows - missing,
            "n_missing": missing,
        }
        if clusters is not None:
            row["clusters_sporadic"] = int(clusters.sporadic(values).sum())
            row["clusters_systematic"] = int(clusters.systematic(values).sum())
        rows.append(row)
    return pd.DataFrame(rows, index=pd.Index(table.variables, name="variable"))
