"""A conditional model that is one linear predictor and one PyMC distribution of a row."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from bayesimpute.data.table import Kind
from bayesimpute.method import Design, Kernel, Words
from bayesimpute.sampling.from_pymc import pymc_likelihood
from bayesimpute.sampling.gaussian import Units
from bayesimpute.sampling.generic import plain_kernel
from bayesimpute.sampling.linear_kernel import Family, linear_kernel
from bayesimpute.sampling.priors import attach
from bayesimpute.sampling.textbook import (
    Defaults,
    RowModel,
    linear_predictor,
    observed_model,
    plain_units,
)


class LinearModel:
    """What such a model's file says, and what follows from it.

    A file says ``words``, ``kinds``, ``distribution``, and where it has them the positive extra
    parameters, other priors, and what values it refuses. Density, gradient, draws, the textbook
    model and the sampler follow.

    Options
    -------
    transitions
        Sweeps of the sampler a visit (default 4: successive draws are nearly independent).
    tune
        Sweeps of the one adaptation before the chains start (default 60).
    """

    words: ClassVar[Words]
    kinds: frozenset[Kind]
    options: Mapping[str, Any] = MappingProxyType({"transitions": 4, "tune": 60})
    #: Whether values are numbers on a scale, in whose SD the priors are written.
    on_scale = False
    #: Positive extra parameters in the target's unit.
    scaled: tuple[str, ...] = ()
    #: What `bayesimpute.fit` calls the model; empty if it has none such.
    fitted_as = ""
    #: Between what all values lie that the distribution gives.
    support: tuple[float, float] = (-math.inf, math.inf)
    #: ``distribution(eta, **positive)``: PyMC distribution of rows, given linear predictors (row,)
    #: and the positive extras; a static method.
    distribution: Callable[..., Any]

    def positive(self) -> Mapping[str, Any]:
        """Give the positive extras: name -> scale of the half-normal default, or a distribution."""
        return {}

    def defaults(self, design: Design) -> Defaults:
        """Give the default priors of the linear predictor."""
        return Defaults()

    def check(self, design: Design, options: Mapping[str, Any]) -> None:
        """Refuse observed values that the distribution cannot give, and wrong options.

        Raises
        ------
        SpecificationError
            Naming what is wrong.
        """

    def row(self, design: Design, options: Mapping[str, Any]) -> Callable[..., Any]:
        """Give the distribution with all options in it."""
        return type(self).distribution

    def likelihood(self, design: Design, options: Mapping[str, Any], units: Units) -> Any:
        """Give the likelihood of a row in computing units, here derived from the distribution."""
        return pymc_likelihood(self.row(design, options), len(self.positive()), self.on_scale)

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model on the rows with an observed target.

        Returns
        -------
        pymc.Model
            With data ``x, z, cluster_index, y``, ready for ``pm.sample``.
        """
        return observed_model(design, self, priors, options)

    def row_model(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> RowModel:
        """Add the parameters to the current PyMC model."""
        import pymc as pm

        self.check(design, options)
        units = self._units(design)
        eta = linear_predictor(design, units, priors, self.defaults(design))
        extras = {}
        for name, default in self.positive().items():
            scale = units.scale_y if name in self.scaled else 1.0
            if isinstance(default, int | float):
                default = pm.HalfNormal.dist(default * scale)
            extras[name] = attach(priors.get(name, default), name)
        row = self.row(design, options)
        return RowModel(lambda columns: row(eta(columns), **extras), design.random_effects)

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Kernel of the linear predictor, or the plain model's where the priors need it.

        Raises
        ------
        SpecificationError
            If observed values or options are not the model's.
        """
        self.check(design, options)
        kernel = linear_kernel(design, self.family(design, priors, options), priors, options)
        return kernel or plain_kernel(self, design, priors, options)

    def family(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Family:
        """Give what distinguishes the model from others with linear predictors."""
        units = self._units(design)
        likelihood = self.likelihood(design, options, units)
        positive = self.positive()
        return Family(
            likelihood,
            self.values(likelihood, design, options, units),
            units,
            self.defaults(design),
            positive=positive,
            positive_units=tuple(units.scale_y if n in self.scaled else 1.0 for n in positive),
        )

    def values(
        self, likelihood: Any, design: Design, options: Mapping[str, Any], units: Units
    ) -> Callable[..., Any]:
        """Give the function that draws values in original units."""
        if not self.on_scale:
            return likelihood.values
        return lambda *given: units.centre_y + units.scale_y * likelihood.values(*given)

    def _units(self, design: Design) -> Units:
        return Units.of(design) if self.on_scale else plain_units(design)


def calm_priors(data: str, intercept: float, spread: float, **further: Any) -> Mapping[str, Any]:
    """Priors for calibration under which a linear predictor stays in bounds, in any cluster.

    Parameters
    ----------
    data
        Name of the data, as of :mod:`bayesimpute.simulate.calibration`.
    intercept, spread
        Mean and SD of the intercept.
    further
        Priors of the model's other parameters.
    """
    import pymc as pm

    priors = {"intercept": pm.Normal.dist(intercept, spread), "beta": pm.Normal.dist(0.0, 0.3)}
    priors |= further
    if data != "level 2":
        priors["sd_intercept"] = pm.HalfNormal.dist(0.5)
    if data in ("sporadic", "systematic"):
        priors["sd_x1"] = pm.HalfNormal.dist(0.3)
    return priors
