"""`Imputations`: m completed data sets, and everything that shows how they came about."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, fields
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, overload

import pandas as pd

from bayesimpute import derived
from bayesimpute.analysis import Fits, fit
from bayesimpute.arguments import Count, checked
from bayesimpute.checking.compare import compare_models
from bayesimpute.checking.overimputation import overimpute, plot_loo_pit
from bayesimpute.checking.predictive import plot_ppc, predictive, to_datatree
from bayesimpute.congeniality.check import warn_if_uncongenial
from bayesimpute.congeniality.of_run import congenial
from bayesimpute.diagnose import diagnosis
from bayesimpute.engine.cores import threads_of
from bayesimpute.engine.failures import Stopped
from bayesimpute.engine.joint_model import joint_model
from bayesimpute.engine.run import go_on, textbook_model
from bayesimpute.errors import AnalysisError, SpecificationError
from bayesimpute.new_rows.impute_new import impute_new
from bayesimpute.new_rows.predict_new import predict_new
from bayesimpute.plots import frames
from bayesimpute.plots import propensity as propensities
from bayesimpute.plots.assumptions import plot_rho
from bayesimpute.plots.chains import plot_chains, plot_trace
from bayesimpute.plots.distribution import plot_box, plot_density, plot_strip
from bayesimpute.plots.estimates import plot_effects
from bayesimpute.plots.of_run import plot_predictors, plot_prior_predictive
from bayesimpute.plots.propensity import plot_propensity
from bayesimpute.plots.scatter import plot_xy
from bayesimpute.posterior.fitting import PosteriorFits, fit_posterior
from bayesimpute.posterior.of_analysis import analysis_table, compare_joint
from bayesimpute.prior import of_run as used
from bayesimpute.registry import resolve
from bayesimpute.report import page
from bayesimpute.result import storage
from bayesimpute.result.checks import (
    convergence,
    diagnostics,
    identification,
    warn_of_prior,
)
from bayesimpute.result.restored import (
    require_callables,
    require_one_run,
    require_to_extend,
    without_models,
)
from bayesimpute.result.run import Run, iterate, noted_versions
from bayesimpute.specification.equations import equations
from bayesimpute.specification.latent_means import with_columns
from bayesimpute.specification.specification import Analysed
from bayesimpute.tables import long

if TYPE_CHECKING:
    import pymc as pm


def _family(analysed: Analysed) -> str | None:
    """Family by which `fit` knows the model of an analysis; None if it knows none."""
    return getattr(resolve(analysed.family), "fitted_as", "") or None


@dataclass(frozen=True, repr=False)
class Group:
    """Functions of a run: ``imp.plot.density("x")`` is ``plot_density(imp, "x")``."""

    run: Run

    def __repr__(self) -> str:
        entries = [name for name, entry in vars(type(self)).items() if isinstance(entry, Entry)]
        return f"<{type(self).__name__} of a run: {', '.join(entries)}>"


class Entry[**P, R]:
    """A function of a run in a group: called and shown by help() as it is, but for the run."""

    def __init__(self, function: Callable[Concatenate[Run, P], R]) -> None:
        self.function = function

    @overload
    def __get__(self, group: None, of: type[Group]) -> Callable[Concatenate[Run, P], R]: ...
    @overload
    def __get__(self, group: Group, of: type[Group]) -> Callable[P, R]: ...
    def __get__(self, group: Group | None, of: type[Group]) -> Any:
        return self.function if group is None else MethodType(self.function, group.run)


class Plots(Group):
    """Pictures of a run: ``imp.plot.density("x")``; ``help(imp.plot.density)`` explains one."""

    density = Entry(plot_density)
    strip = Entry(plot_strip)
    box = Entry(plot_box)
    xy = Entry(plot_xy)
    trace = Entry(plot_trace)
    chains = Entry(plot_chains)
    ppc = Entry(plot_ppc)
    loo_pit = Entry(plot_loo_pit)
    predictors = Entry(plot_predictors)
    prior_predictive = Entry(plot_prior_predictive)
    propensity = Entry(plot_propensity)
    effects = Entry(plot_effects)
    rho = Entry(plot_rho)


class Checks(Group):
    """The numbers behind ``imp.diagnose()``: of the chains, of the models, of an analysis."""

    convergence = Entry(convergence)
    diagnostics = Entry(diagnostics)
    identification = Entry(identification)
    predictive = Entry(predictive)
    overimpute = Entry(overimpute)
    compare_models = Entry(compare_models)
    compare_joint: Entry[..., pd.DataFrame] = Entry(compare_joint)
    congenial = Entry(congenial)


@dataclass(frozen=True, eq=False, repr=False)
class Imputations(Run):
    """The result of ``bi.impute``: frozen; every method returns something new.

    Pictures are in ``imp.plot``, checks in ``imp.check``; `diagnose` asks them all what is wrong.

    ``specification``, ``history``, ``created_at``, ``versions`` and ``fingerprint`` are those of
    `bayesimpute.result.run.Run`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> imp = bi.impute(study.incomplete, cluster="school", seed=1)  # doctest: +SKIP
    >>> imp.complete("long").shape  # doctest: +SKIP
    (40000, 8)
    """

    @property
    def plot(self) -> Plots:
        """Pictures: ``imp.plot.density("x")``, ``imp.plot.trace()``, and so on."""
        return Plots(self)

    @property
    def check(self) -> Checks:
        """Checks: ``imp.check.overimpute()``, ``imp.check.diagnostics()``, and so on."""
        return Checks(self)

    # Functions of a run are methods as they are: help() shows what they take.
    diagnose = diagnosis.diagnose
    report = page.report
    to_netcdf = storage.to_netcdf
    to_zarr = storage.to_zarr
    to_datatree = to_datatree
    to_long = long.to_long
    cells = frames.cells
    propensity = propensities.propensity
    impute_new = impute_new
    predict_new = predict_new
    more = derived.more
    bind = derived.bind
    assign = derived.assign
    query = derived.query
    priors = used.priors
    prior_predictive = used.prior_predictive

    convergence = Checks.convergence
    diagnostics = Checks.diagnostics
    identification = Checks.identification
    congenial = Checks.congenial
    predictive = Checks.predictive
    overimpute = Checks.overimpute
    compare_models = Checks.compare_models

    plot_density = Plots.density
    plot_strip = Plots.strip
    plot_box = Plots.box
    plot_xy = Plots.xy
    plot_trace = Plots.trace
    plot_chains = Plots.chains
    plot_ppc = Plots.ppc
    plot_loo_pit = Plots.loo_pit
    plot_predictors = Plots.predictors
    plot_prior_predictive = Plots.prior_predictive

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be worked out again: compiled models do not travel."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def equations(self) -> dict[str, str]:
        """Target -> the equation of its conditional model, written out from the codes.

        None of imputations that were made elsewhere, or derived from others.
        """
        return {} if without_models(self.specification) else equations(self.specification)

    @checked
    def model(self, variable: str, imputation: Count = 1) -> "pm.Model":
        """Textbook PyMC model of one target on one chain's completed data.

        Parameters
        ----------
        variable
            Target.
        imputation
            Chain whose completed predictors are used, 1 … m.

        Returns
        -------
        pymc.Model
            Uncollapsed, for ``pm.model_to_graphviz`` or ``pm.sample``.
        """
        require_callables(self.specification)
        return textbook_model(self.specification, self.history, variable, imputation)

    def joint_model(self) -> "pm.Model":
        """All models of a run with ``analysis=`` as one PyMC model of the incomplete data.

        Its posterior is that of the chains. Parameters have the names of ``imp.datatree`` and
        the chains' priors; missing numbers are free variables (``x.missing``), missing categories
        are summed out, terms such as interactions and powers follow from the values. Where a
        missing value stands in no other model it integrates out and is left out. With
        ``by_group`` each group has parameters of its own (``x.sigma[treated]``). Rows that
        ``ignore=`` names are left out: nothing is learnt from them.

        Returns
        -------
        pymc.Model
            For ``pm.sample``, nutpie, or ``pm.model_to_graphviz``.

        Raises
        ------
        SpecificationError
            If the run has no ``analysis=``; if missing counts stand in other models, or too many
            missing categories depend on each other; if an ignored row and one that is not share a
            missing value of their cluster; if a method has no readable model of rows (one of your
            own, ``only_where``, groups within groups). The chains have all of these.

        Examples
        --------
        >>> import bayesimpute as bi
        >>> import numpy as np
        >>> import pandas as pd
        >>> df = pd.DataFrame({"x": [0.1, np.nan, 1.2, 0.4], "y": [0.0, 1.0, 2.1, 0.7]})
        >>> imp = bi.impute(df, m=1, iterations=1, analysis="y ~ x", seed=1)
        >>> [variable.name for variable in imp.joint_model().free_RVs]
        ['x.intercept', 'x.sigma', 'y.intercept', 'y.beta', 'y.sigma', 'x.missing']
        """
        require_callables(self.specification)
        return joint_model(self.specification, self.seed)

    @checked
    def extend(
        self,
        iterations: Count,
        executor: Executor | None = None,
        progress: bool | None = None,
        cores: Count | None = None,
    ) -> "Imputations":
        """Go on for more iterations; equals one longer run bit for bit.

        Parameters
        ----------
        iterations
            How many more.
        executor
            Where the chains run; by default as in ``bi.impute``.
        progress
            Show a progress bar; by default only in terminals and notebooks.
        cores
            Threads the chains run in; by default as in ``bi.impute``.

        Returns
        -------
        Imputations
            A new object; this one stays as it is.

        Raises
        ------
        SpecificationError
            If the result was opened from a file and used callables (own methods, priors, post,
            monitor) that were not given again to ``bi.open``.

        Warns
        -----
        ImputationWarning
            The data say little of a selection model's ρ; or Ctrl-C was pressed, and what is
            returned has the iterations that all chains finished.
        """
        threads = threads_of(cores, executor)
        require_to_extend(self.specification)
        require_one_run(self.history, "extend")
        history = noted_versions(self.history, self.versions)
        try:
            history = go_on(
                self.specification, history, iterations, executor=executor, progress=progress,
                kept="The result that was to be extended is as it was.", cores=threads,
            )  # fmt: skip
        except Stopped as stop:
            history = stop.finished()
        extended = Imputations(self.specification, history, fingerprint=self.fingerprint)
        warn_of_prior(extended)
        return extended

    @property
    def analysis(self) -> pd.DataFrame:
        """The analysis that the imputations were made for, as drawn in the chains.

        Without pooling: the posterior of the parameters of ``analysis=``, from the second half of
        the iterations of all chains, in the words of the formula, with Rubin's rules of
        ``imp.fit()`` beside it where a package fits the model. Chains as long as R-hat and ESS ask
        for (``imp.extend``) make it an answer of its own.

        Returns
        -------
        pandas.DataFrame
            A row a parameter (of several analyses: outcome, parameter; with ``by_group`` names end
            with the group, ``x[treated]``), coefficients on the scale of the data. ``estimate``
            (posterior mean), ``sd``, ``ci_low`` and ``ci_high`` (95 %, equal tails), ``r_hat``,
            ``ess_bulk``, ``ess_tail``, ``mcse_mean``; and ``pooled``, ``std_error``,
            ``pooled_low``, ``pooled_high`` by Rubin's rules.

        Raises
        ------
        SpecificationError
            The imputations were made for no analysis, or by several runs (``bind``).
        AnalysisError
            A model has fixed effects of clusters, or lacks a column of its analysis.

        Examples
        --------
        >>> import bayesimpute as bi
        >>> study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
        >>> imp = bi.impute(
        ...     study.incomplete, cluster="school", analysis="popular ~ sex * texp + (1 | school)",
        ...     m=2, iterations=4, seed=1, progress=False,
        ... )
        >>> imp.analysis.index[:4].tolist()
        ['(Intercept)', 'sex', 'texp', 'sex:texp']
        """
        specification = self.specification
        if without_models(specification):
            require_callables(specification)
        if specification.live is None:
            raise SpecificationError(
                "analysis: these imputations were made by chained equations, whose models are not "
                "the analysis: bi.impute(..., analysis='y ~ x * z + (1 | g)') draws its "
                "parameters; imp.fit(formula).pool() has Rubin's rules."
            )
        require_one_run(self.history, "analysis")  # coefficients are in the units of a run
        discard = self.iterations // 2
        tables = {
            each.outcome: analysis_table(
                specification, self.history, each, partial(self._fit_as, each), discard, 0.95
            )
            for each in specification.analyses
        }
        return next(iter(tables.values())) if len(tables) == 1 else pd.concat(tables)

    def _fit_as(self, analysed: Analysed, formula: str) -> Fits | None:
        """Fit a formula by the family of an analysis; None where no package does."""
        family = _family(analysed)
        if analysed.event is not None:
            if getattr(self.specification.targets[analysed.outcome], "cluster", None) is not None:
                return None  # Cox regression without frailties is another model
        elif family is None:
            return None
        cluster = self.specification.cluster
        return fit(self._frames(), formula, family=family, cluster=cluster)

    @checked
    def fit(self, formula: Any = None, **options: Any) -> Fits:
        """Fit one analysis model to every completed data set; ``.pool()`` combines the fits.

        Parameters
        ----------
        formula
            ``"popular ~ texp + sex + (1 | school)"``, ``"y ~ x"``, or a callable that takes a
            completed frame. Default, the analysis that the imputations were made for.
        **options
            Of `bayesimpute.analysis.fit`, such as ``family="binomial"``.

        Warns
        -----
        ImputationWarning
            The imputation models do not hold all that a formula asks for; see `congenial`. Of a
            callable nothing can be said.
        """
        analyses = {each.formula: each for each in self.specification.analyses}
        if formula is None:
            if len(analyses) != 1:
                none = "no analysis= was given to bi.impute"
                if without_models(self.specification):
                    none = "what the imputations were made for is not known here"
                given = ", ".join(map(repr, analyses)) or none
                raise AnalysisError(f"fit: give a formula; {given}.")
            (formula,) = analyses
        if isinstance(formula, str):
            formula = with_columns(formula)
        if isinstance(formula, str) and formula in analyses and "family" not in options:
            family = _family(analyses[formula])
            if family is None and analyses[formula].event is None:
                raise AnalysisError(
                    f"fit: no package here fits {formula!r} by {analyses[formula].family!r}; "
                    "imp.analysis has its posterior, and imp.fit(lambda df: ...) takes any fit."
                )
            options = {"family": family, **options}
        if isinstance(formula, str) and self.specification.cluster is not None:
            options = {"cluster": self.specification.cluster, **options}
        fits = fit(self._frames(), formula, **options)
        if not without_models(self.specification):
            warn_if_uncongenial(formula, self.specification)
        return fits

    @checked
    def fit_posterior(self, analysis: Any, **options: Any) -> PosteriorFits:
        """Get a Bayesian analysis' posterior for every completed data set; ``.pool()`` mixes them.

        Parameters
        ----------
        analysis
            Takes a completed frame, and a ``seed`` if it wants one; returns a ``pm.Model``, a
            Bambi model, or a posterior.
        **options
            Of `bayesimpute.fit_posterior`, such as ``draws=1000``.
        """
        return fit_posterior(self._frames(), analysis, **options)

    def _frames(self) -> list[pd.DataFrame]:
        """Completed data as packages that fit analyses take them, whatever the user's frame is."""
        return list(iterate(self.specification, self.history))
