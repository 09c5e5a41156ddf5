"""The m posteriors in one form, mixed into one; how they vary within and between imputations.

In imputation i = 1 … m the posterior of a scalar θ has the mean θ̂_i and the variance U_i, both
computed from draws whose effective number for the mean is n_i::

    θ̄ = mean(θ̂_i)     W = mean(U_i)     V = Σ (θ̂_i − θ̄)² / (m − 1)
    E = mean(U_i / n_i)            Monte-Carlo variance of a θ̂_i, part of V without being imputation
    B = max(V − E, 0)              variance between imputations
    T = W + (1 + 1/m) B            total posterior variance, m being finite (BDA3, section 18.2)
    ν = (m − 1) / λ²,  λ = (1 + 1/m) B / T                                      (Rubin 1987, 3.1)

**Bayesian fraction of missing information.** With infinitely many imputations the posterior
variance is W + B∞, and the share B∞ / (W + B∞) of it is there because data are missing. The θ̂_i
scatter around the posterior mean with variance V∞ = B∞ + E, and given V∞ (m − 1) V / V∞ is χ² with
m − 1 degrees of freedom; with the flat prior on log V∞ that is its posterior too (Rubin 1987, 3.1;
BDA3, section 2.6). So the p-quantile of V∞ is (m − 1) V / χ²_{m−1}(1 − p), and as the share grows
with V∞ its quantiles are::

    γ_p = B_p / (W + B_p),     B_p = max((m − 1) V / χ²_{m−1}(1 − p) − E, 0)

W counts as known: the U_i differ little between imputations, so their mean is known far better than
a variance of m numbers is. For large m the interval becomes von Hippel's, logit γ ± 1.96 √(2/m).

**Monte-Carlo error.** That of θ̄ is √(V/m), of which √(E/m) would be gone with longer chains and
√(B/m) with more imputations. The end q of an interval is a quantile of the mixture F = mean(F_i);
F(q) is a mean of m independent numbers F_i(q), so its standard error is SD(F_i(q)) / √m, and that
of q is this divided by the density at q.

References
----------
.. [1] Rubin (1987), Multiple Imputation for Nonresponse in Surveys, section 3.1.
.. [2] Gelman, Carlin, Stern, Dunson, Vehtari & Rubin (2013), Bayesian Data Analysis (BDA3),
   3rd ed., chapter 18.
.. [3] Zhou & Reiter (2010), A note on Bayesian inference after multiple imputation,
   The American Statistician 64, 159-163: draws are mixed, and m should be 100 or more.
.. [4] von Hippel (2020), How many imputations do you need?, Sociological Methods & Research 49,
   699-718.
.. [5] Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), Rank-normalization, folding, and
   localization: an improved R-hat, Bayesian Analysis 16, 667-718: R-hat, ESS and MCSE.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.reported import (
    SAMPLE,
    chosen_variables,
    is_posterior,
    labelled_group,
    scalar_draws,
)
from bayesimpute.wording import listed

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Moments:
    """Variances of k pooled scalars; every attribute has the shape (k,).

    Attributes
    ----------
    mean
        θ̄.
    within, between, total
        W, B and T.
    monte_carlo
        E, the Monte-Carlo variance of one imputation's mean.
    df
        ν, infinite where B is 0.
    fmi, fmi_low, fmi_high
        Median and central 95 % interval of the fraction of missing information; NaN where
        nothing varies.
    """

    mean: Array
    within: Array
    between: Array
    total: Array
    monte_carlo: Array
    df: Array
    fmi: Array
    fmi_low: Array
    fmi_high: Array


def moments(means: Array, variances: Array, ess: Array) -> Moments:
    """Combine m posterior means, variances and effective numbers of draws, (m, k) each.

    Examples
    --------
    >>> each = np.full((3, 1), 400)
    >>> found = moments(np.array([[1.0], [1.2], [0.8]]), np.full((3, 1), 0.04), each)
    >>> found.between.round(4), found.total.round(4)
    (array([0.0399]), array([0.0932]))
    """
    m = len(means)
    within = variances.mean(axis=0)
    observed = means.var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        monte_carlo = np.where(variances > 0, variances / ess, 0.0).mean(axis=0)
        between = np.maximum(observed - monte_carlo, 0)
        total = within + (1 + 1 / m) * between
        share = (1 + 1 / m) * between / total
        df = np.where(between > 0, (m - 1) / share**2, np.inf)
    low, middle, high = (
        missing_information(p, observed, monte_carlo, within, m) for p in (0.025, 0.5, 0.975)
    )
    return Moments(
        means.mean(axis=0), within, between, total, monte_carlo, df, middle, low, high
    )  # fmt: skip


def missing_information(
    p: float, observed: Array, monte_carlo: Array, within: Array, m: int
) -> Array:
    """Give the p-quantile of the fraction of missing information, γ_p above.

    Parameters
    ----------
    p
        Probability.
    observed, monte_carlo, within
        V, E and W, (k,).
    m
        Number of imputations.

    Examples
    --------
    >>> one, none = np.ones(1), np.zeros(1)
    >>> missing_information(0.5, one, none, one, 1001).round(2)
    array([0.5])
    """
    from scipy import stats

    between = np.maximum((m - 1) * observed / stats.chi2.ppf(1 - p, m - 1) - monte_carlo, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Array = between / (within + between)
    return share


def quantile_error(ends: Array, values: Sequence[Array]) -> Array:
    """Monte-Carlo standard error of quantiles of the mixture, within and between together.

    Parameters
    ----------
    ends
        The quantiles, (k,).
    values
        Draws of each imputation, (chain, draw, k).

    Returns
    -------
    ndarray (k,)
        NaN where the mixture has no density, as for a constant.
    """
    flat = [each.reshape(-1, each.shape[-1]) for each in values]
    below = np.array([(each <= ends).mean(axis=0) for each in flat])
    pooled = np.concatenate(flat)
    at = below.mean(axis=0)
    # A third of the tail to either side: enough draws to count, and little curvature.
    reach = np.clip(np.minimum(at, 1 - at) / 3, 1 / len(pooled), None)
    error = np.empty(len(ends))
    for j in range(len(ends)):
        p = np.clip([at[j] - reach[j], at[j] + reach[j]], 0, 1)
        low, high = np.quantile(pooled[:, j], p)
        spread = below[:, j].std(ddof=1) / np.sqrt(len(flat))
        error[j] = spread * (high - low) / (p[1] - p[0]) if high > low else np.nan
    return error


#: ArviZ needs this many draws a chain for split R-hat and for ESS.
FEWEST_DRAWS = 4


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws of m posteriors.

    Attributes
    ----------
    terms
        Names of the k scalars, such as ``"beta[sex]"``.
    values
        One array an imputation, (chain, draw, k); chains and draws may differ in number.
    posteriors
        The same with variables, dimensions and coordinates, one Dataset an imputation.
    statistics
        The samplers' statistics over (chain, draw), one Dataset an imputation, empty without any.
    """

    terms: tuple[str, ...]
    values: tuple[np.ndarray, ...]
    posteriors: "tuple[xr.Dataset, ...]"
    statistics: "tuple[xr.Dataset, ...]"

    @property
    def m(self) -> int:
        """Number of imputations."""
        return len(self.values)


