"""Any PyMC model as a conditional model: NUTS on the rows seen, the likelihood run forward.

The model follows one convention, and it is PyMC's own: what changes between visits is
``pm.Data``, by the names ``x`` (row, predictor), ``z`` (row, random_effect), ``cluster_index``
(row,), ``y`` (row,) and those of ``design.columns``, of a further grouping ``z|school`` and
``cluster_index|school``, and the likelihood is the one observed variable. Missing values are drawn
by putting the missing rows' data in and drawing the observed variable anew, given a draw of all
parameters. Clusters without observed values are in the model as all others are, so their effects
come from the population.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.method import Adaptation, Array, Design, Kernel, Method, Prediction, Visit
from bayesimpute.sampling.arithmetic import exact_arithmetic
from bayesimpute.sampling.model_density import ModelDensity
from bayesimpute.sampling.nuts import dispersed, statistics_of
from bayesimpute.sampling.row_draws import NEW, Further, Moment, Positions, by_chain

DATA = ("x", "z", "cluster_index", "y")


class BuilderMethod:
    """A user's function ``builder(design) -> pm.Model`` as a method.

    Parameters
    ----------
    builder
        Takes a :class:`~bayesimpute.method.Design` restricted to rows with an observed target
        and returns a ``pm.Model``. It may take ``priors`` and ``options`` as further arguments.

    Options
    -------
    transitions
        NUTS transitions a visit (default 10: an uncollapsed hierarchical posterior mixes more
        slowly than a collapsed one).
    tune
        Transitions of the one adaptation (default 500).
    """

    kinds = frozenset(Kind)
    options: Mapping[str, Any] = MappingProxyType({"transitions": 10, "tune": 500})

    def __init__(self, builder: Callable[..., Any]) -> None:
        self.builder = builder

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Call the builder.

        Raises
        ------
        SpecificationError
            If it does not return a PyMC model.
        """
        import pymc as pm

        given = {"priors": priors, "options": options}
        wanted = inspect.signature(self.builder).parameters
        seen = design.rows(design.fit)
        built = self.builder(seen, **{k: v for k, v in given.items() if k in wanted})
        if not isinstance(built, pm.Model):
            raise SpecificationError(
                f"method of {design.target!r}: the builder returned "
                f"{type(built).__name__}, not a pymc.Model; end it with 'return model'."
            )
        return built

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Compile the builder's model."""
        return ModelKernel(self.model(design, priors, options), design, options)


