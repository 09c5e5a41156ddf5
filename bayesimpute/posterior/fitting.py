"""The same Bayesian analysis of every completed data set, its PyMC model compiled once.

``pm.sample`` compiles at every call, which for a hundred imputations takes longer than sampling
does. Here the model of the first imputation is compiled, and serves every other whose graph is the
same but for the values of its ``pm.Data``: these are put in before its turn.
"""

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import Count, Level, Seed, Within, checked
from bayesimpute.errors import AnalysisError, warn
from bayesimpute.pooling.estimates import is_bambi_model
from bayesimpute.pooling.reported import is_posterior
from bayesimpute.posterior.draws import FEWEST_DRAWS
from bayesimpute.posterior.pooled import Interval, PooledPosterior, pool_posteriors
from bayesimpute.sampling.arithmetic import exact_arithmetic
from bayesimpute.sampling.model_density import ModelDensity
from bayesimpute.sampling.nuts import statistics_of
from bayesimpute.wording import listed, one_line

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


Analysis = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class PosteriorFits:
    """The posterior of each completed data set: ``fits[0]`` belongs to imputation 1.

    Attributes
    ----------
    posteriors
        What each analysis gave, a DataTree for a model that was sampled here.
    analysis
        Name of the callable.
    """

    posteriors: tuple[Any, ...]
    analysis: str

    @checked
    def pool(
        self,
        draws: Count | None = None,
        names: Sequence[str] | None = None,
        *,
        ci_prob: Level = 0.95,
        ci_kind: Interval = "eti",
        seed: Seed | None = None,
    ) -> PooledPosterior:
        """Mix the posteriors; arguments as in `bayesimpute.pool_posteriors`."""
        return pool_posteriors(
            self.posteriors, draws, names, ci_prob=ci_prob, ci_kind=ci_kind, seed=seed
        )

    def __len__(self) -> int:
        return len(self.posteriors)

    def __getitem__(self, index: int) -> Any:
        return self.posteriors[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.posteriors)

    def __repr__(self) -> str:
        analysis = one_line(self.analysis)
        return f"<Posteriors by {analysis} of {len(self)} data sets; pool() mixes them>"

    def _repr_html_(self) -> str:
        return str(html.tag("p", repr(self)[1:-1]))


@checked
def fit_posterior(
    completed: Iterable[pd.DataFrame] | Mapping[Any, pd.DataFrame],
    analysis: Any,
    *,
    draws: Annotated[int, Within(FEWEST_DRAWS)] = 500,
    tune: Count = 500,
    chains: Count = 2,
    executor: Executor | None = None,
    seed: Seed | None = None,
) -> PosteriorFits:
    """Get the posterior of one Bayesian model for every completed data set.

    Parameters
    ----------
    completed
        The result of ``bi.impute``, or the m completed frames.
    analysis
        ``analysis(frame)`` or ``analysis(frame, seed)``, the seed a whole number of each
        imputation's own. It returns one of

        - a ``pm.Model``: sampled here by PyMC's NUTS. Write ``pm.Data`` for every column and
          number that differs between imputations: then the model is compiled once for all of
          them, instead of once for each;
        - an unfitted Bambi model: its ``fit`` is called, which compiles for every imputation;
        - a posterior: what ``pm.sample``, Bambi's ``fit`` or anything else gives that
          `bayesimpute.pool_posteriors` reads.
    draws, tune, chains
        Of each imputation, for a model that is sampled here. 500 draws in each of two chains
        suffice by default because m of them come together; two chains are needed for R-hat.
    executor
        Any `concurrent.futures.Executor`; None (default) works here, one imputation after the
        other. Each worker takes consecutive imputations and compiles once.
    seed
        The same seed gives the same draws, for any executor.

    Returns
    -------
    PosteriorFits
        Its ``pool()`` gives the `PooledPosterior`.

    Raises
    ------
    AnalysisError
        An analysis failed (of which imputation, and why), or returned none of these.

    Warns
    -----
    ImputationWarning
        Models had to be compiled anew because something other than ``pm.Data`` differs.

    Examples
    --------
    >>> frames = [pd.DataFrame({"y": [0.0, 1.0, 2.0, 3.0 + i]}) for i in range(2)]
    >>> def mean_of_y(frame, seed):
    ...     spread = frame["y"].std() / np.sqrt(len(frame))
    ...     draws = np.random.default_rng(seed).normal(frame["y"].mean(), spread, (2, 100))
    ...     return {"mean": draws}
    >>> fit_posterior(frames, mean_of_y, seed=1)
    <Posteriors by mean_of_y of 2 data sets; pool() mixes them>
    """
    frames = list(completed.values() if isinstance(completed, Mapping) else completed)
    if not frames or not all(isinstance(frame, pd.DataFrame) for frame in frames):
        raise AnalysisError(
            "fit_posterior needs the completed data sets, at least one DataFrame: "
            "fit_posterior(imp, analysis)."
        )
    if not callable(analysis):
        raise AnalysisError(
            f"fit_posterior takes a callable of a completed frame, not {type(analysis).__name__}; "
            "for formulas there is imp.fit, or lambda data: bmb.Model('y ~ x', data)."
        )
    sampling = {"draws": draws, "tune": tune, "chains": chains}
    worker = _Worker(analysis, frames[0], sampling, np.random.SeedSequence(seed).entropy)
    if executor is None:
        outcomes = [worker.posteriors(list(enumerate(frames)))]
    else:
        outcomes = _in_workers(executor, worker, frames)
    posteriors = [posterior for found, _ in outcomes for posterior in found]
    anew = sum(again for _, again in outcomes)
    if anew:
        warn(
            f"The models of {anew} imputations were compiled anew, because more than the values "
            "of pm.Data differs from the first; put columns and numbers of the frame into pm.Data "
            "and one compilation serves all."
        )
    return PosteriorFits(tuple(posteriors), getattr(analysis, "__name__", type(analysis).__name__))