def aligned(posteriors: Iterable[Any], names: Sequence[str] | None) -> Draws:
    """Read the posteriors, and refuse what cannot be mixed.

    Parameters
    ----------
    posteriors
        One an imputation: DataTree, InferenceData, Dataset, or a dict of arrays
        (chain, draw, …).
    names
        Variables to keep; all by default.

    Raises
    ------
    AnalysisError
        Fewer than two, one that is no posterior, other variables or labels than the first, too
        few draws, or draws that are not finite.
    """
    given = list(posteriors.values() if isinstance(posteriors, Mapping) else posteriors)
    if len(given) < 2:
        raise AnalysisError(
            f"pool_posteriors needs the posteriors of two or more imputations, not {len(given)}: "
            "a list with one DataTree (or Dataset, or dict of arrays) for each."
        )
    datasets: list[xr.Dataset] = []
    for number, each in enumerate(given, start=1):
        dataset = _dataset(each, number)
        dataset = dataset[chosen_variables(dataset, names)]
        datasets.append(_like_first(datasets[0], dataset, number) if datasets else dataset)
    values = []
    terms: tuple[str, ...] = ()
    for number, dataset in enumerate(datasets, start=1):
        terms, draws = scalar_draws(dataset)
        _check_draws(terms, draws, number)
        values.append(draws)
    return Draws(terms, tuple(values), tuple(datasets), tuple(map(_statistics, given)))


