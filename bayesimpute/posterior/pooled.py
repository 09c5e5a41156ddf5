"""`PooledPosterior`: m posteriors as one, how much of its width is missing information; enough m.

How many imputations are enough: for repeatable standard errors, estimates and intervals.

**Standard errors.** Replicated imputation of the same data gives another standard error each time,
with a coefficient of variation of γ / √(2 (m − 1)), where γ is the fraction of missing information.
A wanted CV therefore needs m = 1 + ½ (γ / CV)², von Hippel's quadratic rule. γ is itself estimated
from a first stage with few imputations; the upper end of its 95 % interval,
logit γ ± 1.96 √(2/m), makes a second stage too small in one of forty studies only [1]_.

**Estimates and interval ends.** θ̄ has the Monte-Carlo variance B∞/m, the ends of θ̄ ± z √T have
B∞/m + z² T γ² / (2 m) (mean and variance of a normal sample are independent). White, Royston & Wood
ask that the Monte-Carlo error of an estimate be at most 10 % of its standard error [2]_; the same
is asked of interval ends here. For posteriors the Monte-Carlo errors are those of the table, which
assume no normality; they shrink with √m because every imputation brings draws of its own.

References
----------
.. [1] von Hippel (2020), How many imputations do you need? A two-stage calculation using a
   quadratic rule, Sociological Methods & Research 49, 699-718.
.. [2] White, Royston & Wood (2011), Multiple imputation using chained equations: issues and
   guidance for practice, Statistics in Medicine 30, 377-399.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesimpute import html
from bayesimpute.analysis import Fits
from bayesimpute.arguments import Count, Level, Positive, Seed, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError, warn
from bayesimpute.pooling.pooled import Pooled
from bayesimpute.pooling.reported import scalar_draws
from bayesimpute.pooling.rubin import RULES
from bayesimpute.posterior.draws import (
    Draws,
    aligned,
    array_statistics,
    by_imputation,
    divergences,
    mixed,
    moments,
    quantile_error,
    summaries,
)
from bayesimpute.wording import listed, nearest

if TYPE_CHECKING:
    import xarray as xr


type Interval = Literal["eti", "hdi"]
#: Mixed draws whose SD falls this far short of Rubin's T are worth a warning.
MOST_SHORTFALL = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class PooledPosterior(html.Told):
    """The posterior given the observed data: draws of m posteriors mixed in equal numbers.

    Attributes
    ----------
    datatree
        The mixed draws, for every function of ArviZ. Chain c mixes chain c of all imputations in
        random order; ``imputation``, ``source_chain`` and ``source_draw`` are coordinates of each
        draw. R-hat and MCSE that ArviZ computes from it are those of the mixture, as if its draws
        were independent: `diagnostics` and `table` have the ones that know of m and of each
        sampler.
    table
        Index ``term``; columns

        - ``mean``; ``sd``, ``low``, ``high`` and ``p_positive`` (the chance of θ > 0) of the mixed
          draws;
        - ``mcse_mean``: Monte-Carlo standard error of the mean, of which ``mcse_within`` shrinks
          with longer chains and ``mcse_between`` with more imputations; ``mcse_low``,
          ``mcse_high`` those of the interval's ends;
        - ``within``, ``between``, ``t``: mean posterior variance, variance of the posterior means
          without its Monte-Carlo part, and total W + (1 + 1/m) B; ``df`` of a t interval from
          them;
        - ``fmi``, ``fmi_low``, ``fmi_high``: median and 95 % interval of the fraction of missing
          information, B∞ / (W + B∞).

        `bayesimpute.posterior.draws` has the formulas.
    m
        Number of imputations.
    ci_prob, ci_kind
        Of the interval ``low`` to ``high``.
    divergences
        Divergent transitions by imputation; missing where a posterior has no sampler statistics.
    """

    datatree: "xr.DataTree"
    table: pd.DataFrame
    m: int
    ci_prob: float
    ci_kind: str
    divergences: pd.Series
    _draws: Draws = field(repr=False)

    @cached_property
    def by_imputation(self) -> pd.DataFrame:
        """Posterior and sampler of each imputation by itself.

        Returns
        -------
        pandas.DataFrame
            Index (term, imputation); mean, sd, r_hat, ess_bulk, ess_tail, mcse_mean. R-hat is
            NaN with a single chain.
        """
        return by_imputation(self._draws)

    @property
    def moments_by_imputation(self) -> pd.DataFrame:
        """Posterior mean and SD of each imputation, without what takes ArviZ longer.

        Returns
        -------
        pandas.DataFrame
            Index (imputation, term); mean and sd.
        """
        means, variances, _ = summaries(self._draws)
        index = pd.MultiIndex.from_product(
            [range(1, self.m + 1), self._draws.terms], names=["imputation", "term"]
        )
        columns = {"mean": means.ravel(), "sd": np.sqrt(variances).ravel()}
        return pd.DataFrame(columns, index=index)

    def diagnostics(self) -> pd.DataFrame:
        """Whether each sampler converged, and apart from it how far the imputations differ.

        An R-hat over the chains of all imputations would call their differences, which are the
        missing information, a failure of the sampler (brms issue 582). So R-hat and effective
        sample sizes are those within the worst imputation, and what lies between imputations is a
        variance ratio.

        Returns
        -------
        pandas.DataFrame
            Index ``term``. Within: ``r_hat`` (largest), ``r_hat_imputation`` (which),
            ``r_hat_above`` (number of imputations above 1.01), ``ess_bulk`` and ``ess_tail``
            (smallest), ``divergences`` (sum). Between: ``variance_ratio`` B / W, ``fmi``,
            ``mcse_ratio`` (Monte-Carlo error of the mean by total SD) and ``sd_shortfall``, by how
            much the mixed draws are narrower than √T because m is finite.

        Examples
        --------
        >>> rng = np.random.default_rng(1)
        >>> each = [{"slope": rng.normal(i % 2, 1, (2, 200))} for i in range(10)]
        >>> found = pool_posteriors(each).diagnostics()
        >>> bool(found["r_hat"].max() < 1.05)  # all imputations in one R-hat: 1.12
        True
        """
        within = self.by_imputation
        grouped = within.groupby(level="term", sort=False)
        r_hat = within["r_hat"].unstack("term").reindex(columns=self.table.index)
        worst = r_hat.fillna(-np.inf).idxmax().astype("Int64")
        table = pd.DataFrame(index=self.table.index)
        table["r_hat"] = r_hat.max()
        table["r_hat_imputation"] = worst.where(table["r_hat"].notna())
        table["r_hat_above"] = (r_hat > 1.01).sum()
        table["ess_bulk"] = grouped["ess_bulk"].min()
        table["ess_tail"] = grouped["ess_tail"].min()
        table["divergences"] = self.divergences.sum(min_count=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            table["variance_ratio"] = self.table["between"] / self.table["within"]
            table["fmi"] = self.table["fmi"]
            table["mcse_ratio"] = self.table["mcse_mean"] / np.sqrt(self.table["t"])
            table["sd_shortfall"] = self._shortfall()
        return table

    @property
    def estimates(self) -> pd.DataFrame:
        """`table` under the names that ``bi.plot_estimates`` and ``bi.compare_estimates`` read.

        Returns
        -------
        pandas.DataFrame
            estimate, std_error, conf_low, conf_high, df, fmi by term.
        """
        names = {"mean": "estimate", "sd": "std_error", "low": "conf_low", "high": "conf_high"}
        return self.table[[*names, "df", "fmi"]].rename(columns=names)

    @checked
    def to_datatree(self, by_imputation: bool = False) -> "xr.DataTree":
        """Give the draws as a DataTree of their own, free to be changed.

        Parameters
        ----------
        by_imputation
            False (default): mixed, as `datatree` is. True: unmixed, chain = imputation, for trace
            and forest plots that show one next to the other; chains of an imputation follow one
            another along ``draw``. Its R-hat is the false alarm that `diagnostics` avoids.

        Returns
        -------
        xarray.DataTree
        """
        import xarray as xr

        if not by_imputation:
            return self.datatree.copy(deep=True)
        groups = {}
        for name, group in self.datatree.children.items():
            stacked = group.to_dataset().stack(sample=("chain", "draw"))
            origin = stacked["imputation"].values
            order = np.lexsort(
                (stacked["source_draw"].values, stacked["source_chain"].values, origin)
            )
            sets = stacked.isel(sample=order).drop_vars(["sample", "chain", "draw"])
            each = {"chain": np.arange(1, self.m + 1), "draw": np.arange(len(order) // self.m)}
            index = pd.MultiIndex.from_product(list(each.values()), names=list(each))
            coords = xr.Coordinates.from_pandas_multiindex(index, "sample")
            groups[name] = sets.drop_vars(["imputation"]).assign_coords(coords).unstack("sample")
        return xr.DataTree.from_dict(
            {name: group.transpose("chain", "draw", ...) for name, group in groups.items()}
        )

    def _shortfall(self) -> pd.Series:
        """1 − SD of the mixture / √T, by term."""
        short = 2 / self.m * self.table["between"] / self.table["t"]
        return 1 - np.sqrt(np.clip(1 - short, 0, 1))

    def _said(self) -> Iterator[str | pd.DataFrame]:
        total = self.divergences.sum(min_count=1)
        diverged = "" if pd.isna(total) or not total else f"; {total:,} divergences"
        draws = self.datatree.attrs.get("draws_per_imputation")
        per = self.datatree["posterior"].attrs.get("draws_per_imputation", draws)
        yield (
            f"Posteriors of {self.m} imputations mixed, {per:,} draws each; "
            f"{self.ci_prob:.0%} {self.ci_kind.upper()}{diverged}"
        )
        shown = ["mean", "sd", "low", "high", "p_positive", "mcse_mean", "fmi", "fmi_low"]
        yield self.table[[*shown, "fmi_high"]].round(4)


@checked
def pool_posteriors(
    posteriors: Iterable[Any] | Mapping[Any, Any],
    draws: Count | None = None,
    names: Sequence[str] | None = None,
    *,
    ci_prob: Level = 0.95,
    ci_kind: Interval = "eti",
    seed: Seed | None = None,
) -> PooledPosterior:
    """Mix the posteriors of m completed data sets into the posterior given the observed data.

    p(θ | observed) is the mean of p(θ | completed) over the distribution of the missing values,
    so draws of every imputation's posterior in equal numbers are draws of it (Gelman et al. 2013;
    Zhou & Reiter 2010). No normality is assumed, unlike by Rubin's rules; but m should be 100 or
    so, because the mixture of few is too narrow.

    Parameters
    ----------
    posteriors
        One an imputation: what ``pm.sample`` or Bambi's ``fit`` returns, any DataTree with a
        group ``posterior``, a Dataset with the dimensions chain and draw, or a dict of arrays
        (chain, draw, …).
    draws
        Draws taken of each imputation, evenly spaced. None (default) takes as many as the
        shortest posterior has. Means, variances and Monte-Carlo errors always come from all.
    names
        Variables to pool; all by default. Leave out effects of hundreds of clusters that are not
        reported: every scalar of them gets its diagnostics.
    ci_prob
        Probability of the interval; 0.95, as the confidence intervals of ``pool``.
    ci_kind
        ``"eti"`` (default, equal tails) or ``"hdi"`` (shortest).
    seed
        Of the order of the mixed draws.

    Returns
    -------
    PooledPosterior

    Raises
    ------
    AnalysisError
        Fewer than two posteriors, or they differ in variables or labels; draws that are not
        finite or too few; an unknown name.

    Warns
    -----
    ImputationWarning
        Divergences in some imputation, or m so small that the mixture is more than 5 % narrower
        than Rubin's total variance says.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., chapter 18;
    Zhou & Reiter (2010), A note on Bayesian inference after multiple imputation,
    The American Statistician 64, 159-163.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> each = [{"slope": rng.normal(rng.normal(1, 0.1), 0.2, (2, 500))} for _ in range(40)]
    >>> pooled = pool_posteriors(each, seed=1)
    >>> float(pooled.table.loc["slope", "mean"].round(1))
    1.0
    >>> pooled.datatree["posterior"]["imputation"].sizes["draw"]
    20000
    """
    found = aligned(posteriors, names)
    tree = mixed(found, draws, np.random.default_rng(seed))
    table = _table(found, tree, ci_prob, ci_kind)
    pooled = PooledPosterior(tree, table, found.m, ci_prob, ci_kind, divergences(found), found)
    _warn(pooled)
    return pooled


def _table(draws: Draws, tree: "xr.DataTree", ci_prob: float, ci_kind: str) -> pd.DataFrame:
    found = moments(*summaries(draws))
    values = scalar_draws(tree["posterior"].to_dataset())[1]
    flat = values.reshape(-1, values.shape[2])
    interval = getattr(array_statistics(), ci_kind)
    ends = np.array([interval(flat[:, j], prob=ci_prob) for j in range(flat.shape[1])])
    within_error = found.monte_carlo / draws.m
    between_error = found.between / draws.m
    columns = {
        "mean": found.mean,
        "sd": flat.std(axis=0, ddof=1),
        "low": ends[:, 0],
        "high": ends[:, 1],
        "p_positive": (flat > 0).mean(axis=0),
        "mcse_mean": np.sqrt(within_error + between_error),
        "mcse_within": np.sqrt(within_error),
        "mcse_between": np.sqrt(between_error),
        "mcse_low": quantile_error(ends[:, 0], draws.values),
        "mcse_high": quantile_error(ends[:, 1], draws.values),
        "within": found.within,
        "between": found.between,
        "t": found.total,
        "df": found.df,
        "fmi": found.fmi,
        "fmi_low": found.fmi_low,
        "fmi_high": found.fmi_high,
    }
    return pd.DataFrame(columns, index=pd.Index(draws.terms, name="term"))


def _warn(pooled: PooledPosterior) -> None:
    diverged = pooled.divergences[pooled.divergences.fillna(0) > 0]
    if len(diverged):
        warn(
            f"{diverged.sum()} divergent transitions in imputation {listed(diverged.index)}: "
            "those posteriors may be biased; look at pooled.divergences, and reparametrise or "
            "raise target_accept."
        )
    short = pooled._shortfall()
    if short.max() > MOST_SHORTFALL:
        term = short.idxmax()
        warn(
            f"The mixed draws of {term!r} are {short.max():.0%} narrower than they would be with "
            f"many imputations: m = {pooled.m} is few for them. Impute more (bi.recommend_m says "
            "how many; 100 is usual), or use Rubin's rules: mean, t and df of the table."
        )


#: A variance between imputations needs two.
FEWEST = 2


@checked
def recommend_m(
    analysis: Any,
    cv: Positive = 0.05,
    mc_error: Positive = 0.1,
    terms: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Say how many imputations an analysis needs, from one with a few.

    Parameters
    ----------
    analysis
        What ``pool()`` or ``pool_posteriors`` gave, or the fits of ``imp.fit``, of a first stage
        with m = 5 to 20.
    cv
        Wanted coefficient of variation of the standard errors: 0.05 (default, as von Hippel's)
        keeps a repetition's within about 10 %.
    mc_error
        Largest Monte-Carlo error of estimates and interval ends, in standard errors (posterior:
        √T). 0.1 is White, Royston & Wood's.
    terms
        Those that matter; all by default.

    Returns
    -------
    pandas.DataFrame
        Index ``term``: fraction of missing information ``fmi`` with its 95 % interval; imputations
        needed for the standard error (``m_std_error``, from the upper end of that interval), the
        estimate (``m_estimate``) and the interval's ends (``m_interval``); ``m``, the largest of
        them. The largest ``m`` of the table serves all terms.

    Raises
    ------
    AnalysisError
        Another object, another rule than Rubin's, m = 1, a cv or mc_error that is not positive,
        an unknown term.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> from bayesimpute.pooling.pooled import pool
    >>> pooled = pool(rng.normal(0, 1, (20, 1)), np.ones((20, 1)), terms=["sex"])
    >>> recommend_m(pooled)["m_std_error"].to_list()
    [36]
    """
    pooled = analysis.pool() if isinstance(analysis, Fits) else analysis
    if not isinstance(pooled, Pooled | PooledPosterior):
        raise AnalysisError(
            f"recommend_m takes a pooled analysis or fits, not {type(analysis).__name__}: "
            "recommend_m(imp.fit(…).pool())."
        )
    if pooled.m < FEWEST:
        raise AnalysisError("m = 1 says nothing of missing information; impute with m = 5 to 20.")
    if isinstance(pooled, Pooled):
        require_missing_information(pooled, "recommend_m")
    chosen = list(pooled.table.index) if terms is None else list(terms)
    for term in chosen:
        if term not in pooled.table.index:
            raise AnalysisError(f"There is no term {term!r}{nearest(term, pooled.table.index)}")
    table = pooled.table.loc[chosen]
    fmi, errors = (
        _of_posterior(table) if isinstance(pooled, PooledPosterior) else _of_rubin(pooled, table)
    )
    result = pd.DataFrame(fmi, index=table.index)
    result["m_std_error"] = imputations_for(result["fmi_high"].to_numpy(), cv)
    for name, error in errors.items():
        result[name] = whole(pooled.m * (error / mc_error) ** 2)
    result["m"] = result[["m_std_error", *errors]].max(axis=1)
    return result


