"""Evidence that the chains converged: mice's statistics by iteration, ArviZ's by quantity.

m imputations are m chains and an iteration is a draw. The R-hat here are rank-normalised split
R-hats, the larger of the bulk's and the folded draws' one [1]_.

References
----------
.. [1] Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), Rank-normalization, folding, and
   localization: an improved R-hat, Bayesian Analysis 16, 667-718.
.. [2] Oberman, van Buuren & Vink (2021), Missing the point: non-convergence in iterative
   imputation algorithms, arXiv 2110.11951: ac and psrf as mice shows them.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayesimpute.data.names import original_pair, original_text
from bayesimpute.errors import SpecificationError

if TYPE_CHECKING:
    import xarray as xr

#: ArviZ needs this many draws a chain for split R-hat and for ESS.
FEWEST_DRAWS = 4

#: Share of draws beside the commonest value below which no test of ranks or correlations holds.
FEWEST_OFF = 0.5

PARAMETERS = ("mean", "sd")

#: What the tree calls a share of imputed cells, and a moment of them (`role` of the variable).
SHARES, MOMENTS = "shares", "imputed values"
#: Attribute of a parameter of several runs: their number.
RUNS = "runs"


def rstan_rhat(chains: ArrayLike) -> float:
    """Rank-normalised split R-hat with the numbers of rstan 2.21's ``Rhat``.

    It differs from ArviZ's in details: ranks become normal scores by (r − 1/2)/S, the draws are
    folded around their median before the chains are split, and there is no fewest number of
    draws. Two or three iterations, which leave one draw in each half, are split into an early and
    a late group of all chains.

    Parameters
    ----------
    chains
        (iteration, chain), or (iteration,) for one chain.

    Returns
    -------
    float
        NaN if a draw is not finite, all are equal, or there are too few.

    Examples
    --------
    >>> round(rstan_rhat([[1, 2], [3, 1], [2, 4], [4, 3]]), 3)
    1.08
    """
    draws = np.asarray(chains, dtype=float)
    draws = draws[:, None] if draws.ndim == 1 else draws
    if draws.shape[0] < 2 or not np.isfinite(draws).all() or np.ptp(draws) == 0:
        return float("nan")
    folded = np.abs(draws - np.median(draws))
    values = [_rhat(_normal_scores(_halves(each))) for each in (draws, folded)]
    return float(max(values)) if not np.isnan(values).any() else float("nan")


def _halves(draws: np.ndarray) -> np.ndarray:
    """First and last half of each chain as chains of their own; an odd middle draw is left out."""
    half = draws.shape[0] // 2
    first, last = draws[:half], draws[-half:]
    if half == 1:
        return np.column_stack([first[0], last[0]])
    return np.hstack([first, last])


def _normal_scores(draws: np.ndarray) -> np.ndarray:
    from scipy import stats

    ranks = stats.rankdata(draws).reshape(draws.shape)
    scores: np.ndarray = stats.norm.ppf((ranks - 0.5) / draws.size)
    return scores


def _rhat(draws: np.ndarray) -> float:
    n, chains = draws.shape
    if n < 2 or chains < 2:
        return float("nan")
    between = n * draws.mean(axis=0).var(ddof=1)
    within = draws.var(axis=0, ddof=1).mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt((between / within + n - 1) / n))


def autocorrelation(chains: np.ndarray) -> np.ndarray:
    """Compute mice's ``ac``: at iteration t the mean, over iterations 2 … t, of a correlation.

    The correlation is taken across the m chains, of an iteration with the one before. Where the
    chains all agree at an iteration it is undefined and counts as 0.

    Parameters
    ----------
    chains
        (iteration, chain).

    Returns
    -------
    ndarray (iteration,)
        NaN at iteration 1, and from the first draw on that is NaN.
    """
    centred = chains - chains.mean(axis=1, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=1))
    product = norm[1:] * norm[:-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = (centred[1:] * centred[:-1]).sum(axis=1) / product
    correlation = np.where(product == 0, 0.0, correlation)
    if chains.shape[1] < 2:
        correlation = np.full(correlation.shape, np.nan)
    return np.concatenate([[np.nan], np.cumsum(correlation) / np.arange(1, len(chains))])


def convergence(
    chain_mean: Mapping[str, np.ndarray],
    chain_sd: Mapping[str, np.ndarray],
    parameter: str = "mean",
    monitored: Mapping[str, np.ndarray] | None = None,
    shares: Mapping[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Show what mice's ``convergence`` shows: ac and psrf of each variable, up to each iteration.

    Parameters
    ----------
    chain_mean, chain_sd
        Variable -> (m, iterations): mean and SD of the imputed cells.
    parameter
        ``"mean"`` (default, as in mice) or ``"sd"``, of category codes for categories;
        ``"share"``: of the imputed cells in each category; ``"monitor"``: what ``monitor=``
        follows; ``"all"`` for all that there are, with a first column ``parameter`` telling which.
    monitored
        Monitor -> (m, iterations) or, one after the other, its elements by ``"name[element]"``.
    shares
        ``"variable[category]"`` -> (m, iterations).

    Returns
    -------
    DataFrame
        Columns ``.it``, ``vrb``, ``ac``, ``psrf``, one variable after the other. ``psrf`` is
        `rstan_rhat` of the chains up to that iteration (at iteration 1 of the m values as one
        chain), ``ac`` is `autocorrelation`. NaN where they are undefined.

    Raises
    ------
    SpecificationError
        An unknown `parameter`.

    Examples
    --------
    >>> chains = {"bmi": np.array([[26.0, 27.0], [25.0, 28.0], [27.0, 26.0]])}
    >>> convergence(chains, chains)["ac"].round(2).tolist()
    [nan, -1.0]
    """
    further = {"monitor": monitored or {}, "share": shares or {}}
    chosen = {"mean": chain_mean, "sd": chain_sd, **further}
    if parameter == "all":
        wanted = (*PARAMETERS, *(name for name, chains in further.items() if chains))
        tables = {
            name: convergence(chain_mean, chain_sd, name, monitored, shares) for name in wanted
        }
        stacked = pd.concat(tables, names=["parameter"])
        return stacked.reset_index("parameter").reset_index(drop=True)
    if parameter not in chosen:
        raise SpecificationError(
            f"parameter is {parameter!r}; convergence knows 'share', 'monitor', 'mean', 'sd' and "
            "'all'."
        )
    columns: dict[str, list[np.ndarray]] = {".it": [], "vrb": [], "ac": [], "psrf": []}
    for variable, by_chain in chosen[parameter].items():
        draws = np.asarray(by_chain, dtype=float).T
        upto = [draws[:t] if t > 1 else draws[0] for t in range(1, len(draws) + 1)]
        columns[".it"].append(np.arange(1, len(draws) + 1))
        columns["vrb"].append(np.array([variable] * len(draws), dtype=object))
        columns["ac"].append(autocorrelation(draws))
        columns["psrf"].append(np.array([rstan_rhat(each) for each in upto]))
    joined = {name: np.concatenate(parts) for name, parts in columns.items() if parts}
    table = pd.DataFrame(joined or {name: np.empty(0) for name in columns})
    return table.astype({"vrb": "str"})