def _dataset(posterior: Any, number: int) -> "xr.Dataset":
    import xarray as xr

    group = labelled_group(posterior)
    if group is not None and is_posterior(group):
        return group
    if group is None and isinstance(posterior, Mapping):
        arrays = {str(name): np.asarray(value) for name, value in posterior.items()}
        for name, array in arrays.items():
            if array.ndim < 2:
                raise AnalysisError(
                    f"Imputation {number}: {name!r} has the shape {array.shape}; draws are arrays "
                    "(chain, draw, …), a single chain array[None]."
                )
        dims = {
            k: (*SAMPLE, *(f"{k}_dim_{i}" for i in range(v.ndim - 2))) for k, v in arrays.items()
        }
        return xr.Dataset({name: (dims[name], array) for name, array in arrays.items()})
    raise AnalysisError(
        f"Imputation {number} gives {type(posterior).__name__}; give what pm.sample or Bambi's "
        "fit returns, a DataTree with a group 'posterior', a Dataset with the dimensions chain "
        "and draw, or a dict of arrays (chain, draw, …)."
    )


def _like_first(first: "xr.Dataset", dataset: "xr.Dataset", number: int) -> "xr.Dataset":
    """Order variables, dimensions and labels as in imputation 1, matched by label."""
    only = sorted({*map(str, first.data_vars)} ^ {*map(str, dataset.data_vars)})
    if only:
        raise AnalysisError(
            f"Imputations 1 and {number} do not have the same variables: {listed(only)} in one "
            "only; fit the same model to each, or choose with names=."
        )
    dataset = dataset[list(first.data_vars)]
    for name, array in first.data_vars.items():
        if set(array.dims) != set(dataset[name].dims):
            raise AnalysisError(
                f"{name!r} has the dimensions {array.dims} in imputation 1 and "
                f"{dataset[name].dims} in imputation {number}."
            )
        for dim in [each for each in array.dims if each not in SAMPLE]:
            if dim not in array.coords or dim not in dataset.coords:
                same = array.sizes[dim] == dataset.sizes[dim]
            else:
                same = set(array[dim].values.tolist()) == set(dataset[dim].values.tolist())
            if not same:
                raise AnalysisError(
                    f"{name!r} does not have the same entries along {dim!r} in imputations 1 and "
                    f"{number}. A category may be absent from one completed data set."
                )
    labelled = {
        dim: first[dim].values
        for dim in first.dims
        if dim not in SAMPLE
        and dim in first.coords
        and dim in dataset.coords
        and not np.array_equal(first[dim].values, dataset[dim].values)
    }
    twice = [dim for dim in labelled if not dataset.indexes[dim].is_unique]
    if twice:
        raise AnalysisError(
            f"Entries along {twice[0]!r} are in another order in imputation {number} than in "
            "imputation 1, and some have the same label; give each a label of its own."
        )
    reordered: xr.Dataset = dataset.sel(labelled)
    # each variable has an order of dimensions of its own, and no dataset one of them all
    return reordered.assign(
        {name: reordered[name].transpose(*array.dims) for name, array in first.data_vars.items()}
    )


def _check_draws(terms: tuple[str, ...], draws: np.ndarray, number: int) -> None:
    if draws.shape[1] < FEWEST_DRAWS:
        raise AnalysisError(
            f"Imputation {number} has {draws.shape[1]} draws a chain; a Monte-Carlo error needs "
            f"at least {FEWEST_DRAWS}, and a good one hundreds."
        )
    wrong = ~np.isfinite(draws).all(axis=(0, 1))
    if wrong.any():
        raise AnalysisError(
            f"Imputation {number}: draws of {terms[int(np.argmax(wrong))]!r} are not finite."
        )