def require_missing_information(pooled: Pooled, place: str) -> None:
    """Refuse synthetic data, which say nothing of how many imputations are enough.

    Raises
    ------
    AnalysisError
        If a rule other than Rubin's pooled them.
    """
    if pooled.rule != "rubin1987":
        raise AnalysisError(
            f"{place}: by {RULES[pooled.rule].name} there is no fraction of missing information; "
            "give an analysis of imputed data, pooled by Rubin's rules."
        )


def imputations_for(fmi: Any, cv: float) -> NDArray[np.int64]:
    """Von Hippel's m = 1 + ½ (γ / CV)², rounded up, at least 2.

    Parameters
    ----------
    fmi
        γ, a number or (k,).
    cv
        Coefficient of variation of the standard error.

    Examples
    --------
    >>> imputations_for([0.1, 0.5, 0.9], 0.05)
    array([  3,  51, 163])
    """
    return whole(1 + (np.asarray(fmi, dtype=float) / cv) ** 2 / 2)


def fmi_interval(fmi: Any, m: int) -> tuple[Array, Array]:
    """Give von Hippel's 95 % interval, logit γ ± 1.96 √(2/m).

    Examples
    --------
    >>> [end.round(2).tolist() for end in fmi_interval([0.4], 20)]
    [[0.26], [0.55]]
    """
    from scipy import special, stats

    share = np.clip(np.asarray(fmi, dtype=float), 0, 1)
    reach = stats.norm.ppf(0.975) * np.sqrt(2 / m)
    centre = special.logit(share)
    return special.expit(centre - reach), special.expit(centre + reach)