class ModelKernel:
    """Visits of a plain PyMC model.

    Parameters
    ----------
    model
        As the module's convention says.
    design
        The design it was built from.
    options
        ``transitions`` and ``tune``.

    Raises
    ------
    SpecificationError
        If the model has no single observed variable, has discrete unobserved variables, or
        fixes data that change between visits.
    """

    def __init__(self, model: Any, design: Design, options: Mapping[str, Any]) -> None:
        import pymc as pm

        self._model = model
        self._options = options
        self._observed = _likelihood(model, design)
        # a parameter may have one of the names: z, of standardised effects, above all
        self._data = {v.name: v for v in model.data_vars}
        self._check_data(design)
        self._density = ModelDensity(model)
        self._free = list(model.free_RVs)
        self._reported = [v for v in self._free if v.type.ndim == 0 or _is_coefficient(model, v)]
        values = model.replace_rvs_by_values(self._free)
        with exact_arithmetic():
            self._constrain = pm.compile(model.value_vars, values, on_unused_input="ignore")
            self._forward = pm.compile(
                self._free, self._observed, on_unused_input="ignore", random_seed=0
            )
            self._call_each()
        dims = model.named_vars_to_dims
        self.labels: Mapping[str, tuple[str, ...]] = {
            v.name: tuple(map(str, model.coords[dims[v.name][0]])) if v.type.ndim else ()
            for v in self._reported
        }

    def _call_each(self) -> None:
        """Machine code is made at the first call, under the settings of that moment."""
        self._forward(*self._constrain(*self._density.split(self._density.initial)))

    def adapt(self, design: Design, rng: np.random.Generator) -> Adaptation:
        """Tune on a design, from PyMC's initial point."""
        self._see(design.rows(design.fit))
        tune = self._options["tune"]
        density = self._density
        return density.nuts.adapt(density.problem(), density.initial, tune, rng)[0]

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give a dispersed starting state."""
        return dispersed(adaptation.start_mean, adaptation.start_sd, rng)

    def visit(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Visit:
        """Move all parameters by NUTS, then draw the likelihood on the wanted rows."""
        state, _, drawn, statistics = self._move(design, adaptation, state, rng, first)
        self._see(design.rows(design.draw))
        reseed(self._forward, rng)
        values = np.asarray(self._forward(*drawn), dtype=float)
        if design.shift is not None:
            # the linear predictor of a model of any form is not known; its values are
            values = values + design.shift[design.draw]
        return Visit(state, values, self._parameters(drawn), statistics)

    def row_draws(self, moment: Moment) -> "ModelDraws":
        """Give the model of new rows at the parameters of a state."""
        drawn = tuple(self._constrain(*self._density.split(moment.state)))
        design = moment.design
        further = tuple(np.arange(each.n_clusters) for each in design.groupings)
        return ModelDraws(self, (drawn,), np.arange(max(design.n_clusters, 1)), further)

    def draw_at(self, rows: Design, drawn: Sequence[Any], rng: np.random.Generator) -> Array:
        """Draw the likelihood of any rows at given values of all parameters, (row,)."""
        self._see(rows)
        reseed(self._forward, rng)
        values = np.asarray(self._forward(*drawn), dtype=float)
        return values if rows.shift is None else values + rows.shift

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Move all parameters by NUTS, then hold the rows fitted to against the likelihood.

        A likelihood that is not one density a row (rows drawn jointly) gives none.
        """
        state, point, drawn, statistics = self._move(design, adaptation, state, rng, first)
        rows = design.rows(design.fit)
        self._see(rows)
        reseed(self._forward, rng)
        values = np.asarray(self._forward(*drawn), dtype=float)
        density = np.asarray(self._log_density(*point), dtype=float)
        discrete = not self._observed.dtype.startswith("float")
        return Prediction(
            state,
            values,
            self._parameters(drawn),
            density if density.shape == (len(rows.y),) else None,
            measure="probability" if discrete else "density",
            statistics=statistics,
        )

    @cached_property
    def _log_density(self) -> Any:
        """Log density of each observed value at a point of the value variables, compiled once."""
        import pymc as pm

        (each,) = self._model.logp(vars=[self._observed], sum=False, jacobian=False)
        with exact_arithmetic():
            return pm.compile(self._model.value_vars, each, on_unused_input="ignore")

    def _move(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> tuple[Array, list[Any], Any, Mapping[str, float]]:
        """State, its values of the value variables, the free variables' values, and statistics."""
        transitions = self._options["transitions"]
        self._see(design.rows(design.fit))
        settling = 5 * transitions if first else 0
        state, record = self._density.nuts.move(
            self._density.problem(), state, adaptation, settling, transitions, rng
        )
        point = self._density.split(state)
        return state, point, self._constrain(*point), statistics_of(record)

    def _parameters(self, drawn: Any) -> dict[str, float | Array]:
        by_name = dict(zip([v.name for v in self._free], drawn, strict=True))
        return {
            v.name: np.asarray(by_name[v.name], dtype=float)
            if v.type.ndim
            else float(by_name[v.name])
            for v in self._reported
        }

    def _see(self, rows: Design) -> None:
        given = dict(zip(DATA, (rows.x, rows.z, rows.cluster, rows.y), strict=True))
        for each in rows.groupings:
            given |= {f"z|{each.name}": each.z, f"cluster_index|{each.name}": each.cluster}
        for name, values in {**rows.columns, **given}.items():
            if name in self._data:
                # not set_data, which warns while some rows are in and others not yet
                self._data[name].set_value(_like(self._data[name], values))

    def _check_data(self, design: Design) -> None:
        """Refuse a model that has rows baked in: it would draw for the wrong rows."""
        used = {"x": bool(design.predictors), "cluster_index": bool(design.random_effects)}
        present = self._data
        if any(used.values()) and not any(name in present for name in DATA[:3]):
            missing = next(name for name, needed in used.items() if needed)
            source = "cluster" if missing == "cluster_index" else missing
            raise SpecificationError(
                f"method of {design.target!r}: the model holds its data as constants. Write "
                f"pm.Data({missing!r}, design.{source}) for what changes between visits (the "
                f"names are {', '.join(DATA)})."
            )
        if "y" not in present:
            raise SpecificationError(
                f"method of {design.target!r}: observe pm.Data('y', design.y), so that the "
                "likelihood has as many rows as the data put in."
            )


def plain_kernel(
    method: Method, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
) -> ModelKernel:
    """Kernel of a method's textbook model, where its own takes none of these priors.

    Raises
    ------
    SpecificationError
        If there are several groupings: the plain model cannot take effects of others as known.
    """
    if design.grouping:
        raise SpecificationError(
            f"priors of {design.target!r}: with several groupings, as {design.grouping!r} and "
            "others here, intercept and beta take normal priors and correlations "
            "pm.LKJCorr.dist(n=2, eta=…)."
        )
    return ModelKernel(method.model(design, priors, options), design, options)


@dataclass(frozen=True, eq=False)
class ModelDraws:
    """A plain PyMC model, as all chains have left it.

    Attributes
    ----------
    kernel
        Of the model.
    chains
        Values of all parameters.
    clusters, further
        Numbers that rows' clusters have in the model, (cluster,), and those of further groupings.
    """

    kernel: ModelKernel
    chains: tuple[Sequence[Any], ...]
    clusters: Positions
    further: Further = ()

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        return replace(self, chains=tuple(c for each in (self, *others) for c in each.chains))

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters.

        Raises
        ------
        DataError
            If one is new: which distribution effects come from, a model of any form does not say.
        """
        if any((each == NEW).any() for each in (clusters, *further)):
            raise DataError(
                "a model sampled as a plain PyMC model has effects of the clusters it was made "
                "with only"
            )
        return replace(self, clusters=clusters, further=further)

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw the likelihood of each wanted row."""
        rows = design.rows(design.draw)
        chain, within = np.divmod(rows.cluster, len(self.clusters))
        groupings = zip(rows.groupings, self.further, strict=True)
        rows = replace(
            rows,
            cluster=self.clusters[within],
            groupings=tuple(
                replace(each, cluster=own[each.cluster % len(own)]) for each, own in groupings
            ),
        )
        return by_chain(
            chain,
            len(self.chains),
            lambda k, where: self.kernel.draw_at(rows.rows(where), self.chains[k], rng),
        )


def reseed(function: Any, rng: np.random.Generator) -> None:
    """Set a compiled function's own generators: its draws must depend on the visit's only."""
    from pytensor.tensor.random.type import RandomType

    for container in function.input_storage:
        if isinstance(container.type, RandomType):
            container.storage[0] = np.random.Generator(np.random.PCG64(int(rng.integers(2**63))))


def _like(variable: Any, values: Any) -> Any:
    return np.asarray(values, dtype=variable.type.dtype)


def _is_coefficient(model: Any, variable: Any) -> bool:
    """Report vectors over named coordinates, not per-cluster effects."""
    dims = model.named_vars_to_dims.get(variable.name, ())
    return (
        len(dims) == 1
        and dims[0] not in ("cluster", "row")
        and model.coords.get(dims[0]) is not None
    )


def _likelihood(model: Any, design: Design) -> Any:
    if len(model.observed_RVs) != 1:
        names = ", ".join(v.name for v in model.observed_RVs) or "none"
        raise SpecificationError(
            f"method of {design.target!r}: the model must have exactly one observed variable, "
            f"it has: {names}."
        )
    discrete = [v.name for v in model.free_RVs if v.dtype.startswith(("int", "uint", "bool"))]
    if discrete:
        raise SpecificationError(
            f"method of {design.target!r}: NUTS cannot sample the discrete variable(s) "
            f"{', '.join(discrete)}; sum them out of the likelihood (for example pm.Mixture)."
        )
    return model.observed_RVs[0]