def _in_workers(
    executor: Executor, worker: "_Worker", frames: Sequence[pd.DataFrame]
) -> list[tuple[list[Any], int]]:
    import cloudpickle

    shared = cloudpickle.dumps(worker.posteriors)
    parts = np.array_split(np.arange(len(frames)), min(len(frames), os.cpu_count() or 1))
    blocks = [[(i, frames[i]) for i in chosen.tolist()] for chosen in parts]
    futures = [executor.submit(_remotely, shared, block) for block in blocks]
    return [future.result() for future in futures]


def _remotely(shared: bytes, block: Sequence[tuple[int, pd.DataFrame]]) -> Any:
    import cloudpickle

    return cloudpickle.loads(shared)(block)


@dataclass
class _Worker:
    """What one process needs to sample its imputations, and the model that it compiled.

    The compiled model is always that of imputation 1, so that draws do not depend on how the
    imputations are shared out.
    """

    analysis: Analysis
    first: pd.DataFrame
    sampling: dict[str, int]
    entropy: int | Sequence[int] | None
    compiled: Any = None
    compiled_anew: int = 0

    def posteriors(self, block: Sequence[tuple[int, pd.DataFrame]]) -> tuple[list[Any], int]:
        """Posteriors of some imputations, and how many models did not fit the compiled one."""
        found = []
        for position, frame in block:
            try:
                found.append(self._posterior(position, frame))
            except Exception as error:
                kind = "" if isinstance(error, AnalysisError) else f"{type(error).__name__}: "
                raise AnalysisError(
                    f"The analysis of imputation {position + 1} failed: {kind}{error}"
                ) from error
        return found, self.compiled_anew

    def _posterior(self, position: int, frame: pd.DataFrame) -> Any:
        """Call the analysis, and sample what it returns if that is a model."""
        import pymc as pm

        seed = np.random.SeedSequence(self.entropy, spawn_key=(position,))
        result = self._call(frame, seed)
        if isinstance(result, pm.Model):
            return self._sampled(result, seed)
        if is_bambi_model(result):
            how = {"cores": 1, "progressbar": False, "random_seed": _number(seed)}
            return result.fit(**self.sampling, **how)
        if is_posterior(result) or isinstance(result, Mapping):
            return result
        raise AnalysisError(
            f"it returned {type(result).__name__}; return a pm.Model, a Bambi model, or a "
            "posterior (DataTree, Dataset or dict of arrays (chain, draw, …))."
        )

    def _call(self, frame: pd.DataFrame, seed: np.random.SeedSequence) -> Any:
        takes_seed = "seed" in inspect.signature(self.analysis).parameters
        return self.analysis(frame.copy(), **({"seed": _number(seed)} if takes_seed else {}))

    def _sampled(self, model: Any, seed: np.random.SeedSequence) -> Any:
        if self.compiled is None:
            first = np.random.SeedSequence(self.entropy, spawn_key=(0,))
            self.compiled = CompiledModel(self._call(self.first, first))
        found = self.compiled.sample(model, **self.sampling, seed=seed)
        if found is None:
            self.compiled_anew += 1
            found = CompiledModel(model).sample(model, **self.sampling, seed=seed)
        return found


def _number(seed: np.random.SeedSequence) -> int:
    return int(seed.generate_state(1)[0])
