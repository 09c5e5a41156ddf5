"""`Imputations`: m completed data sets, and everything that shows how they came about."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, overload

import pandas as pd

from bayesimpute.arguments import (
    Count,
    CountOrNone,
    FigureSize,
    Level,
    Places,
    Positive,
    Seed,
    checked,
)
from bayesimpute.engine.history import History
from bayesimpute.errors import AnalysisError, SpecificationError
from bayesimpute.events import events_table
from bayesimpute.registry import resolve
from bayesimpute.result import completion, summary, tree
from bayesimpute.result.identification import identification, warn_of_prior
from bayesimpute.specification.fingerprint import Fingerprint
from bayesimpute.specification.latent_means import with_columns
from bayesimpute.specification.said_once import one_a_fact
from bayesimpute.specification.specification import Analysed, Specification

if TYPE_CHECKING:
    from pathlib import Path

    import pymc as pm
    import xarray as xr
    from arviz_plots.plot_collection import PlotCollection
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.analysis import Fits
    from bayesimpute.checking.compare import ModelComparison
    from bayesimpute.checking.overimputation import Overimputation
    from bayesimpute.findings import Findings
    from bayesimpute.posterior.fitting import PosteriorFits


def _family(analysed: Analysed) -> str | None:
    """Family by which `fit` knows the model of an analysis; None if it knows none."""
    return getattr(resolve(analysed.family), "fitted_as", "") or None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, eq=False, repr=False)
class Imputations:
    """The result of ``bi.impute``: frozen; every method returns something new.

    Attributes
    ----------
    specification
        Data, models and order of the run.
    history
        What the m chains produced.
    created_at
        Time the run ended, UTC, ISO 8601.
    versions
        Package -> version the run was made with.
    fingerprint
        By what this run is told from others when a file of it is gone on with; None for a file
        of a version that wrote none.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> imp = bi.impute(study.incomplete, cluster="school", seed=1)  # doctest: +SKIP
    >>> imp.complete("long").shape  # doctest: +SKIP
    (40000, 8)
    """

    specification: Specification
    history: History
    created_at: str = field(default_factory=_now)
    versions: Mapping[str, str] = field(default_factory=tree.versions)
    fingerprint: Fingerprint | None = None

    @property
    def m(self) -> int:
        """Number of imputations, which is the number of chains."""
        return self.history.m

    @property
    def iterations(self) -> int:
        """Iterations each chain has done."""
        return self.history.iterations

    @property
    def seed(self) -> int:
        """Seed of the run; with the same data and specification it gives the same bits."""
        return self.history.seed

    @property
    def data(self) -> pd.DataFrame:
        """The frame as the user gave it (a copy)."""
        return self.specification.table.frame.copy()

    @property
    def missing(self) -> pd.DataFrame:
        """True where a value was missing; rows and columns as in `data`."""
        return self.specification.table.frame.isna()

    @property
    def method(self) -> dict[str, str]:
        """Column -> method name."""
        return dict(self.specification.methods)

    @property
    def predictors(self) -> pd.DataFrame:
        """Predictor matrix as it was used: row = target, codes as in `bayesimpute.Role`."""
        return self.specification.predictors.copy()

    @property
    def events(self) -> pd.DataFrame:
        """Every automatic action, a row a fact, in the order they happened.

        What holds of several targets alike (a predictor that is constant, say) is one row, whose
        message names them all; ``variable`` is then the first of them.
        """
        return events_table(one_a_fact(self.history.events))

    @cached_property
    def datatree(self) -> "xr.DataTree":
        """The chains, as ArviZ takes them: chain = imputation, draw = iteration.

        Groups and names are described in `bayesimpute.result.tree.datatree`.

        Examples
        --------
        >>> import arviz
        >>> arviz.summary(imp.datatree)  # doctest: +SKIP
        """
        attributes = {
            "created_at": self.created_at,
            "creation_library": "bayesimpute",
            "creation_library_version": self.versions.get("bayesimpute", "unknown"),
            "inference_library": "pymc",
            "inference_library_version": self.versions.get("pymc", "unknown"),
            "seed": str(self.seed),
            "versions": ", ".join(f"{name} {number}" for name, number in self.versions.items()),
        }
        return tree.datatree(self.specification, self.history, attributes)

    @overload
    def complete(self, action: int = 1, include: Literal[False] = False) -> pd.DataFrame: ...
    @overload
    def complete(
        self, action: Literal["long", "stacked", "broad", "repeated"], include: bool = False
    ) -> pd.DataFrame: ...
    @overload
    def complete(self, action: Literal["all"], include: bool = False) -> list[pd.DataFrame]: ...
    @overload
    def complete(
        self, action: int | str | Sequence[int] = 1, include: bool = False
    ) -> pd.DataFrame | list[pd.DataFrame]: ...

    @checked
    def complete(self, action: Any = 1, include: bool = False) -> pd.DataFrame | list[pd.DataFrame]:
        """Completed data.

        Parameters
        ----------
        action
            - k from 1 to m: imputation k (the default is 1); 0: the original data;
            - a sequence of such numbers: these, one under the other;
            - ``"all"``: a list of m frames;
            - ``"long"``: one under the other, with columns ``.imp`` and ``.id`` (the row's label)
              at the end; ``"stacked"``: without them;
            - ``"broad"``: side by side, columns named ``<column>.<k>``; ``"repeated"``: the same,
              the imputations of a column next to each other.
        include
            Whether the original data come first, as imputation 0. Default False, as in mice.

        Returns
        -------
        pandas.DataFrame or list of pandas.DataFrame
            Rows, index, dtypes and categories as in the user's frame. Where frames are stacked,
            the index counts rows.

        Raises
        ------
        SpecificationError
            If there is no such imputation or shape, or ``.imp`` or ``.id`` is already a column.
        """
        return completion.complete(self.specification, self.history, action, include)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Completed frames 1 … m, each built when it is its turn."""
        return completion.iterate(self.specification, self.history)

    def __len__(self) -> int:
        """Count the imputations."""
        return self.m

    def equations(self) -> dict[str, str]:
        """Target -> the equation of its conditional model, written out from the codes."""
        from bayesimpute.specification.equations import equations

        return equations(self.specification)

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
        from bayesimpute.engine.run import textbook_model

        return textbook_model(self.specification, self.history, variable, imputation)

    def joint_model(self) -> "pm.Model":
        """All models of a run with ``analysis=`` as one PyMC model of the incomplete data.

        Its posterior is that of the chains. Parameters have the names of ``imp.datatree`` and
        the chains' priors; missing numbers are free variables (``x.missing``), missing categories
        are summed out, terms such as interactions and powers follow from the values. Where a
        missing value stands in no other model it integrates out and is left out.

        Returns
        -------
        pymc.Model
            For ``pm.sample``, nutpie, or ``pm.model_to_graphviz``.

        Raises
        ------
        SpecificationError
            If the run has no ``analysis=``; if missing counts stand in other models, or too many
            missing categories depend on each other; if a method has no readable model of rows
            (one of your own, ``by_group``, ``only_where``). The chains have all of these.

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
        from bayesimpute.engine.joint_model import joint_model
        from bayesimpute.result.restored import require_callables

        require_callables(self.specification)
        return joint_model(self.specification, self.seed)

    def identification(self) -> pd.DataFrame:
        """How far the data, and not the prior, speak of ρ in each selection model.

        Returns
        -------
        pandas.DataFrame
            For each target imputed by ``heckman``, ``heckman.robust`` or ``heckman.binary`` one
            row for the population of clusters (``cluster`` missing), then one for each cluster;
            with ``by_group`` these for each ``group``. The exclusion restriction (predictors of the
            selection only), its strength (largest |mean| / SD of its coefficients), posterior mean
            and 90 % interval of ρ, prior-to-posterior contraction ``1 − var / prior var`` and
            overlap (area under both densities; of a cluster, both with the spread over clusters
            integrated out), the two of atanh ρ; of a cluster ``own``, the share of its spread
            around the population that its own rows have removed (0 where it has nothing observed,
            missing where the draws are too few to tell); and a verdict, which says so where the
            draws are too few for one, by their Monte-Carlo error (jackknife over chains). From the
            second half of the iterations.

        Examples
        --------
        >>> import bayesimpute as bi
        >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
        >>> imp = bi.impute(
        ...     study.incomplete, cluster="school", method="pmm", m=2, iterations=1, progress=False
        ... )
        >>> len(imp.identification())  # no selection model
        0
        """
        return identification(self.specification, self.history)

    @checked
    def priors(self, variable: str) -> pd.DataFrame:
        """Parameters of one target's model with their priors, on the data's scale.

        Parameters
        ----------
        variable
            Target.

        Returns
        -------
        pandas.DataFrame
            As `bayesimpute.priors` gives it.
        """
        from bayesimpute.prior.parameters import prior_table
        from bayesimpute.result.restored import require_callables

        require_callables(self.specification)
        return prior_table(self.specification, variable, self.seed)

    @checked
    def prior_predictive(
        self, variable: str, draws: Count = 500, seed: Seed | None = None
    ) -> "xr.DataTree":
        """Draw a target from prior and likelihood of its model, on the data's own scale.

        Parameters
        ----------
        variable
            Target.
        draws
            Number of draws of all parameters, each with a new set of data.
        seed
            Of the draws; by default that of the run.

        Returns
        -------
        xarray.DataTree
            As `bayesimpute.prior_predictive` gives it.
        """
        from bayesimpute.prior.predictive import prior_tree
        from bayesimpute.result.restored import require_callables

        require_callables(self.specification)
        return prior_tree(
            self.specification, variable, draws, self.seed, self.seed if seed is None else seed
        )

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
        from bayesimpute.engine.cores import threads_of
        from bayesimpute.engine.failures import Stopped
        from bayesimpute.engine.run import go_on
        from bayesimpute.result.other_versions import noted_versions
        from bayesimpute.result.restored import require_to_extend

        threads = threads_of(cores, executor)
        require_to_extend(self.specification)
        history = noted_versions(self.history, self.versions)
        try:
            history = go_on(
                self.specification, history, iterations, executor=executor, progress=progress,
                kept="The result that was to be extended is as it was.", cores=threads,
            )  # fmt: skip
        except Stopped as stop:
            history = stop.finished()
        warn_of_prior(self.specification, history)
        return Imputations(self.specification, history, fingerprint=self.fingerprint)

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
            A row a parameter (of several analyses: outcome, parameter), coefficients on the
            scale of the data. ``estimate`` (posterior mean), ``sd``, ``ci_low`` and ``ci_high``
            (95 %, equal tails), ``r_hat``, ``ess_bulk``, ``ess_tail``, ``mcse_mean``; and
            ``pooled``, ``std_error``, ``pooled_low``, ``pooled_high`` by Rubin's rules.

        Raises
        ------
        SpecificationError
            The imputations were made for no analysis.

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
        from bayesimpute.posterior.of_analysis import analysis_table

        specification = self.specification
        if specification.live is None:
            raise SpecificationError(
                "analysis: these imputations were made by chained equations, whose models are not "
                "the analysis: bi.impute(..., analysis='y ~ x * z + (1 | g)') draws its "
                "parameters; imp.fit(formula).pool() has Rubin's rules."
            )
        discard = self.iterations // 2
        tables = {
            each.outcome: analysis_table(
                specification, self.history, each, partial(self._fit_as, each), discard, 0.95
            )
            for each in specification.analyses
        }
        return next(iter(tables.values())) if len(tables) == 1 else pd.concat(tables)

    def _fit_as(self, analysed: Analysed, formula: str) -> "Fits | None":
        """Fit a formula by the family of an analysis; None where no package does."""
        from bayesimpute.analysis import fit

        family = _family(analysed)
        if analysed.event is not None:
            if getattr(self.specification.targets[analysed.outcome], "cluster", None) is not None:
                return None  # Cox regression without frailties is another model
        elif family is None:
            return None
        cluster = self.specification.cluster
        return fit(self.complete("all"), formula, family=family, cluster=cluster)

    @checked
    def fit(self, formula: Any = None, **options: Any) -> "Fits":
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
        from bayesimpute.analysis import fit
        from bayesimpute.congeniality.check import warn_if_uncongenial

        analyses = {each.formula: each for each in self.specification.analyses}
        if formula is None:
            if len(analyses) != 1:
                given = ", ".join(map(repr, analyses)) or "no analysis= was given to bi.impute"
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
        fits = fit(self.complete("all"), formula, **options)
        warn_if_uncongenial(formula, self.specification)
        return fits

    @checked
    def fit_posterior(self, analysis: Any, **options: Any) -> "PosteriorFits":
        """Get a Bayesian analysis' posterior for every completed data set; ``.pool()`` mixes them.

        Parameters
        ----------
        analysis
            Takes a completed frame, and a ``seed`` if it wants one; returns a ``pm.Model``, a
            Bambi model, or a posterior.
        **options
            Of `bayesimpute.fit_posterior`, such as ``draws=1000``.
        """
        from bayesimpute.posterior.fitting import fit_posterior

        return fit_posterior(self.complete("all"), analysis, **options)

    @checked
    def convergence(self, parameter: str = "mean") -> pd.DataFrame:
        """Autocorrelation and potential scale reduction by variable and iteration, as mice has.

        Parameters
        ----------
        parameter
            ``"mean"`` (default, as in mice) or ``"sd"`` of the imputed cells; ``"share"``: of the
            imputed cells in each category, a row ``variable[category]`` and iteration;
            ``"monitor"``: what ``monitor=`` of ``bi.impute`` follows; ``"all"``: all of these.
        """
        from bayesimpute.diagnostics import by_element, convergence
        from bayesimpute.engine.shares import labels_of

        history, variables = self.history, self.specification.table.variables
        monitored = by_element(history.monitored, history.monitor_labels)
        labels = {name: labels_of(variables[name].categories) for name in history.chain_share}
        shares = by_element(history.chain_share, labels)
        return convergence(history.chain_mean, history.chain_sd, parameter, monitored, shares)

    @checked
    def diagnostics(self, discard: CountOrNone = 0) -> pd.DataFrame:
        """R-hat, effective sample sizes, Monte Carlo errors and divergences of every quantity.

        Parameters
        ----------
        discard
            First iterations to leave out; see `bayesimpute.diagnostics.diagnostics`.
        """
        from bayesimpute.diagnostics import diagnostics

        return diagnostics(self.datatree, discard)

    @checked
    def diagnose(
        self, fits: Any = None, r_hat: Positive = 1.05, ess: Positive | None = None
    ) -> "Findings":
        """Find what is wrong with this run, why, and what to change, in plain words.

        Parameters
        ----------
        fits
            An analysis, of `fit` (or pooled), or a list of them: is m enough for its fraction of
            missing information, and do the imputation models hold what its formula asks for?
            Without any the share of missing values stands in.
        r_hat
            R-hat to be reached; default 1.05. What chance and the autocorrelation of chains that
            have met explain in a run as short is no finding.
        ess
            Effective sample size of every quantity to be reached, over all chains. Default none:
            imputations are the last states of independent chains and need no more than that their
            start is forgotten. Give 400 to use the draws of the parameters themselves.

        Returns
        -------
        Findings
            A DataFrame, a row a finding, the worst first: ``severity`` (``"error"``,
            ``"warning"``, ``"info"``), ``variable``, ``finding``, ``evidence`` (numbers),
            ``cause``, ``advice`` (code where possible, with how many more iterations where these
            help). Empty, and saying what was checked, if nothing is wrong. Its text is
            ``as_text()``.

        Raises
        ------
        SpecificationError
            `r_hat` or `ess` is no such number.

        Examples
        --------
        >>> import bayesimpute as bi
        >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
        >>> imp = bi.impute(study.incomplete, method="sample", m=2, iterations=2, seed=1)
        >>> imp.diagnose().query("severity == 'warning'")["finding"].tolist()
        ['too few iterations to tell']
        """
        from bayesimpute.diagnose.diagnosis import diagnose

        return diagnose(self, fits, r_hat, ess)

    @checked
    def congenial(self, formula: str) -> "Findings":
        """List what an analysis asks for and the imputation models do not hold.

        Parameters
        ----------
        formula
            The analysis, as for `fit`; ``cluster_mean(x)`` is the cluster mean of x.

        Returns
        -------
        Findings
            As `bayesimpute.congenial` gives it; empty if the models hold all.
        """
        from bayesimpute.congeniality.check import check

        return check(formula, self.specification)

    @checked
    def predictive(
        self, variable: str, draws: Count = 100, seed: Seed | None = None
    ) -> "xr.DataTree":
        """Draw a target's observed values anew from the posterior of its imputation model.

        The model is not fitted again: each chain goes on from where it stands, on its own completed
        data, by `draws` visits that leave the chain itself as it is.

        Parameters
        ----------
        variable
            Target with a model; not a computed (passive) one.
        draws
            Draws along each chain.
        seed
            Of the draws; by default that of the run. The same seed gives the same bits.

        Returns
        -------
        xarray.DataTree
            In ArviZ's schema, chain = imputation: ``posterior_predictive`` [chain, draw, row],
            ``observed_data`` [row], ``log_likelihood`` [chain, draw, row] (of each observed value
            given parameters and cluster effects; missing for methods that copy observed values)
            and ``posterior`` [chain, draw, …]. Rows are those the model is fitted to: positions in
            the user's frame, or clusters for a level-2 target; ``cluster`` is a coordinate of
            them. Categories are codes, their labels in the attribute ``categories``. With matching,
            no row is its own donor. δ-adjustment is of missing values and is left out. Of a
            selection model, everything is given that the value is seen; of a joint block, given
            the other variables of the block.

        Raises
        ------
        SpecificationError
            If the variable has no model, or the chains have not moved yet.

        Examples
        --------
        >>> import bayesimpute as bi
        >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
        >>> imp = bi.impute(
        ...     study.incomplete, cluster="school", method="normal", m=2, iterations=1, seed=1,
        ...     progress=False,
        ... )
        >>> tree = imp.predictive("popular", draws=50)
        >>> sorted(tree.children)
        ['log_likelihood', 'observed_data', 'posterior', 'posterior_predictive']
        """
        from bayesimpute.checking.predictive import predictive_tree
        from bayesimpute.result.restored import require_callables

        require_callables(self.specification)
        seed = self.seed if seed is None else seed
        return predictive_tree(self.specification, self.history, variable, draws, seed)

    @checked
    def overimpute(
        self,
        variables: str | Sequence[str] | None = None,
        draws: Count | None = None,
        level: Level = 0.90,
        seed: Seed | None = None,
    ) -> "Overimputation":
        """Predict every observed cell as if it were missing, and see how often that is right.

        Nothing is fitted again: a cell is taken out of the posterior by importance weights
        (PSIS-LOO), with Pareto k to say whether that works.

        Parameters
        ----------
        variables
            Targets with a model; by default all.
        draws
            Draws along each chain; by default 500 in all.
        level
            Of the intervals.
        seed
            Of the draws; by default that of the run.

        Returns
        -------
        Overimputation
            With ``table``, ``cells``, ``by_cluster()``, ``calibration(variable)`` and ``plot()``.

        Raises
        ------
        SpecificationError
            If a variable has no model, or `draws` are too few.
        """
        from bayesimpute.checking.overimputation import overimpute
        from bayesimpute.result.restored import require_callables

        require_callables(self.specification)
        seed = self.seed if seed is None else seed
        return overimpute(self.specification, self.history, variables, draws, level, seed)

    @checked
    def compare_models(
        self,
        variable: str,
        models: Mapping[str, Any],
        draws: Count = 200,
        unit: Literal["row", "cluster"] = "row",
        imputations: Count | None = None,
        seed: Seed | None = None,
    ) -> "ModelComparison":
        """Compare imputation models of one variable by what they predict without having seen it.

        Parameters
        ----------
        variable
            Target, whose observed values are predicted.
        models
            Label -> model: a formula (``"y ~ x + (1 | school)"``), a method, or a dict with some
            of ``method``, ``formula``, ``options`` and ``priors``; what is not given is as in this
            run, so ``{}`` is the model that imputes the variable.
        draws
            Draws for each completed data set; at least 100.
        unit
            What is left out: ``"row"``, or ``"cluster"``, the question for variables that are
            missing in whole clusters.
        imputations
            Number of chains on whose completed data the models are fitted; by default 5, or m if
            that is less.
        seed
            Of the draws; by default that of the run.

        Returns
        -------
        ModelComparison
            With ``table`` (elpd, difference, standard errors by Rubin's rules, p_loo, stacking
            weight, Pareto k), ``pointwise`` and ``plot()``.

        Raises
        ------
        SpecificationError
            If a model cannot be built, has no density, or gives a density of another kind.

        Examples
        --------
        >>> import bayesimpute as bi
        >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=160)
        >>> imp = bi.impute(
        ...     study.incomplete, cluster="school", m=2, iterations=1, seed=1, progress=False
        ... )
        >>> found = imp.compare_models(
        ...     "popular",
        ...     {"nothing": {"method": "normal", "formula": "popular ~ 1"},
        ...      "teacher": {"method": "normal", "formula": "popular ~ teachpop + (1 | school)"}},
        ...     draws=100,
        ... )
        >>> found.table.index[0]
        'teacher'
        """
        from bayesimpute.checking.compare import compare_models
        from bayesimpute.result.restored import require_callables

        require_callables(self.specification)
        seed = self.seed if seed is None else seed
        return compare_models(
            self.specification, self.history, variable, models, draws, unit, imputations, seed
        )

    @checked
    def plot_ppc(
        self,
        variable: str,
        *,
        draws: Count | None = None,
        seed: Seed | None = None,
        ax: "Axes | None" = None,
        figsize: FigureSize | None = None,
    ) -> "Figure":
        """Observed values over data sets that the imputation model would have them be.

        See `bayesimpute.plots.predictive.plot_ppc`; `draws` along each chain, by default 50 in all.
        """
        from bayesimpute.checking.replay import modelled, refuse_censored
        from bayesimpute.plots.predictive import plot_ppc

        refuse_censored(modelled(self.specification, variable, "plot_ppc"), "plot_ppc")
        draws = -(-50 // self.m) if draws is None else draws
        return plot_ppc(self.predictive(variable, draws, seed), ax=ax, figsize=figsize)

    @checked
    def plot_loo_pit(
        self,
        variable: str,
        *,
        draws: Count | None = None,
        seed: Seed | None = None,
        ax: "Axes | None" = None,
        figsize: FigureSize | None = None,
    ) -> "Figure":
        """Where observed values lie in predictions that have not seen them, against uniform.

        See `bayesimpute.plots.pit.plot_loo_pit`; `draws` along each chain, by default 500 in all.
        """
        from bayesimpute.checking.loo import loo_pit
        from bayesimpute.plots.pit import plot_loo_pit
        from bayesimpute.result.restored import require_callables

        require_callables(self.specification)
        seed = self.seed if seed is None else seed
        found = loo_pit(self.specification, self.history, variable, draws, seed)
        return plot_loo_pit(found, ax=ax, figsize=figsize)

    @checked
    def plot_trace(
        self,
        variables: str | Sequence[str] | None = None,
        *,
        ax: Places | None = None,
        axes: Places | None = None,
        figsize: FigureSize | None = None,
    ) -> "Figure":
        """Mean and SD, or shares of categories, by iteration, a line for each chain.

        See `bayesimpute.plots.trace.plot_trace`.
        """
        from bayesimpute.plots.trace import plot_trace

        return plot_trace(self, variables, ax=ax, axes=axes, figsize=figsize)

    @checked
    def cells(self, variable: str, by: str | None = None) -> pd.DataFrame:
        """Observed and imputed cells of one variable as one tidy frame, for pictures of one's own.

        Parameters
        ----------
        variable
            An imputed variable. One of level 2 counts every cluster once.
        by
            A column of the data, copied beside the cells as ``facet``; none by default.

        Returns
        -------
        pandas.DataFrame
            A row a cell, index that of the data: ``.imp``, 0 for observed cells and 1 … m;
            ``value``, a number or a category; ``seen``, ``"observed"`` or ``"imputed"``; with `by`
            also ``facet``. A cell imputed although it was observed is among both.

        Raises
        ------
        SpecificationError
            If the variable was not imputed or has no imputed cell, or `by` is no other column.

        Examples
        --------
        >>> import bayesimpute as bi
        >>> df = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80).incomplete
        >>> imp = bi.impute(df, m=2, iterations=1, method="sample", seed=1, progress=False)
        >>> imp.cells("popular", by="sex").columns.tolist()
        ['.imp', 'value', 'seen', 'facet']
        """
        from bayesimpute.plots.tidy import cells

        return cells(self, variable, by)

    @checked
    def plot_density(
        self,
        variable: str,
        *,
        by: str | None = None,
        groups: Any = None,
        ax: Places | None = None,
        figsize: FigureSize | None = None,
    ) -> "Figure":
        """Distribution of the observed and of the imputed values of one variable.

        See `bayesimpute.plots.density.plot_density`.
        """
        from bayesimpute.plots.density import plot_density

        return plot_density(self, variable, by=by, groups=groups, ax=ax, figsize=figsize)

    @checked
    def plot_strip(
        self,
        variable: str,
        *,
        by: str | None = None,
        groups: Any = None,
        ax: Places | None = None,
        figsize: FigureSize | None = None,
    ) -> "Figure":
        """Values of one variable, observed and of every imputation beside each other.

        See `bayesimpute.plots.strip.plot_strip`.
        """
        from bayesimpute.plots.strip import plot_strip

        return plot_strip(self, variable, by=by, groups=groups, ax=ax, figsize=figsize)

    @checked
    def plot_box(
        self,
        variable: str,
        *,
        by: str | None = None,
        groups: Any = None,
        ax: Places | None = None,
        figsize: FigureSize | None = None,
    ) -> "Figure":
        """Box plots of one variable, observed and of every imputation; shares of categories.

        See `bayesimpute.plots.box.plot_box`.
        """
        from bayesimpute.plots.box import plot_box

        return plot_box(self, variable, by=by, groups=groups, ax=ax, figsize=figsize)

    @checked
    def plot_xy(
        self,
        x: str,
        y: str,
        *,
        imputation: Any = 1,
        by: str | None = None,
        groups: Any = None,
        log: str = "",
        ax: Places | None = None,
        figsize: FigureSize | None = None,
    ) -> "Figure":
        """Two variables of the completed data, rows with an imputed value in their own colour.

        See `bayesimpute.plots.xy.plot_xy`.
        """
        from bayesimpute.plots.xy import plot_xy

        return plot_xy(
            self, x, y,
            imputation=imputation, by=by, groups=groups, log=log, ax=ax, figsize=figsize,
        )  # fmt: skip

    @checked
    def plot_chains(
        self,
        kind: str = "trace",
        variable: str | Sequence[str] | None = None,
        parameters: str | Sequence[str] | None = None,
        *,
        discard: CountOrNone = 0,
        backend: str | None = None,
        figsize: FigureSize | None = None,
        **options: Any,
    ) -> "PlotCollection":
        """Trace, rank, autocorrelation, ESS … of chains and of model parameters, by arviz-plots.

        See `bayesimpute.plots.chains.plot_chains`.
        """
        from bayesimpute.plots.chains import plot_chains

        return plot_chains(
            self, kind, variable, parameters,
            discard=discard, backend=backend, figsize=figsize, **options,
        )  # fmt: skip

    @checked
    def plot_predictors(
        self,
        *,
        ax: "Axes | None" = None,
        figsize: FigureSize | None = None,
    ) -> "Figure":
        """Predictor matrix as it was used, with the methods beside it.

        See `bayesimpute.plots.predictors.plot_predictors`.
        """
        from bayesimpute.plots.predictors import plot_predictors

        return plot_predictors(self.predictors, self.method, ax=ax, figsize=figsize)

    @checked
    def plot_prior_predictive(
        self,
        variable: str,
        *,
        draws: Count = 500,
        seed: Seed | None = None,
        ax: "Axes | None" = None,
        figsize: FigureSize | None = None,
    ) -> "Figure":
        """Observed values of a target over what its model expects before it has seen them.

        See `bayesimpute.plots.prior.plot_prior_predictive`.
        """
        from bayesimpute.plots.prior import plot_prior_predictive

        tree = self.prior_predictive(variable, draws, seed)
        return plot_prior_predictive(tree, ax=ax, figsize=figsize)

    @checked
    def report(
        self,
        path: str | PathLike[str],
        analyses: Mapping[str, Any] | None = None,
        title: str | None = None,
        *,
        checks: bool = False,
        written_at: str | None = None,
    ) -> "Path":
        """Write one self-contained HTML page: data, gaps, models, diagnostics, analyses.

        See `bayesimpute.report.page.report`.
        """
        from bayesimpute.report.page import report

        return report(self, path, analyses, title, checks=checks, written_at=written_at)

    @checked
    def to_netcdf(self, path: str | PathLike[str]) -> None:
        """Write everything to one netCDF file, for ``bi.open`` and ``arviz.from_netcdf``.

        See `bayesimpute.result.storage.to_netcdf`.
        """
        from bayesimpute.result.storage import to_netcdf

        to_netcdf(self, path)

    def __repr__(self) -> str:
        return summary.text(self.specification, self.history)

    def _repr_html_(self) -> str:
        return summary.html(self.specification, self.history)
