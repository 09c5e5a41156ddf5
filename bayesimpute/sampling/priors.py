"""Users' priors: putting them into a model, and reading what the collapsed models need."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.errors import SpecificationError
from bayesimpute.wording import did_you_mean

Array = npt.NDArray[np.float64]


def attach(distribution: Any, name: str, dims: str | tuple[str, ...] | None = None) -> Any:
    """Register a copy of an unnamed distribution as parameter `name` of the current model.

    A copy, because registering names a variable, and the user's object serves several models.

    Parameters
    ----------
    distribution
        As made by ``pm.Normal.dist(0, 1)``; a scalar one is repeated over `dims`.
    name
        Parameter name.
    dims
        Dim or dims of the parameter, None for a scalar.

    Returns
    -------
    pytensor.tensor.TensorVariable
    """
    import pymc as pm
    import pytensor
    from pymc.distributions.shape_utils import change_dist_size
    from pytensor.graph.replace import clone_replace
    from pytensor.graph.traversal import ancestors
    from pytensor.tensor.random.type import RandomType

    model = pm.modelcontext(None)
    generators = {
        variable: pytensor.shared(variable.get_value(borrow=False))
        for variable in ancestors([distribution])
        if isinstance(variable.type, RandomType) and hasattr(variable, "get_value")
    }
    copy = clone_replace(distribution, replace=generators, rebuild_strict=False)
    if isinstance(dims, str):
        dims = (dims,)
    if dims is not None and copy.ndim == 0:
        copy = change_dist_size(copy, tuple(model.dim_lengths[dim] for dim in dims))
    return model.register_rv(copy, name=name, dims=dims)


def check_names(target: str, priors: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse priors for parameters the model does not have, or that are no distributions.

    Raises
    ------
    SpecificationError
        Naming the parameter, the ones there are, and the nearest.
    """
    names = list(known)
    for name, prior in priors.items():
        if name not in names:
            raise SpecificationError(
                f"priors: the model of {target!r} has no parameter {name!r}; "
                f"it has {', '.join(names)}.{did_you_mean(name, names)}"
            )
        check_distribution(target, name, prior)


def check_distribution(target: str, name: str, prior: Any) -> None:
    """Refuse a prior that is no PyMC distribution.

    Raises
    ------
    SpecificationError
        Naming the parameter and how a prior is written.
    """
    if getattr(prior, "owner", None) is None:
        raise SpecificationError(
            f"priors: the prior of {target!r}'s parameter {name!r} is {prior!r}, not a PyMC "
            "distribution; write for example pm.HalfNormal.dist(1)."
        )


def value_of(parameter: Any) -> Array:
    """Value of a parameter of a prior; ``eval`` would compile a function even for a constant.

    Raises
    ------
    SpecificationError
        If it is random: its value would be one draw of it.
    """
    from pytensor.graph.basic import Constant
    from pytensor.graph.traversal import ancestors
    from pytensor.tensor.random.type import RandomType

    if any(isinstance(variable.type, RandomType) for variable in ancestors([parameter])):
        raise SpecificationError(
            "priors: a parameter of a prior is a distribution itself, as in "
            "pm.Normal.dist(pm.Normal.dist(0, 1), 1); give numbers, or write the model as a "
            "function builder(design)."
        )
    value = parameter.data if isinstance(parameter, Constant) else parameter.eval()
    return np.asarray(value, dtype=float)


def normal_moments(
    prior: Any, size: int | tuple[int, ...], default_mean: Any, default_sd: Any
) -> tuple[Array, Array] | None:
    """Mean and SD, of `size` each, of a normal prior or of the default; None for another family.

    Raises
    ------
    SpecificationError
        If the prior is of another size, or no distribution.
    """
    if prior is None:
        return np.broadcast_to(default_mean, size) * 1.0, np.broadcast_to(default_sd, size) * 1.0
    if type(prior.owner.op).__name__ != "NormalRV":
        return None
    mean, sd = (value_of(part) for part in prior.owner.inputs[-2:])
    wanted = size if isinstance(size, tuple) else (size,)
    if prior.ndim and not _fits(prior.type.shape, wanted):
        raise SpecificationError(
            f"priors: a normal prior is of shape {prior.type.shape}, and what it is of has shape "
            f"{wanted}; give pm.Normal.dist(0, 1) for all alike, or as many as there are."
        )
    if not (np.isfinite(mean) & np.isfinite(sd) & (sd > 0.0)).all():
        raise SpecificationError(
            f"priors: pm.Normal.dist({mean}, {sd}) is no distribution; a normal prior has a finite "
            "mean and an SD above 0."
        )
    return np.broadcast_to(mean, size) * 1.0, np.broadcast_to(sd, size) * 1.0


def _fits(shape: tuple[int | None, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a shape, in which None is not known, can be another."""
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(n in (None, w) for n, w in pairs)


def lkj_eta(prior: Any, default: float) -> float | None:
    """Concentration of an LKJ correlation prior or of the default; None for another family."""
    if prior is None:
        return default
    if "LKJCorr" not in type(prior.owner.op).__name__:
        return None
    return float(value_of(prior.owner.inputs[-1]))
