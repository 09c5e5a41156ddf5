"""Draws of a posterior, whichever package made them, as one array of named scalars."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.errors import AnalysisError
from bayesimpute.wording import did_you_mean, listed

if TYPE_CHECKING:
    import xarray as xr

SAMPLE = ("chain", "draw")


def is_posterior(result: Any) -> bool:
    """Whether an object holds draws with the dimensions chain and draw.

    Examples
    --------
    >>> import xarray as xr
    >>> is_posterior(xr.Dataset({"slope": (("chain", "draw"), [[1.0, 2.0]])}))
    True
    >>> is_posterior({"estimates": [1.0], "std_errors": [0.1]})
    False
    """
    group = _group(result)
    return group is not None and set(SAMPLE) <= {str(dim) for dim in group.dims}


def is_labelled(result: Any) -> bool:
    """Whether an object is a tree or set of labelled arrays, with draws or without."""
    return _group(result) is not None


def posterior_dataset(result: Any) -> "xr.Dataset":
    """Give the group ``posterior`` of what a sampler returned.

    Parameters
    ----------
    result
        A DataTree or InferenceData with the group ``posterior``, or that group itself.
    """
    group = _group(result)
    if group is None:
        raise AnalysisError(f"{type(result).__name__} is no posterior.")
    return group


def _group(result: Any) -> "xr.Dataset | None":
    import xarray as xr

    if isinstance(result, xr.DataTree):
        chosen = result["posterior"] if "posterior" in result.children else result
        return chosen.to_dataset()
    if isinstance(result, xr.Dataset):
        return result
    inner = getattr(result, "posterior", None)  # ArviZ's InferenceData before version 1
    if isinstance(inner, xr.DataTree):
        return inner.to_dataset()
    return inner if isinstance(inner, xr.Dataset) else None


def chosen_variables(dataset: "xr.Dataset", names: Sequence[str] | None) -> list[str]:
    """Variables that have draws, all or those asked for.

    Raises
    ------
    AnalysisError
        One of `names` is not there, or nothing has draws.
    """
    drawn = [str(k) for k, array in dataset.data_vars.items() if set(SAMPLE) <= set(array.dims)]
    if not drawn:
        raise AnalysisError("The posterior has no variable with the dimensions chain and draw.")
    if names is None:
        return drawn
    wanted = [names] if isinstance(names, str) else list(names)
    absent = [name for name in wanted if name not in drawn]
    if absent or not wanted:
        raise AnalysisError(
            f"names: the posterior has no {listed(absent) or 'variable'}; it has "
            f"{listed(drawn, 12)}.{did_you_mean(absent[0] if absent else '', drawn)}"
        )
    return wanted


def scalar_draws(dataset: "xr.Dataset") -> tuple[tuple[str, ...], np.ndarray]:
    """Every scalar of a posterior, named ``"beta[sex]"`` as the diagnostics name it.

    Parameters
    ----------
    dataset
        With variables over chain, draw and any further dimensions.

    Returns
    -------
    names
        (k,).
    draws
        (chain, draw, k), float.

    Raises
    ------
    AnalysisError
        A variable holds no numbers.

    Examples
    --------
    >>> import xarray as xr
    >>> draws = xr.DataArray([[[1, 2]]], dims=("chain", "draw", "x"), coords={"x": ["sex", "age"]})
    >>> scalar_draws(xr.Dataset({"beta": draws}))[0]
    ('beta[sex]', 'beta[age]')
    """
    names: list[str] = []
    columns: list[np.ndarray] = []
    for variable in chosen_variables(dataset, None):
        array = dataset[variable]
        inner = [dim for dim in array.dims if dim not in SAMPLE]
        if array.dtype.kind not in "biuf":
            raise AnalysisError(f"The draws of {variable!r} are not numbers.")
        values = np.asarray(array.transpose(*SAMPLE, *inner).values, dtype=float)
        labels = [
            array[dim].values if dim in array.coords else range(array.sizes[dim]) for dim in inner
        ]
        for at in np.ndindex(values.shape[2:]):
            label = ", ".join(str(labels[axis][i]) for axis, i in enumerate(at))
            names.append(f"{variable}[{label}]" if inner else variable)
        columns.append(values.reshape(*values.shape[:2], -1))
    return tuple(names), np.concatenate(columns, axis=2)