def _statistics(posterior: Any) -> "xr.Dataset":
    import xarray as xr

    name = "sample_stats"
    tree = isinstance(posterior, xr.DataTree)
    found = posterior.children.get(name) if tree else getattr(posterior, name, None)
    dataset = found.to_dataset() if isinstance(found, xr.DataTree) else found
    if not isinstance(dataset, xr.Dataset):
        return xr.Dataset()
    return dataset[[k for k, each in dataset.data_vars.items() if set(each.dims) == set(SAMPLE)]]


def mixed(draws: Draws, wanted: int | None, rng: np.random.Generator) -> "xr.DataTree":
    """Mix the posteriors.

    Chain c of the result holds draws of chain c of every imputation, in random order: each chain
    is a sample of the same mixture, so R-hat compares mixtures and not imputations.

    Parameters
    ----------
    draws
        Of the m posteriors.
    wanted
        Draws of each imputation; None for all of the one with the fewest.
    rng
        Order of the draws.

    Returns
    -------
    xarray.DataTree
        Group ``posterior`` with the variables and coordinates of the posteriors, and over
        (chain, draw) the coordinates ``imputation`` (1 … m), ``source_chain`` and
        ``source_draw``; the same for ``sample_stats``, as far as all posteriors have them.

    Raises
    ------
    AnalysisError
        More draws wanted than there are.
    """
    import xarray as xr

    chains = min(each.shape[0] for each in draws.values)
    fewest = min(each.shape[0] * each.shape[1] for each in draws.values)
    number = fewest if wanted is None else int(wanted)
    if not chains <= number <= fewest:
        short = min(range(draws.m), key=lambda i: draws.values[i][..., 0].size)
        raise AnalysisError(
            f"draws={wanted}: it must be {chains} to {fewest}, the number of draws that "
            f"imputation {short + 1} has; sample longer, or leave draws= out."
        )
    each = number // chains
    picks = [_picked(values.shape[0] * values.shape[1], each, chains) for values in draws.values]
    order = [rng.permutation(draws.m * each) for _ in range(chains)]
    origin = _origin(draws, picks, order)
    shared = set.intersection(*({*map(str, s.data_vars)} for s in draws.statistics))
    groups = {"posterior": _joined(draws.posteriors, picks, order)}
    if shared:
        kept = tuple(s[sorted(shared)] for s in draws.statistics)
        groups["sample_stats"] = _joined(kept, picks, order)
    attributes = {
        "creation_library": "bayesimpute",
        "imputations": draws.m,
        "draws_per_imputation": each * chains,
    }
    for name, group in groups.items():
        coords = {coord: (SAMPLE, values) for coord, values in origin.items()}
        groups[name] = group.assign_coords(coords).assign_attrs(attributes)
    return xr.DataTree.from_dict(groups)


def _picked(total: int, each: int, chains: int) -> np.ndarray:
    """Positions in the chain-major order, evenly spaced: (chains, each).

    Even spacing keeps more information than a random choice, because neighbours are alike.
    """
    spaced = (np.arange(chains * each) * total) // (chains * each)
    return spaced.reshape(chains, each)


def _joined(
    datasets: "tuple[xr.Dataset, ...]", picks: list[np.ndarray], order: list[np.ndarray]
) -> "xr.Dataset":
    import xarray as xr

    columns = {}
    for name, first in datasets[0].data_vars.items():
        inner = [dim for dim in first.dims if dim not in SAMPLE]
        each = [dataset[name].transpose(*SAMPLE, *inner).values for dataset in datasets]
        flat = [values.reshape(-1, *values.shape[2:]) for values in each]
        shuffled = _shuffled([v[chosen] for v, chosen in zip(flat, picks, strict=True)], order)
        columns[name] = xr.Variable((*SAMPLE, *inner), shuffled, first.attrs)
    coords = datasets[0].coords
    kept = {name: each for name, each in coords.items() if not set(each.dims) & set(SAMPLE)}
    counted = {"chain": np.arange(len(order)), "draw": np.arange(len(order[0]))}
    return xr.Dataset(columns, {**kept, **counted})


