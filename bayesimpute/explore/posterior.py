"""The posterior of one conditional model on data without gaps, by the kernels that impute."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from bayesimpute.arguments import Within
from bayesimpute.data.names import safe_pair, safe_text
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.method import Array, Design
from bayesimpute.registry import resolve
from bayesimpute.wrappers.base import inner_kernel

if TYPE_CHECKING:
    import xarray as xr

#: Split R-hat and ESS need a few draws a chain to be numbers, and some to mean anything.
FEWEST_DRAWS = 20
#: Draws of a chain.
type ChainDraws = Annotated[int, Within(FEWEST_DRAWS)]

#: A visit of an imputation takes four transitions, so as to forget the last one; where draws are
#: averaged, forgetting buys less than it costs. On the collapsed normal posterior one transition is
#: nearly independent of the last. The sweeps of other models depend more on their tuning, which is
#: shared by all chains.
FORGETTING: Mapping[str, int] = MappingProxyType({"transitions": 1})
OTHER_OPTIONS: Mapping[str, int] = MappingProxyType({"transitions": 2, "tune": 200})


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws of a model's population parameters.

    Attributes
    ----------
    draws
        Parameter -> (chain, draw), or (chain, draw, element).
    labels
        Parameter -> labels of its elements, () for a scalar.
    divergences
        Divergent transitions over all chains.
    seed
        That gives the same draws again.
    """

    draws: Mapping[str, Array]
    labels: Mapping[str, tuple[str, ...]]
    divergences: int
    seed: int

    def tree(self, target: str) -> "xr.DataTree":
        """ArviZ's form: group ``posterior``, variables ``"<target>.<parameter>"``."""
        import xarray as xr

        chains, n = next(iter(self.draws.values())).shape[:2]
        variables, coordinates = {}, {"chain": np.arange(chains), "draw": np.arange(n)}
        for name, values in self.draws.items():
            own = f"{name}_element"
            several = values.ndim > 2
            if several:
                coordinates[own] = np.array(list(map(safe_text, self.labels[name])), dtype=str)
            variables[safe_pair(target, name)] = xr.DataArray(
                values,
                dims=("chain", "draw", own) if several else ("chain", "draw"),
                attrs={"target": safe_text(target), "quantity": name},
            )
        dataset = xr.Dataset(variables, coords=coordinates)
        return xr.DataTree.from_dict({"posterior": dataset})


def sample_posterior(
    method: str,
    design: Design,
    priors: Mapping[str, Any] | None,
    draws: int,
    chains: int,
    seed: int,
) -> Posterior:
    """Run chains of a model one after the other.

    Parameters
    ----------
    method
        Canonical name.
    design
        All rows to fit to, none to draw.
    priors
        Parameter -> PyMC distribution, in place of the method's default.
    draws
        Kept of each chain.
    chains
        Their number; each starts dispersed around the posterior.
    seed
        Of the draws.

    Raises
    ------
    SpecificationError
        If a prior is of a parameter the model does not have.
    SamplingError
        If the model cannot be sampled.
    """
    implementation = resolve(method)
    forgets = getattr(implementation, "forgets_at_once", False)
    options = {**implementation.options, **(FORGETTING if forgets else OTHER_OPTIONS)}
    kernel = inner_kernel(method, design, dict(priors or {}), options)
    tuning, *streams = np.random.SeedSequence(seed).spawn(1 + chains)
    kept: dict[str, list[list[Any]]] = {name: [] for name in kernel.labels}
    divergences = 0.0
    try:
        adaptation = kernel.adapt(design, np.random.default_rng(tuning))
        for child in streams:
            rng = np.random.default_rng(child)
            for values in kept.values():
                values.append([])
            visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
            for _ in range(draws):
                visit = kernel.visit(design, adaptation, visit.state, rng, False)
                divergences += float(visit.statistics.get("diverging", 0.0))
                for name, values in kept.items():
                    values[-1].append(np.copy(visit.parameters[name]))
    except (ArithmeticError, ValueError, RuntimeError) as error:
        if isinstance(error, SpecificationError):
            raise
        raise SamplingError(
            f"The {method} model of {design.target!r} could not be sampled: {error}. Tighter "
            "priors (priors=) may help."
        ) from error
    arrays = {name: np.array(values, dtype=np.float64) for name, values in kept.items()}
    return Posterior(arrays, kernel.labels, int(divergences), seed)
