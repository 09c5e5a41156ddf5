"""The m posteriors brought to one form, with the same quantities in the same order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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
