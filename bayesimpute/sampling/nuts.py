"""PyMC's NUTS, kept alive between visits.

``pm.sample`` compiles and adapts at every call. Here the step is made once; its density is
whatever the visit has put behind it, its step size and mass matrix are frozen after one
adaptation, so every transition leaves the current conditional posterior invariant.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.method import Adaptation

Array = npt.NDArray[np.float64]
Density = Callable[[Array], tuple[float, Array]]

#: A chain starts this many posterior SDs (of the adaptation run) away, on average: R-hat is
#: evidence of convergence only when chains start further apart than they end (Gelman & Rubin
#: 1992).
DISPERSION = 2.0


@dataclass(frozen=True, eq=False)
class _GradientFunction:
    """The four attributes through which PyMC's integrator reads a density."""

    _pytensor_function: Density
    _raveled_inputs: bool = True
    dtype: str = "float64"
    _extra_vars_shared: Any = None


class Nuts:
    """A NUTS step over a plain function.

    Parameters
    ----------
    density
        Unconstrained state (state,) → log density and gradient (state,).
    size
        Length of the state.
    """

    def __init__(self, density: Density, size: int) -> None:
        import pymc as pm
        from pymc.blocking import DictToArrayBijection

        self._size = size
        self._density = density
        with pm.Model() as model:
            pm.Flat("state", shape=size)
        self._point = {"state": np.zeros(size)}
        self._step = pm.NUTS(
            vars=[model["state"]],
            model=model,
            logp_dlogp_func=_GradientFunction(density, _extra_vars_shared={}),
            initial_point=self._point,
            rng=np.random.default_rng(0),
        )
        self._map_info = DictToArrayBijection.map(self._point).point_map_info

    @property
    def size(self) -> int:
        """Length of the state."""
        return self._size

    def adapt(self, start: Array, tune: int, rng: np.random.Generator) -> tuple[Adaptation, Array]:
        """Tune step size and mass matrix from `start`.

        Returns
        -------
        adaptation
            Frozen tuning, with mean and SD of the draws of the second half.
        state
            Where the run ended, (state,).
        """
        from pymc.step_methods.hmc.quadpotential import QuadPotentialDiagAdapt

        # Three mass-matrix windows whatever the length of the run.
        window = max(20, tune // 4)
        potential = QuadPotentialDiagAdapt(
            self._size,
            start.copy(),
            np.full(self._size, 0.1),
            10,
            adaptation_window=window,
            discard_window=window // 2,
            rng=rng.spawn(1)[0],
        )
        step = self._use(potential, rng)
        step.step_adapt._initial_step = 0.25 / self._size**0.25
        step.reset_tuning()
        step.adapt_step_size = True
        state = start
        draws = np.empty((tune, self._size))
        for i in range(tune):
            state, _ = self._transition(state)
            draws[i] = state
        kept = draws[tune // 2 :]
        step_size = float(step.step_adapt.current(False))
        adaptation = Adaptation(
            step_size, np.array(potential._var, dtype=float), kept.mean(axis=0), kept.std(axis=0)
        )
        return adaptation, state

    def settle(
        self, state: Array, adaptation: Adaptation, transitions: int, rng: np.random.Generator
    ) -> Array:
        """Bring a dispersed start to the posterior, the step size adapting on the way.

        A start in the tails can be stiffer than the posterior is, where the frozen step size
        would be refused for ever. What is adapted here is forgotten afterwards.
        """
        from pymc.step_methods.hmc.quadpotential import QuadPotentialDiag

        step = self._use(QuadPotentialDiag(adaptation.variance, rng=rng), rng)
        step.tune = True
        step.adapt_step_size = True
        step.iter_count = 0
        step.step_adapt._initial_step = adaptation.step_size / 10
        step.step_adapt.reset()
        while not np.isfinite(self._density(state)[0]):
            state = (state + adaptation.start_mean) / 2
        for _ in range(transitions):
            state, _ = self._transition(state)
        return state

    def begin_tuning(self, variance: Array, step_size: float, rng: np.random.Generator) -> None:
        """Let the step size adapt from now on, with this mass matrix, until the next call."""
        from pymc.step_methods.hmc.quadpotential import QuadPotentialDiag

        step = self._use(QuadPotentialDiag(variance, rng=rng), rng)
        step.tune = True
        step.adapt_step_size = True
        step.iter_count = 0
        step.step_adapt._initial_step = step_size
        step.step_adapt.reset()

    def tune(self, state: Array) -> Array:
        """Make one transition whose acceptance rate teaches the step size."""
        return self._transition(state)[0]

    @property
    def tuned_step_size(self) -> float:
        """Step size learnt since :meth:`begin_tuning`."""
        return float(self._step.step_adapt.current(False))

    def move(
        self, state: Array, adaptation: Adaptation, transitions: int, rng: np.random.Generator
    ) -> tuple[Array, Mapping[str, float]]:
        """Make `transitions` transitions with the frozen tuning.

        Returns
        -------
        state
            Where they end, (state,).
        statistics
            Means (for ``diverging`` and ``n_steps``, the sum) over the transitions.
        """
        from pymc.step_methods.hmc.quadpotential import QuadPotentialDiag

        step = self._use(QuadPotentialDiag(adaptation.variance, rng=rng), rng)
        step.tune = False
        step.adapt_step_size = False
        step.step_adapt._log_bar = np.log(adaptation.step_size)
        step.step_adapt._tuned_stats.clear()
        records = []
        for _ in range(transitions):
            state, record = self._transition(state)
            records.append(record)
        return state, {
            "diverging": float(sum(r["diverging"] for r in records)),
            "n_steps": float(sum(r["tree_size"] for r in records)),
            "tree_depth": float(max(r["depth"] for r in records)),
            "acceptance_rate": float(np.mean([r["mean_tree_accept"] for r in records])),
            "energy": float(records[-1]["energy"]),
            "lp": float(records[-1]["model_logp"]),
        }

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Draw a state dispersed around the adaptation run."""
        # In many dimensions 2 SD in each would be far outside any typical set.
        spread = max(1.0, DISPERSION * min(1.0, 8 / self._size) ** 0.5)
        return adaptation.start_mean + spread * adaptation.start_sd * rng.normal(size=self._size)

    def _use(self, potential: Any, rng: np.random.Generator) -> Any:
        step = self._step
        step.rng = rng
        step.potential = potential
        step.integrator._potential = potential
        return step

    def _transition(self, state: Array) -> tuple[Array, dict[str, Any]]:
        from pymc.blocking import RaveledVars

        with np.errstate(all="ignore"):  # a divergent trajectory overflows
            moved, (record,) = self._step.astep(RaveledVars(state, self._map_info))
        return moved.data, record