def by_element(
    monitored: Mapping[str, np.ndarray], labels: Mapping[str, tuple[str, ...]]
) -> dict[str, np.ndarray]:
    """Give every number that is monitored a name and an array (m, iterations) of its own.

    Examples
    --------
    >>> list(by_element({"fit": np.zeros((2, 3, 2))}, {"fit": ("x", "z")}))
    ['fit[x]', 'fit[z]']
    """
    return {
        f"{name}[{labels[name][k]}]" if draws.ndim == 3 else name: each
        for name, draws in monitored.items()
        for k, each in enumerate(np.moveaxis(draws, -1, 0) if draws.ndim == 3 else [draws])
    }


def diagnostics(datatree: "xr.DataTree", discard: int = 0) -> pd.DataFrame:
    """Convergence and precision of every quantity the chains recorded, one row each.

    Parameters
    ----------
    datatree
        With the group ``posterior``, names ``"<target>.<parameter>"``, dimensions (chain, draw) and
        at most one more, whose labels name its entries; and if there, ``monitor`` of the same
        form, and ``sample_stats`` with ``"<target>.diverging"``.
    discard
        First iterations to leave out, none by default: the chains start spread out on purpose,
        and an R-hat over all iterations is what mice shows and tells whether they have met.
        Give half of the iterations to look at the stationary part alone.

    Returns
    -------
    DataFrame
        ``variable`` (target, or name of a monitor), ``quantity`` (``"mean"``, ``"share[low]"``,
        ``"beta[sex]"``; of a monitor ``"monitor"`` or ``"monitor[element]"``), ``mean``, ``sd``,
        ``r_hat`` (rank-normalised), ``ess_bulk``, ``ess_tail`` (of the 5 % and 95 % quantiles, the
        smaller), ``mcse_mean``, ``mcse_sd`` as ArviZ computes them, ``divergences`` of the target's
        sampler. NaN for a constant quantity and with fewer than 4 draws a chain; R-hat also with
        one chain. Of the imputed values there are mean and SD of numbers, the share of each
        category, and the share of the second of two; where shares are not known, because the run
        is of an older file, mean and SD of the category codes 1, 2, …. Of runs that were bound
        there are no parameters, which each run centres in its own way.

    Raises
    ------
    SpecificationError
        `discard` leaves no iteration.
    """
    draws = datatree["posterior"].sizes.get("draw", 0)
    if not 0 <= discard < max(draws, 1):
        raise SpecificationError(
            f"discard={discard} leaves none of the {draws} iterations; give 0 to {draws - 1}."
        )
    diverging = _divergences(datatree, discard)
    rows = [
        {
            "variable": target,
            "quantity": quantity,
            **summarised(values),
            "divergences": diverging.get(target, 0),
        }
        for (target, quantity), values in quantities(datatree, discard)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def quantities(
    datatree: "xr.DataTree", discard: int = 0
) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """Give (variable, quantity) and the draws (m, iterations kept) of all that is judged."""
    kept = slice(discard, None)
    groups = [judged(datatree["posterior"].to_dataset().isel(draw=kept))]
    if "monitor" in datatree.children:
        groups.append(datatree["monitor"].to_dataset().isel(draw=kept))
    for group in groups:
        for target, quantity, values in _quantities(group):
            yield (target, quantity), values


def judged(posterior: "xr.Dataset") -> "xr.Dataset":
    """Leave out what says nothing, or nothing new, of whether chains have converged.

    Mean and SD of category codes go where the shares are known: codes of categories without order
    have no mean, and chains may differ in shares that make the same mean. Of two categories the
    share of the second is kept, the other being 1 less it. Shares that are not known for every
    iteration (of a run that goes on from an older file) go, and mean and SD of the codes stay.
    Parameters of runs that were bound go: each run has its intercept at the centre of predictors
    that it has filled in itself at first, so that chains of different runs do not meet.
    """
    kept = posterior = posterior.drop_vars(
        [name for name, each in posterior.data_vars.items() if RUNS in each.attrs]
    )
    for name, array in posterior.data_vars.items():
        if array.attrs.get("role") != SHARES:
            continue
        if not np.isfinite(array.values).all():
            kept = kept.drop_vars([name])
            continue
        target = quantity_of(array, name)[0]
        kept = kept.drop_vars(
            [
                moment
                for moment, each in posterior.data_vars.items()
                if each.attrs.get("role") == MOMENTS and quantity_of(each, moment)[0] == target
            ]
        )
        term = str(array.dims[-1])
        if array.sizes[term] == 2:
            kept = kept.isel({term: [1]})
    return kept


COLUMNS = (
    "variable",
    "quantity",
    "mean",
    "sd",
    "r_hat",
    "ess_bulk",
    "ess_tail",
    "mcse_mean",
    "mcse_sd",
    "divergences",
)


def _divergences(datatree: "xr.DataTree", discard: int) -> dict[str, int]:
    if "sample_stats" not in datatree.children:
        return {}
    statistics = datatree["sample_stats"].to_dataset().isel(draw=slice(discard, None))
    return {
        quantity_of(array, name)[0]: int(np.nansum(array.values))
        for name, array in statistics.data_vars.items()
        if str(name).endswith(".diverging")
    }


def quantity_of(array: "xr.DataArray", name: object) -> tuple[str, str]:
    """Give the user's names of column (or monitor) and quantity; the tree's own may differ."""
    target, quantity = original_pair(str(name))
    told = array.attrs
    return (
        original_text(str(told["target"])) if "target" in told else target,
        original_text(str(told["quantity"])) if "quantity" in told else quantity or target,
    )


def _quantities(posterior: "xr.Dataset") -> Iterator[tuple[str, str, np.ndarray]]:
    """Target, label and (chain, draw) array of every scalar of the posterior."""
    for name, array in posterior.data_vars.items():
        target, parameter = quantity_of(array, name)
        inner = [dim for dim in array.dims if dim not in ("chain", "draw")]
        values = array.transpose("chain", "draw", *inner).values
        labels = [array[dim].values if dim in array.coords else range(array.sizes[dim])
                  for dim in inner]  # fmt: skip
        for at in np.ndindex(values.shape[2:]):
            label = ", ".join(original_text(str(labels[axis][i])) for axis, i in enumerate(at))
            yield target, f"{parameter}[{label}]" if inner else parameter, values[:, :, *at]


def summarised(values: np.ndarray) -> dict[str, float]:
    """Moments and diagnostics of one quantity, (chain, draw); NaN where there is none."""
    import arviz

    draws = np.asarray(values, dtype=float)
    unknown = float("nan")
    result = {
        "mean": float(draws.mean()),
        "sd": float(draws.std(ddof=1)) if draws.size > 1 else unknown,
        "r_hat": r_hat(draws),
        **dict.fromkeys(("ess_bulk", "ess_tail", "mcse_mean", "mcse_sd"), unknown),
    }
    if not _varies(draws):
        return result
    with np.errstate(divide="ignore", invalid="ignore"):
        result["ess_bulk"] = float(arviz.ess(draws, method="bulk"))
        result["ess_tail"] = float(arviz.ess(draws, method="tail", prob=(0.05, 0.95)))
        result["mcse_mean"] = float(arviz.mcse(draws, method="mean"))
        result["mcse_sd"] = float(arviz.mcse(draws, method="sd"))
    return result


def r_hat(draws: np.ndarray) -> float:
    """R-hat of ArviZ, rank-normalised and split.

    Parameters
    ----------
    draws
        (chain, iteration).

    Returns
    -------
    float
        NaN with one chain, fewer than 4 iterations, a draw that is not finite, or a constant;
        infinite if chains differ and none of them moves.
    """
    import arviz

    if len(draws) < 2 or not _varies(draws):
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(arviz.rhat(draws, method="rank"))


def off_the_commonest(draws: np.ndarray) -> np.ndarray:
    """Which draws are not the commonest value, bool (chain, iteration).

    Where most draws are one value, as the share 0 of a category that is hardly ever imputed, the
    others are all that is seen of the chains.

    Examples
    --------
    >>> off_the_commonest(np.array([[0.0, 0.1], [0.0, 0.0]])).tolist()
    [[False, True], [False, False]]
    """
    values, counts = np.unique(draws, return_counts=True)
    return np.asarray(draws != values[counts.argmax()])


def _varies(draws: np.ndarray) -> bool:
    """Whether there are draws enough that differ."""
    if draws.shape[1] < FEWEST_DRAWS or not np.isfinite(draws).all():
        return False
    return bool(np.ptp(draws) > 1e-12 * np.abs(draws).max())
