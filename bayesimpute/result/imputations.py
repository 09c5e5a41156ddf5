"""`Imputations`: m completed data sets, and everything that shows how they came about."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, overload

import pandas as pd

from bayesimpute.engine.history import History
from bayesimpute.events import events_table
from bayesimpute.result import completion, summary, tree
from bayesimpute.result.identification import identification, warn_of_prior
from bayesimpute.specification.specification import Specification

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.analysis import Fits


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
        """Every automatic action, one row each, in the order they happened."""
        return events_table(self.history.events)

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

    def complete(
        self, action: int | str | Sequence[int] = 1, include: bool = False
    ) -> pd.DataFrame | list[pd.DataFrame]:
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

    def model(self, variable: str, imputation: int = 1) -> "pm.Model":
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

    def identification(self) -> pd.DataFrame:
        """How far the data, and not the prior, speak of ρ in each selection model.

        Returns
        -------
        pandas.DataFrame
            For each target imputed by ``heckman``, ``heckman.robust`` or ``heckman.binary`` one
            row for the population of clusters (``cluster`` missing), then one for each cluster: the
            exclusion restriction (predictors of the selection only), its strength (largest
            |mean| / SD of its coefficients), posterior mean and 90 % interval of ρ,
            prior-to-posterior contraction ``1 − var / prior var`` and overlap (area under both
            densities; of a cluster, both with the spread over clusters integrated out), the two of
            atanh ρ; of a cluster ``own``, the share of its spread around the population that its
            own rows have removed (near 0 where it has nothing seen); and a verdict. From the
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

    def prior_predictive(
        self, variable: str, draws: int = 500, seed: int | None = None
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

    def extend(
        self,
        iterations: int,
        executor: Executor | None = None,
        progress: bool | None = None,
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

        Returns
        -------
        Imputations
            A new object; this one stays as it is.

        Raises
        ------
        SpecificationError
            If the result was opened from a file and used callables (own methods, priors, post)
            that were not given again to ``bi.open``.

        Warns
        -----
        ImputationWarning
            The data say little of a selection model's ρ.
        """
        from bayesimpute.engine.run import go_on
        from bayesimpute.result.restored import require_callables
        from bayesimpute.specification.arguments import check_run_arguments

        check_run_arguments(self.m, iterations, self.seed, executor, "raise", progress)
        require_callables(self.specification)
        history = go_on(
            self.specification, self.history, iterations, executor=executor, progress=progress
        )
        warn_of_prior(self.specification, history)
        return Imputations(self.specification, history)

    def fit(self, formula: str | Callable[[pd.DataFrame], Any], **options: Any) -> "Fits":
        """Fit one analysis model to every completed data set; ``.pool()`` combines the fits.

        Parameters
        ----------
        formula
            ``"popular ~ texp + sex + (1 | school)"``, ``"y ~ x"``, or a callable that takes a
            completed frame.
        **options
            Of `bayesimpute.analysis.fit`, such as ``family="binomial"``.
        """
        from bayesimpute.analysis import fit

        return fit(self.complete("all"), formula, **options)

    def convergence(self, parameter: str = "mean") -> pd.DataFrame:
        """Autocorrelation and potential scale reduction by variable and iteration, as mice has.

        Parameters
        ----------
        parameter
            ``"mean"`` (default, as in mice) or ``"sd"`` of the imputed cells; ``"all"``: both.
        """
        from bayesimpute.diagnostics import convergence

        return convergence(self.history.chain_mean, self.history.chain_sd, parameter=parameter)

    def diagnostics(self, discard: int = 0) -> pd.DataFrame:
        """R-hat, effective sample sizes, Monte Carlo errors and divergences of every quantity.

        Parameters
        ----------
        discard
            First iterations to leave out; see `bayesimpute.diagnostics.diagnostics`.
        """
        from bayesimpute.diagnostics import diagnostics

        return diagnostics(self.datatree, discard)

    def plot_trace(
        self,
        variables: Sequence[str] | None = None,
        *,
        axes: Any = None,
        figsize: tuple[float, float] | None = None,
    ) -> "Figure":
        """Mean and SD of the imputed cells by iteration, a line for each chain.

        See `bayesimpute.plots.trace.plot_trace`.
        """
        from bayesimpute.plots.trace import plot_trace

        return plot_trace(self, variables, axes=axes, figsize=figsize)

    def plot_density(
        self,
        variable: str,
        *,
        ax: "Axes | None" = None,
        figsize: tuple[float, float] | None = None,
    ) -> "Figure":
        """Distribution of the observed and of the imputed values of one variable.

        See `bayesimpute.plots.density.plot_density`.
        """
        from bayesimpute.plots.density import plot_density

        return plot_density(self, variable, ax=ax, figsize=figsize)

    def plot_prior_predictive(
        self,
        variable: str,
        *,
        draws: int = 500,
        seed: int | None = None,
        ax: "Axes | None" = None,
        figsize: tuple[float, float] | None = None,
    ) -> "Figure":
        """Observed values of a target over what its model expects before it has seen them.

        See `bayesimpute.plots.prior.plot_prior_predictive`.
        """
        from bayesimpute.plots.prior import plot_prior_predictive

        tree = self.prior_predictive(variable, draws, seed)
        return plot_prior_predictive(tree, ax=ax, figsize=figsize)

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