def whole(numbers: Any) -> NDArray[np.int64]:
    """Round up to whole imputations, at least 2; what is undefined counts as none."""
    # Rounding errors must not ask for one more.
    filled = np.nan_to_num(np.asarray(numbers, dtype=float), nan=0.0, posinf=0.0)
    return np.maximum(np.ceil(filled - 1e-9), FEWEST).astype(np.int64)


def _of_posterior(table: pd.DataFrame) -> tuple[dict[str, Array], dict[str, Array]]:
    total = np.sqrt(table["t"].to_numpy())
    ends = table[["mcse_low", "mcse_high"]].max(axis=1).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = {
            "m_estimate": table["mcse_mean"].to_numpy() / total,
            "m_interval": ends / total,
        }
    return {name: table[name].to_numpy() for name in ("fmi", "fmi_low", "fmi_high")}, errors


def _of_rubin(pooled: Pooled, table: pd.DataFrame) -> tuple[dict[str, Array], dict[str, Array]]:
    from scipy import stats

    fmi = table["fmi"].to_numpy()
    low, high = fmi_interval(fmi, pooled.m)
    total = table["t"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = table["b"].to_numpy() / total / pooled.m
    z = stats.norm.ppf((1 + pooled.conf_level) / 2)
    ends = mean + z**2 * fmi**2 / (2 * pooled.m)
    return (
        {"fmi": fmi, "fmi_low": low, "fmi_high": high},
        {"m_estimate": np.sqrt(mean), "m_interval": np.sqrt(ends)},
    )
