"""The m posteriors in one form, mixed into one, and how well the sampler did in each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.adapters_draws import (
    SAMPLE,
    chosen_variables,
    is_posterior,
    posterior_dataset,
    scalar_draws,
)
from bayesimpute.wording import listed

if TYPE_CHECKING:
    import xarray as xr


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

    if is_posterior(posterior):
        return posterior_dataset(posterior)
    if isinstance(posterior, Mapping) and not isinstance(posterior, xr.Dataset | xr.DataTree):
        arrays = {str(name): np.asarray(value) for name, value in posterior.items()}
        for name, array in arrays.items():
            if array.ndim < 2:
                raise AnalysisError(
                    f"Imputation {number}: {name!r} has the shape {array.shape}; draws are arrays "
                    "(chain, draw, …), a single chain array[None]."
                )
        return xr.Dataset(
            {
                name: ((*SAMPLE, *(f"{name}_dim_{i}" for i in range(array.ndim - 2))), array)
                for name, array in arrays.items()
            }
        )
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
        if dim not in SAMPLE and dim in first.coords and dim in dataset.coords
    }
    reordered: xr.Dataset = dataset.sel(labelled)
    return reordered.transpose(*SAMPLE, ...)


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

    found: Any = None
    if isinstance(posterior, xr.DataTree):
        found = posterior["sample_stats"] if "sample_stats" in posterior.children else None
    else:
        found = getattr(posterior, "sample_stats", None)
    if isinstance(found, xr.DataTree):
        found = found.to_dataset()
    if not isinstance(found, xr.Dataset):
        return xr.Dataset()
    whole = [k for k, array in found.data_vars.items() if set(array.dims) == set(SAMPLE)]
    return found[whole]


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
        flat = []
        for dataset, chosen in zip(datasets, picks, strict=True):
            values = dataset[name].transpose(*SAMPLE, *inner).values
            flat.append(values.reshape(-1, *values.shape[2:])[chosen])
        by_chain = np.concatenate(flat, axis=1)
        shuffled = np.stack([by_chain[c][order[c]] for c in range(len(order))])
        columns[name] = xr.Variable((*SAMPLE, *inner), shuffled, first.attrs)
    kept = {
        name: coord
        for name, coord in datasets[0].coords.items()
        if not set(coord.dims) & set(SAMPLE)
    }
    shape = {"chain": len(order), "draw": len(order[0])}
    return xr.Dataset(columns, {**kept, **{dim: np.arange(n) for dim, n in shape.items()}})


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
    return {
        name: np.stack([np.concatenate(values, axis=1)[c][order[c]] for c in range(len(order))])
        for name, values in parts.items()
    }


#: Columns of the table, all NaN for a constant; `r_hat` also with one chain.
SAMPLER_COLUMNS = ("mean", "sd", "r_hat", "ess_bulk", "ess_tail", "mcse_mean")


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
        Index (term, imputation); `SAMPLER_COLUMNS`: posterior mean and SD, rank-normalised split
        R-hat, bulk and tail (5 % and 95 %) effective sample sizes, Monte-Carlo error of the mean.
    """
    arviz = array_statistics()
    means, variances, ess = summaries(draws)
    shape = (*means.shape, len(SAMPLER_COLUMNS))
    table = np.full(shape, np.nan)
    table[..., 0], table[..., 1] = means, np.sqrt(variances)
    with np.errstate(divide="ignore", invalid="ignore"):
        table[..., 5] = np.sqrt(variances / ess)
    for i, values in enumerate(draws.values):
        moving = ~_constant(values)
        if not moving.any():
            continue
        chosen, axes = values[..., moving], {"chain_axis": 0, "draw_axis": 1}
        if len(values) > 1:
            table[i, moving, 2] = arviz.rhat(chosen, method="rank", **axes)
        table[i, moving, 3] = arviz.ess(chosen, method="bulk", **axes)
        table[i, moving, 4] = arviz.ess(chosen, method="tail", prob=(0.05, 0.95), **axes)
    index = pd.MultiIndex.from_product(
        [draws.terms, range(1, draws.m + 1)], names=["term", "imputation"]
    )
    flat = table.transpose(1, 0, 2).reshape(-1, len(SAMPLER_COLUMNS))
    return pd.DataFrame(flat, index=index, columns=list(SAMPLER_COLUMNS))


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
