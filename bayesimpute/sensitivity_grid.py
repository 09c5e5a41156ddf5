"""How far an answer depends on what no data can tell: grids over ρ and δ."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.analysis import fit
from bayesimpute.arguments import (
    Count,
    CountOrNone,
    FigureSize,
    Level,
    Seed,
    check_arguments,
    checked,
)
from bayesimpute.congeniality.check import warn_if_uncongenial
from bayesimpute.engine.adapt import reference_values
from bayesimpute.engine.completed import completed_frame
from bayesimpute.engine.cores import threads_of
from bayesimpute.engine.failures import warn_of_stop
from bayesimpute.engine.run import go_on, start
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import AnalysisError, SpecificationError, warn
from bayesimpute.files import make_folder
from bayesimpute.imputation import impute, specified
from bayesimpute.imputations import Imputations
from bayesimpute.opening import open_file, resume_point
from bayesimpute.plots.assumptions import crossings, plot_sensitivity
from bayesimpute.pooling.formula_design import check_formula
from bayesimpute.result.run import changed_versions
from bayesimpute.specification.aliases import NUMBER, SELECTION
from bayesimpute.specification.compatible import two_equations
from bayesimpute.specification.specification import Fingerprint, Specification, fingerprint
from bayesimpute.wording import did_you_mean, one_line, visible
from bayesimpute.wrappers.base import innermost, method_text
from bayesimpute.wrappers.delta import delta as shifted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = ("rho", "delta")
PRIORS_OF_RHO = ("atanh_rho", "sd_atanh_rho")


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """What :func:`sensitivity` gives.

    Attributes
    ----------
    table
        One row a point, in the order of the grid: its ``rho`` and ``delta`` (those that vary),
        estimate, std_error, df, conf_low and conf_high of the estimand, ``p_positive`` (chance
        that it is above `null`), and the fraction of missing information.
    term
        The estimand.
    null
        Value of no effect.
    conf_level
        Of the intervals.
    """

    table: pd.DataFrame
    term: str
    null: float = 0.0
    conf_level: float = 0.95

    @property
    def axes(self) -> tuple[str, ...]:
        """Which of ρ and δ vary."""
        given = [axis for axis in AXES if axis in self.table]
        varying = [axis for axis in given if self.table[axis].nunique(dropna=False) > 1]
        return tuple(varying or given[:1])

    @property
    def tipping(self) -> pd.DataFrame:
        """Where the conclusion changes, between neighbouring points, by linear interpolation.

        Returns
        -------
        pandas.DataFrame
            One row a crossing: the axis along which it was found, the value there, the value of
            the other axis (NaN if only one varies, or where ρ is estimated), and what happens:
            ``"interval reaches"`` or ``"estimate crosses"`` the null value. Empty where nothing
            changes.
        """
        rows = []
        for axis in self.axes:
            others = [other for other in self.axes if other != axis]
            groups: Any = [(np.nan, self.table)]
            if others:  # an estimated ρ is a value of its own
                groups = self.table.groupby(others[0], sort=True, dropna=False)
            for fixed, part in groups:
                part = part.dropna(subset=[axis]).sort_values(axis)
                at = part[axis].to_numpy(dtype=float)
                for what, columns in {
                    "estimate crosses": ("estimate",),
                    "interval reaches": ("conf_low", "conf_high"),
                }.items():
                    for column in columns:
                        away = part[column].to_numpy(dtype=float) - self.null
                        # a point that lies on the null value is where the sides change
                        for k, after in pairwise(np.flatnonzero(away != 0)):
                            if away[k] * away[after] < 0:
                                share = away[k] / (away[k] - away[k + 1])
                                value = at[k] + share * (at[k + 1] - at[k])
                                rows.append((axis, float(value), fixed, what))
        return pd.DataFrame(rows, columns=["axis", "value", "other", "what"])

    @checked
    def plot(self, *, ax: "Axes | None" = None, figsize: FigureSize | None = None) -> "Figure":
        """Line with band where one of ρ and δ varies, contours where both do.

        Where ρ is also estimated, which is no place on its axis, a line with band for each ρ.

        Parameters
        ----------
        ax
            Where to draw; by default a new figure.
        figsize
            Inches.
        """
        return plot_sensitivity(
            self.table, self.axes, self.term, self.null, self.tipping, ax=ax, figsize=figsize
        )

    def _heading(self) -> str:
        found = crossings(self.tipping, self.axes, self.null)
        change = "; ".join(found) or "no point of the grid changes the conclusion"
        return f"Sensitivity of {one_line(self.term)}: {change}"

    def __repr__(self) -> str:
        """Say what was found in a line, then the table."""
        return visible(f"{self._heading()}\n{self.table.to_string(index=False)}")

    def _repr_html_(self) -> str:
        return html.plain(self._heading(), html.frame(self.table, index=False))


@checked
def sensitivity(
    df: pd.DataFrame,
    variable: str,
    analysis: str | Callable[[pd.DataFrame], Any],
    term: str,
    *,
    rho: Sequence[float | None] | None = None,
    delta: Sequence[float] | None = None,
    delta_where: str | None = None,
    method: Mapping[str, Any],
    m: Count = 20,
    iterations: Count = 10,
    further: CountOrNone = 3,
    null: float = 0.0,
    ci_prob: Level = 0.95,
    folder: str | Path | None = None,
    seed: Seed | None = None,
    model_options: Mapping[Any, Mapping[str, Any]] | None = None,
    family: str | None = None,
    on: Literal["analysis", "conditional"] = "conditional",
    **arguments: Any,
) -> Sensitivity:
    """Impute, analyse and pool over a grid of assumptions on one variable.

    Parameters
    ----------
    df
        The data.
    variable
        Whose missing values the assumptions are about.
    analysis
        As for ``imp.fit``: a formula, or a function of a completed frame.
    term
        Which of the pooled estimates is the answer, such as ``"age"``.
    rho
        Correlations of outcome and selection, each between −1 and 1; `variable` is imputed by
        ``"heckman"`` then. None in the list: ρ is estimated, with its prior.
    delta
        Shifts of the missing values, on the scale of :func:`bayesimpute.delta`.
    delta_where
        Condition of the rows that are shifted, such as ``"arm == 'treated'"``; None (default)
        shifts all.
    method
        As for :func:`bayesimpute.impute`; `variable` must be named.
    m, iterations
        Chains, and iterations of the first point.
    further
        Iterations of every other point: its chains go on from where its neighbour's stand
        (default 3: they have a short way to go).
    null
        Value of no effect.
    ci_prob
        Of the intervals.
    folder
        Where finished points are kept; started again, the grid goes on where it was, bit for bit.
        Points of another grid (other data, arguments, functions) are refused, with what differs.
    seed
        Whole number from 0; default from the operating system, or that of `folder`.
    on
        ``"analysis"`` for imputation compatible with `analysis`, a formula then, as by
        ``analysis=`` of :func:`bayesimpute.impute`; ``"conditional"`` (default) for chained
        equations.
    model_options, family, **arguments
        Further arguments of :func:`bayesimpute.impute`, but ``checkpoint`` and ``on_error``; and
        ``reml`` of ``imp.fit``.

    Returns
    -------
    Sensitivity
        With ``table``, ``tipping`` and ``plot()``.

    Raises
    ------
    SpecificationError
        Before any work, if the grid is empty or its method does not fit; or if `folder` holds
        another grid.

    Warns
    -----
    ImputationWarning
        Ctrl-C was pressed: the points finished so far are returned (before the first,
        KeyboardInterrupt is raised as usual).

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
    >>> found = bi.sensitivity(
    ...     study.incomplete, "popular", "popular ~ sex", "sex", delta=[0, -0.5], seed=1,
    ...     method={"popular": "normal"}, m=3, iterations=1, further=1, progress=False,
    ... )
    >>> list(found.table["delta"])
    [0.0, -0.5]
    """
    points = _grid(rho, delta)
    if delta_where is not None and delta is None:
        raise SpecificationError(
            "sensitivity: delta_where= says which rows delta= shifts; give both."
        )
    if variable not in method:
        raise SpecificationError(
            f"sensitivity: method= must name the method of {variable!r}, such as "
            f"{{{variable!r}: {(SELECTION if rho is not None else NUMBER)!r}}}."
            f"{did_you_mean(variable, method)}"
        )
    if on == "analysis" and not isinstance(analysis, str):
        raise SpecificationError(
            "sensitivity: on='analysis' needs a formula; a function of a frame needs 'conditional'."
        )
    if isinstance(analysis, str):
        check_formula(analysis, df.columns)
    inside = innermost(method[variable])
    if rho is not None and not two_equations(inside):
        raise SpecificationError(
            f"sensitivity: rho= needs a selection model, and {variable!r} is imputed by "
            f"{method_text(inside)!r}; use {SELECTION!r}, or delta=."
        )
    check_arguments(impute, arguments)
    run: dict[str, Any] = {
        name: arguments.pop(name) for name in ("executor", "progress") if name in arguments
    }
    for name in ("checkpoint", "on_error"):
        if name in arguments:
            raise SpecificationError(
                f"sensitivity: {name}= is of a single run; folder= keeps the points that are "
                "finished, and goes on after a failure."
            )
    fitting = {"reml": arguments.pop("reml")} if "reml" in arguments else {}
    run["cores"] = threads_of(arguments.pop("cores", None), run.get("executor"))
    if on == "analysis":
        arguments |= {"analysis": analysis, "family": family, "on": on}
    specifications = [
        _specification(df, variable, point, delta_where, method, model_options, arguments)
        for point in points
    ]
    warn_if_uncongenial(analysis, specifications[0])
    made = None if folder is None else make_folder(folder)
    plan = Plan(m, iterations, further, made, run)
    chosen = plan.seed() if seed is None else int(seed)
    cluster = specifications[0].cluster if isinstance(analysis, str) else None
    if isinstance(analysis, str):
        _check_term(specifications[0], chosen, analysis, family, term)
    rows: list[dict[str, Any]] = []
    try:
        finished = imputed_points(points, specifications, plan, chosen)
        for point, imp in zip(points, finished, strict=True):
            fits = fit(imp.complete("all"), analysis, family, cluster=cluster, **fitting)
            pooled = fits.pool(ci_prob=ci_prob).table
            rows.append({**point, **_answer(pooled, term, null)})
    except KeyboardInterrupt:
        if not rows:
            raise
        warn_of_stop("sensitivity", "points", len(rows), len(points), plan.folder)
    order = [name for name in AXES if name in rows[0]]
    table = pd.DataFrame(rows)
    return Sensitivity(
        table.sort_values(order, ascending=True, kind="stable", ignore_index=True)
        if len(order) > 1
        else table,
        term,
        null,
        ci_prob,
    )


def _grid(
    rho: Sequence[float | None] | None, delta: Sequence[float] | None
) -> list[dict[str, float | None]]:
    """Points in an order in which neighbours follow each other."""
    if rho is None and delta is None:
        raise SpecificationError("sensitivity: give rho=, delta=, or both, as lists of numbers.")
    for name, values in {"rho": rho, "delta": delta}.items():
        if values is not None and not len(values):
            raise SpecificationError(f"sensitivity: {name}= is empty.")
        given = _listed(values)
        twice = [value for k, value in enumerate(given) if value in given[:k]]
        if twice:
            raise SpecificationError(f"sensitivity: {name}= has {twice[0]} twice; once is enough.")
    for value in _listed(rho):
        if value is not None and not -1 < value < 1:
            raise SpecificationError(
                f"sensitivity: rho={value!r} must be between −1 and 1, both excluded, or None."
            )
    if delta is None:
        return [{"rho": r} for r in _listed(rho)]
    if rho is None:
        return [{"delta": float(d)} for d in delta]
    turns = (list(delta) if k % 2 == 0 else list(delta)[::-1] for k in range(len(rho)))
    return [
        {"rho": r, "delta": float(d)}
        for r, ds in zip(rho, turns, strict=True)
        for _, d in product([0], ds)
    ]


def _listed(values: Sequence[float | None] | None) -> list[float | None]:
    """Give a list; arrays are neither true nor false."""
    return [] if values is None else list(values)


def _check_term(
    specification: Specification, seed: int, analysis: str, family: str | None, term: str
) -> None:
    """Refuse an estimand that the analysis lacks before the first point, by random values."""
    reference = reference_values(specification, seed)
    imputed = {name: reference[name][cells] for name, cells in specification.where.items()}
    frame = completed_frame(specification, imputed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            terms = fit([frame], analysis, family, cluster=specification.cluster)[0].terms
        except AnalysisError:  # which imputed values may do without
            return
    _require(term, terms)


def _require(term: str, terms: Iterable[str]) -> None:
    known = [str(each) for each in terms]
    if term not in known:
        raise SpecificationError(
            f"sensitivity: the analysis has no estimate {term!r}; it has {', '.join(known)}."
            f"{did_you_mean(term, known)}"
        )


def _specification(
    df: pd.DataFrame,
    variable: str,
    point: Mapping[str, float | None],
    delta_where: str | None,
    method: Mapping[str, Any],
    model_options: Mapping[Any, Mapping[str, Any]] | None,
    arguments: Mapping[str, Any],
) -> Specification:
    methods, options = dict(method), {k: dict(v) for k, v in (model_options or {}).items()}
    if "delta" in point:
        methods[variable] = shifted(method[variable], point["delta"], where=delta_where)
    if "rho" in point:
        options[variable] = {**options.get(variable, {}), "rho": point["rho"]}
    if point.get("rho") is not None:
        arguments = {**arguments, "priors": _without_rho(variable, arguments.get("priors"))}
    return specified(df, method=methods, model_options=options, **arguments)


def _without_rho(
    variable: str, priors: Mapping[str, Mapping[str, Any]] | None
) -> Mapping[str, Mapping[str, Any]] | None:
    """Priors but those of ρ, which has none where it is fixed."""
    if not priors or not isinstance(priors.get(variable), Mapping):
        return priors
    kept = {name: prior for name, prior in priors[variable].items() if name not in PRIORS_OF_RHO}
    return {**priors, variable: kept}


def _answer(pooled: pd.DataFrame, term: str, null: float) -> dict[str, float]:
    from scipy import stats

    _require(term, pooled.index)
    row = pooled.loc[[term]].iloc[0]
    positive = stats.t.sf((null - row["estimate"]) / row["std_error"], row["df"])
    return {
        "estimate": float(row["estimate"]),
        "std_error": float(row["std_error"]),
        "df": float(row["df"]),
        "conf_low": float(row["conf_low"]),
        "conf_high": float(row["conf_high"]),
        "p_positive": float(positive),
        "fmi": float(row["fmi"]),
    }


NOWHERE = "Points that were finished are lost; folder= keeps them."

type Point = Mapping[str, float | None]


@dataclass(frozen=True)
class Plan:
    """How every point is run.

    Attributes
    ----------
    m, iterations, further
        Chains; iterations of a point by itself, and of one that goes on from its neighbour.
    folder
        Where finished points are kept, or None.
    run
        Arguments of :func:`bayesimpute.engine.run.go_on`: ``executor``, ``progress``, ``cores``.
    """

    m: int
    iterations: int
    further: int
    folder: Path | None
    run: Mapping[str, Any]

    def path(self, k: int) -> Path | None:
        """File of a point."""
        return None if self.folder is None else self.folder / f"point-{k:03d}.nc"

    def seed(self) -> int:
        """Seed of the first point in the folder; a fresh one if there is none."""
        files = [] if self.folder is None else sorted(self.folder.glob("point-*.nc"))
        return open_file(files[0]).seed if files else fresh_seed()

    @property
    def kept(self) -> str:
        """Sentence on where finished points are."""
        if self.folder is None:
            return NOWHERE
        return (
            f"Finished points are in folder {self.folder.name!r}; call again with the same "
            "arguments and a new executor, and the grid goes on there."
        )


def imputed_points(
    points: Sequence[Point], specifications: Sequence[Specification], plan: Plan, seed: int
) -> Iterator[Imputations]:
    """Impute point after point.

    Raises
    ------
    SpecificationError
        If a file in the folder is of another grid, naming what differs.
    SamplingError
        If a model or a worker fails.
    """
    runs = [fingerprint(each) for each in specifications]  # before any function is called
    before: Imputations | None = None
    for k, (point, specification, run) in enumerate(zip(points, specifications, runs, strict=True)):
        # chains go on only where the model has the same parameters
        if (point.get("rho") is None) != (points[k - 1].get("rho") is None):
            before = None
        before = _imputed(specification, _of_point(run, before, plan), before, plan, k, seed)
        yield before


def _warn_of_versions(stored: Imputations) -> None:
    """Warn of a change that a result would have an event of: a grid has none."""
    changed = changed_versions(stored.versions)
    if changed:
        warn(
            f"sensitivity: finished points are of other versions ({', '.join(changed)}). Points "
            "from here on may differ in their last bits, and so in their draws, from those of one "
            "run; name another folder= to run all of them anew."
        )


def _of_point(run: Fingerprint, before: Imputations | None, plan: Plan) -> Fingerprint:
    """Fingerprint of a point: its specification, and where its chains came from."""
    if before is None or before.fingerprint is None:
        return run.beside({"iterations": plan.iterations})
    return run.beside({"further": plan.further, "points before": before.fingerprint.parts})


def _imputed(
    specification: Specification,
    run: Fingerprint,
    before: Imputations | None,
    plan: Plan,
    k: int,
    seed: int,
) -> Imputations:
    wanted = plan.iterations if before is None else before.iterations + plan.further
    path = plan.path(k)
    stored = None if path is None else resume_point(path, run, plan.m, seed, wanted)
    if stored is not None and stored.iterations == wanted:
        _warn_of_versions(stored)
        return replace(stored, specification=specification)
    if before is None:
        history, bench = start(
            specification, plan.m, seed, plan.run.get("executor"), plan.run["cores"]
        )
        history = go_on(
            specification, history, wanted, bench=bench, kept=plan.kept, **plan.run
        )  # fmt: skip
    else:
        history = replace(before.history, events=specification.events)
        history = go_on(specification, history, plan.further, kept=plan.kept, **plan.run)
    imp = Imputations(specification, history, fingerprint=run)
    if path is not None:
        try:
            imp.to_netcdf(path)
        except OSError as error:  # the grid is worth more than its folder
            warn(f"sensitivity: {error} This point is not kept; the grid goes on.")
    return imp
