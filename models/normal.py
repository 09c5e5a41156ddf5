r"""Normal conditional model, single-level or with effects varying by cluster.

Model
-----
For row i in cluster j, with predictors and random slopes centred at their observed means,

.. math::
    y_{ij} = \text{intercept} + x_{ij}β + z_{ij} b_j + ε_{ij}

    b_j \sim N(0, Ψ),\quad Ψ = \operatorname{diag}(sd)\,R\,\operatorname{diag}(sd),\quad
    ε_{ij} \sim N(0, σ_j^2)

    \log σ_j = \log σ + sd_{\log σ}\, o_j,\quad o_j \sim N(0, 1)
    \quad(\text{heteroscedastic};\ σ_j = σ\ \text{otherwise})

Without a cluster the b_j are absent. For a level-2 target a row is a cluster. A slope in another
random part than the intercept, as in ``(1 | school) + (0 + x | school)``, is independent of it and
not centred: what is independent at x = 0 is not so at the mean of x.

Priors
------
Weakly informative on the scale of the data, with :math:`s_y, s_x` the observed SDs of target and
predictor (after Gelman, Hill & Vehtari 2020, §9.5, and Gelman 2006):

==================  ===========================================================
``intercept``       Normal(mean of y, 2.5 s_y)
``beta``            Normal(0, 2.5 s_y / s_x) each
``sd_intercept``    HalfNormal(s_y): a cluster SD beyond the total SD is hardly possible
``sd_<slope>``      HalfNormal(0.5 s_y / s_x): slopes differ less than intercepts
``correlation``     LKJCorr(eta=2): mild shrinkage towards no correlation; effects of different
                    random parts of a formula are independent
``sigma``           HalfNormal(s_y)
``sd_log_sigma``    HalfNormal(0.5): nearly all σ_j within a factor of e of each other
==================  ===========================================================

Each is replaced by ``priors={"popular": {"sd_intercept": pm.HalfNormal.dist(1)}}``.

Draw
----
1. NUTS moves the scales and correlations on their posterior with β and b integrated out
   (:mod:`bayesimpute.sampling.collapsed`); it goes on from where the last visit left it.
2. β and then each b_j are drawn exactly given them; a cluster without observed values draws its
   b_j from N(0, Ψ), and its σ_j from the population of residual SDs.
3. A missing value is drawn from N(intercept + xβ + z b_j, σ_j²).

With a prior on ``intercept`` or ``beta`` that is not normal, or on ``correlation`` that is not
LKJ, nothing integrates out and the PyMC model below is sampled as it stands.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.method import Adaptation, Array, Design, Kernel, Prediction, Visit, Words
from bayesimpute.sampling.correlation import CorrelationBlocks
from bayesimpute.sampling.gaussian import GaussianPosterior, Units, blocks_of
from bayesimpute.sampling.generic import ModelKernel
from bayesimpute.sampling.priors import attach, check_names, lkj_eta, normal_moments
from bayesimpute.sampling.scales import scale_priors
from bayesimpute.sampling.textbook import (
    Columns,
    RowModel,
    correlated,
    effect_scale,
    observed_model,
)
from bayesimpute.sampling.variance_shares import VarianceShare, share_normal


class Normal:
    """Normal model of a numeric target.

    Options
    -------
    heteroscedastic
        Residual SD by cluster (default False).
    transitions
        NUTS transitions a visit (default 4: on the collapsed posterior one is nearly
        independent of the last, four leave room for hard data).
    tune
        Transitions of the one adaptation before the chains start (default 300).

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"popular": "normal"}  # bi.impute(df, cluster="school", method=method)
    """

    words = Words(
        "gaussian",
        "{y} = {predictor} + ε_{row}{effects},  ε_{row} ~ N(0, {variance}){spread}",
        "Values are normally distributed around a mean that depends linearly on {x}",
        "A missing value is drawn from that distribution.",
    )
    kinds = frozenset({Kind.NUMERIC})
    #: What `bayesimpute.fit` calls the model.
    fitted_as = "gaussian"
    #: Of the difference to a number the model is the same.
    around_means = True
    share = VarianceShare(share_normal, "of the values")
    options: Mapping[str, Any] = MappingProxyType(
        {"heteroscedastic": False, "transitions": 4, "tune": 300}
    )

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
        import pytensor.tensor as pt

        def prior(name: str, default: Any, dims: str | None = None) -> Any:
            return attach(priors.get(name, default), name, dims)

        units = Units.of(design)
        scale = units.scale_y
        intercept = prior("intercept", pm.Normal.dist(units.centre_y, 2.5 * scale))
        if design.predictors:
            beta_prior = pm.Normal.dist(0.0, 2.5 * scale / units.scale_x)
            beta = prior("beta", beta_prior, dims="predictor")
        if design.random_effects:
            sd = pt.stack(
                [
                    prior(
                        f"sd_{effect}", pm.HalfNormal.dist(effect_scale(effect) * scale / scale_z)
                    )
                    for effect, scale_z in zip(design.random_effects, units.scale_z, strict=True)
                ]
            )
            standard = pm.Normal("standard_effect", dims=("cluster", "random_effect"))
            standard = correlated(standard, design.random_effects, blocks_of(design), priors)
            effect = pm.Deterministic("effect", standard * sd, dims=("cluster", "random_effect"))
        sigma = prior("sigma", pm.HalfNormal.dist(scale))
        heteroscedastic = options["heteroscedastic"]
        if heteroscedastic:
            sd_log_sigma = prior("sd_log_sigma", pm.HalfNormal.dist(0.5))
            offset = pm.Normal("log_sigma_offset", dims="cluster")
            sigma = sigma * pt.exp(sd_log_sigma * offset)

        def distribution(columns: Columns) -> Any:
            mean = intercept + pt.zeros_like(columns.cluster)
            if columns.offset is not None:
                mean = mean + columns.offset
            if design.predictors:
                mean = mean + (columns.x - units.centre_x) @ beta
            if design.random_effects:
                z = columns.z - units.centre_z
                mean = mean + (z * effect[columns.cluster]).sum(axis=-1)
            return pm.Normal.dist(mean, sigma[columns.cluster] if heteroscedastic else sigma)

        return RowModel(distribution, design.random_effects)

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Collapsed kernel, or the plain model's where the priors forbid integration."""
        posterior = gaussian_posterior(design, priors, options)
        if posterior is None:
            return ModelKernel(self.model(design, priors, options), design, options)
        return NormalKernel(design, posterior, options)


