"""A PyMC model compiled once and sampled on many data sets.

``pm.sample`` compiles at every call, which for a hundred imputations takes longer than sampling
does. Here the model of the first imputation is compiled, and serves every other whose graph is the
same but for the values of its ``pm.Data``: these are put in before its turn.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.errors import AnalysisError
from bayesimpute.sampling.compiled import exact_arithmetic
from bayesimpute.sampling.model_density import ModelDensity
from bayesimpute.sampling.nuts import statistics_of
from bayesimpute.wording import listed

if TYPE_CHECKING:
    import xarray as xr

#: Attempts to find a start with a finite density around PyMC's initial point.
STARTS = 10


class CompiledModel:
    """NUTS for a model, kept alive while its data change.

    Parameters
    ----------
    model
        Of the first data set.

    Raises
    ------
    AnalysisError
        It has discrete unobserved variables, which NUTS cannot move.
    """

    def __init__(self, model: Any) -> None:
        import pymc as pm

        discrete = [v.name for v in model.free_RVs if v.dtype.startswith(("int", "uint", "bool"))]
        if discrete or not model.free_RVs:
            raise AnalysisError(
                f"the model has discrete unobserved variables ({listed(discrete)}), which NUTS "
                "cannot move; sample it yourself: return pm.sample(model=model)."
                if discrete
                else "the model has nothing to sample: all its variables are observed."
            )
        self._model = model
        self._density = ModelDensity(model)
        self._reported = [*model.free_RVs, *model.deterministics]
        with exact_arithmetic():
            self._constrain = pm.compile(
                model.value_vars,
                model.replace_rvs_by_values(self._reported),
                on_unused_input="ignore",
            )
            # machine code is made at the first call
            self._constrain(*self._density.split(self._density.initial))

    def sample(
        self, model: Any, draws: int, tune: int, chains: int, seed: np.random.SeedSequence
    ) -> "xr.DataTree | None":
        """Sample a model of the same graph, with its data; None if its graph is another.

        Parameters
        ----------
        model
            Of another data set.
        draws, tune, chains
            As in ``pm.sample``; every chain adapts by itself.
        seed
            Of this data set.

        Returns
        -------
        xarray.DataTree or None
            ``posterior`` with all unobserved variables, ``sample_stats``.
        """
        import arviz

        if not same_graph(self._model, model):
            return None
        for name, data in _data_of(model).items():
            self._model[name].set_value(data.get_value())
        runs = [
            self._chain(draws, tune, np.random.default_rng(each)) for each in seed.spawn(chains)
        ]
        posterior = {
            variable.name: np.stack([[draw[i] for draw in drawn] for drawn, _ in runs])
            for i, variable in enumerate(self._reported)
        }
        statistics = {
            name: np.stack([[record[name] for record in records] for _, records in runs])
            for name in ("diverging", "acceptance_rate", "tree_depth", "n_steps", "energy", "lp")
        }
        statistics["diverging"] = statistics["diverging"].astype(bool)
        dims = {
            name: [str(dim) for dim in dims]
            for name, dims in model.named_vars_to_dims.items()
            if name in posterior
        }
        used = {dim for each in dims.values() for dim in each}
        coords = {k: np.asarray(v) for k, v in model.coords.items() if k in used and v is not None}
        return arviz.from_dict(
            {"posterior": posterior, "sample_stats": statistics}, coords=coords, dims=dims
        )

    def _chain(
        self, draws: int, tune: int, rng: np.random.Generator
    ) -> tuple[list[list[Any]], list[dict[str, float]]]:
        problem, sampler = self._density.problem(), self._density.nuts
        adaptation, state = sampler.adapt(problem, self._start(rng), tune, rng)
        drawn, records = [], []
        for _ in range(draws):
            state, record = sampler.move(problem, state, adaptation, 0, 1, rng)
            drawn.append(self._constrain(*self._density.split(state)))
            records.append(dict(statistics_of(record)))
        return drawn, records

    def _start(self, rng: np.random.Generator) -> np.ndarray:
        """PyMC's initial point with its jitter, uniform within 1 on the unconstrained scale."""
        for _ in range(STARTS):
            initial = self._density.initial
            start = initial + rng.uniform(-1, 1, initial.size)
            if np.isfinite(self._density.log_density(start)):
                return start
        return self._density.initial


def same_graph(first: Any, second: Any) -> bool:
    """Whether two models differ in the values of their ``pm.Data`` alone.

    Constants baked into the graph count by value: a model that observes ``frame["y"]`` without
    ``pm.Data`` is another one for every frame.
    """
    from pytensor.graph.basic import equal_computations

    if first is second:
        return True
    pairs: list[tuple[list[Any], list[Any]]] = []
    for model in (first, second):
        data, lengths = _data_of(model), _lengths_of(model)
        roots = [each[name] for each in (data, lengths) for name in sorted(each)]
        outputs = [*model.basic_RVs, *model.deterministics, *model.potentials]
        seen = [model.rvs_to_values[v] for v in model.observed_RVs]
        free = [model.rvs_to_values[v] for v in model.free_RVs]
        pairs.append(([*outputs, *seen], [*roots, *free, *_generators(outputs)]))
    (one, roots_one), (other, roots_other) = pairs
    if [v.name for v in one] != [v.name for v in other] or len(roots_one) != len(roots_other):
        return False
    if _shape(first) != _shape(second):
        return False
    return bool(equal_computations(one, other, roots_one, roots_other))


def _data_of(model: Any) -> dict[str, Any]:
    return {v.name: v for v in model.data_vars if hasattr(v, "get_value")}


def _lengths_of(model: Any) -> dict[str, Any]:
    """Lengths of dimensions that are variables of the graph."""
    return {k: v for k, v in model.dim_lengths.items() if hasattr(v, "get_value")}


def _shape(model: Any) -> list[Any]:
    """List what must be equal beside the graph: transforms, sizes of data and of dimensions."""
    transforms = [(v.name, type(model.rvs_to_transforms[v])) for v in model.free_RVs]
    data = [(name, v.get_value().shape) for name, v in sorted(_data_of(model).items())]
    lengths = [(name, int(v.get_value())) for name, v in sorted(_lengths_of(model).items())]
    return [*transforms, *data, *lengths]


def _generators(outputs: list[Any]) -> list[Any]:
    """Random generators among the roots of a graph, in the order of the graph."""
    from pytensor.graph.traversal import graph_inputs
    from pytensor.tensor.random.type import RandomType

    return [v for v in graph_inputs(outputs) if isinstance(v.type, RandomType)]