def _origin(
    draws: Draws, picks: list[np.ndarray], order: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """Where each mixed draw comes from, (chain, draw) each; imputations count from 1."""
    numbers = [np.full(chosen.shape, i) for i, chosen in enumerate(picks, start=1)]
    lengths = [values.shape[1] for values in draws.values]
    parts = {
        "imputation": numbers,
        "source_chain": [p // n for p, n in zip(picks, lengths, strict=True)],
        "source_draw": [p % n for p, n in zip(picks, lengths, strict=True)],
    }
    return {name: _shuffled(each, order) for name, each in parts.items()}


def _shuffled(parts: Sequence[np.ndarray], order: Sequence[np.ndarray]) -> np.ndarray:
    """Put arrays (chain, draw, …) one after another along draws, each chain in an order."""
    by_chain = np.concatenate(parts, axis=1)
    return np.stack([draws[own] for draws, own in zip(by_chain, order, strict=True)])


def array_statistics() -> Any:
    """Give ArviZ's statistics on plain arrays: a whole posterior in one call."""
    from arviz_stats import base

    return base.array_stats  # type: ignore[attr-defined]


def summaries(draws: Draws) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Posterior mean, variance and effective number of draws for the mean, (m, k) each."""
    arviz = array_statistics()
    means = np.array([each.mean(axis=(0, 1)) for each in draws.values])
    variances = np.array(
        [each.reshape(-1, each.shape[2]).var(axis=0, ddof=1) for each in draws.values]
    )
    ess = np.full(means.shape, np.nan)
    for i, values in enumerate(draws.values):
        moving = ~_constant(values)
        if moving.any():
            ess[i, moving] = arviz.ess(
                values[..., moving], chain_axis=0, draw_axis=1, method="mean"
            )
    return means, np.where(np.isnan(ess), 0.0, variances), ess


def by_imputation(draws: Draws) -> pd.DataFrame:
    """One row for each quantity in each imputation.

    Returns
    -------
    DataFrame
        Index (term, imputation); posterior mean and SD, rank-normalised split R-hat (NaN with one
        chain), bulk and tail (5 % and 95 %) effective sample sizes, Monte-Carlo error of the mean,
        all NaN for a constant.
    """
    arviz = array_statistics()
    means, variances, ess = summaries(draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(variances / ess)
    found = {
        "mean": means,
        "sd": np.sqrt(variances),
        **{name: np.full(means.shape, np.nan) for name in ("r_hat", "ess_bulk", "ess_tail")},
        "mcse_mean": error,
    }
    for i, values in enumerate(draws.values):
        moving = ~_constant(values)
        if not moving.any():
            continue
        chosen, axes = values[..., moving], {"chain_axis": 0, "draw_axis": 1}
        if len(values) > 1:
            found["r_hat"][i, moving] = arviz.rhat(chosen, method="rank", **axes)
        found["ess_bulk"][i, moving] = arviz.ess(chosen, method="bulk", **axes)
        found["ess_tail"][i, moving] = arviz.ess(chosen, method="tail", prob=(0.05, 0.95), **axes)
    index = pd.MultiIndex.from_product(
        [draws.terms, range(1, draws.m + 1)], names=["term", "imputation"]
    )
    return pd.DataFrame({name: each.T.ravel() for name, each in found.items()}, index=index)


def divergences(draws: Draws) -> pd.Series:
    """Divergent transitions of each imputation; missing where its sampler does not tell."""
    counts = [
        int(np.nansum(each["diverging"].values)) if "diverging" in each else pd.NA
        for each in draws.statistics
    ]
    index = pd.RangeIndex(1, draws.m + 1, name="imputation")
    return pd.Series(counts, index=index, dtype="Int64", name="divergences")


def _constant(values: np.ndarray) -> np.ndarray:
    """Which scalars do not move, to rounding, (k,)."""
    range_ = np.ptp(values, axis=(0, 1))
    still: np.ndarray = range_ <= 1e-12 * np.abs(values).max(axis=(0, 1))
    return still