def gaussian_posterior(
    design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
) -> GaussianPosterior | None:
    """Collapsed posterior of the model above; None if these priors do not integrate out.

    Raises
    ------
    SpecificationError
        If a prior is given for a parameter the model does not have.
    """
    units = Units.of(design)
    heteroscedastic = bool(options.get("heteroscedastic", False))
    # in computing units, where the data have SD 1
    defaults = {f"sd_{effect}": effect_scale(effect) for effect in design.random_effects}
    defaults["sigma"] = 1.0
    if heteroscedastic:
        defaults["sd_log_sigma"] = 0.5
    correlations = CorrelationBlocks(blocks_of(design), 2.0).count
    known = ["intercept", "beta", *(["correlation"] if correlations else []), *defaults]
    check_names(design.target, priors, known)

    p = len(design.predictors)
    intercept = normal_moments(priors.get("intercept"), 1, units.centre_y, 2.5 * units.scale_y)
    beta = normal_moments(priors.get("beta"), p, 0.0, 2.5 * units.scale_y / units.scale_x)
    eta = lkj_eta(priors.get("correlation"), 2.0)
    if intercept is None or beta is None or eta is None:
        return None
    return GaussianPosterior(
        design,
        scale_priors(defaults, priors),
        np.concatenate([intercept[0], beta[0]]),
        np.concatenate([intercept[1], beta[1]]),
        eta,
        heteroscedastic,
    )


def parameter_labels(design: Design, options: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """Names of the population parameters, with the labels of their elements."""
    effects = design.random_effects
    labels: dict[str, tuple[str, ...]] = {"intercept": ()}
    if design.predictors:
        labels["beta"] = design.predictors
    labels |= {f"sd_{effect}": () for effect in effects}
    labels["sigma"] = ()
    if options.get("heteroscedastic", False):
        labels["sd_log_sigma"] = ()
    blocks = CorrelationBlocks(blocks_of(design), 2.0)
    if blocks.count:
        labels["correlation"] = blocks.labels(effects)
    return labels


class NormalKernel:
    """Visits of the collapsed normal model."""

    #: Threads may use it side by side.
    shareable = True

    def __init__(
        self, design: Design, posterior: GaussianPosterior, options: Mapping[str, Any]
    ) -> None:
        self.labels = parameter_labels(design, options)
        self._posterior = posterior
        self._options = options

    def adapt(self, design: Design, rng: np.random.Generator) -> Adaptation:
        """Tune on a design."""
        return self._posterior.adapt(_unshifted(design), self._options["tune"], rng)

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give a dispersed starting state."""
        return self._posterior.start(adaptation, rng)

    def visit(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Visit:
        """Draw parameters, then each wanted value from its normal distribution."""
        fitted = self._posterior.visit(
            _unshifted(design),
            design.draw,
            adaptation,
            state,
            first,
            self._options["transitions"],
            rng,
        )
        mean = fitted.mean
        if design.shift is not None:
            mean = mean + design.shift[design.draw]
        values = mean + fitted.sd * rng.normal(size=mean.size)
        return Visit(fitted.state, values, fitted.parameters, fitted.statistics)

    @property
    def size(self) -> int:
        """Length of a state."""
        return self._posterior.layout.size

    #: The log density is quadratic in value and linear predictor.
    gaussian, measure = True, "density"

    def log_density(
        self, design: Design, state: Array, rng: np.random.Generator
    ) -> Callable[[Design], Array]:
        """Give the log density of rows; β and b, which no state holds, are drawn given it."""
        units = self._posterior.units
        beta, effects, sigma = self._posterior.coefficients(_unshifted(design), state, rng)

        def of(rows: Design) -> Array:
            eta = units.x(rows) @ beta + (units.z(rows) * effects[rows.cluster]).sum(axis=1)
            mean = units.centre_y + units.scale_y * eta
            if rows.live_shift is not None:
                mean = mean + rows.live_shift
            return log_normal_density(rows.y, mean, units.scale_y * sigma[rows.cluster])

        return of

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Draw parameters, then hold the rows fitted to against their normal distributions."""
        design = _unshifted(design)
        fitted = self._posterior.visit(
            design, design.fit, adaptation, state, first, self._options["transitions"], rng
        )
        rows, mean, sd = design.rows(design.fit), fitted.mean, fitted.sd
        return Prediction(
            fitted.state,
            mean + sd * rng.normal(size=mean.size),
            fitted.parameters,
            log_normal_density(rows.y, mean, sd),
            by_cluster=self._posterior.by_cluster(rows, fitted) if by_cluster else None,
        )


def _unshifted(design: Design) -> Design:
    """Take the shift off the live values, which have it, so that all rows have one model."""
    if design.live_shift is None:
        return design
    return replace(design, y=design.y - design.live_shift)


def log_normal_density(y: Array, mean: Array, sd: Array) -> Array:
    """Log density of each row, (row,)."""
    return np.asarray(-0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi))
