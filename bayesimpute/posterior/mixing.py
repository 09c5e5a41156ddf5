"""Equal numbers of draws of every imputation, mixed into one DataTree."""

from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.adapters_draws import SAMPLE
from bayesimpute.posterior.draws import Draws

if TYPE_CHECKING:
    import xarray as xr


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
