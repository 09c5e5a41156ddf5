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

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import (
    Adaptation,
    Array,
    Design,
    Kernel,
    Occasion,
    Parameters,
    Prediction,
    Visit,
    Words,
)
from bayesimpute.sampling.cluster_effects import Moved
from bayesimpute.sampling.correlation import CorrelationBlocks
from bayesimpute.sampling.gaussian import GaussianEffects, GaussianPosterior, Units, blocks_of
from bayesimpute.sampling.generic import plain_kernel
from bayesimpute.sampling.normal_rows import NormalDraws, NormalRows, log_normal_density
from bayesimpute.sampling.priors import attach, check_names, lkj_eta, normal_moments
from bayesimpute.sampling.row_draws import Moment, RowDraws
from bayesimpute.sampling.scales import scale_priors
from bayesimpute.sampling.textbook import (
    Columns,
    Defaults,
    RowModel,
    effect_scale,
    linear_predictor,
    observed_model,
)
from bayesimpute.sampling.variance_shares import VarianceShare, share_normal


def _equation(occasion: Occasion) -> str:
    by_cluster = occasion.options["heteroscedastic"] and occasion.clustered
    sd, varies = ("σ_j", r" \\ \log\;σ_j \sim N(\log\;σ, ω^2)") if by_cluster else ("σ", "")
    return rf"$y = $predictor + ε_$row \\ $effects \\ ε_$row \sim N(0, {sd}^2){varies}"


class Normal:
    """Normal model of a numeric target.

    Options
    -------
    heteroscedastic
        Residual SD by cluster (default False).
    transitions
        NUTS transitions a visit (default 4: on the collapsed posterior one is nearly
        independent of the last, four leave room for hard data; 2 in imputation compatible with an
        analysis, where a visit may remember the last one).
    tune
        Transitions of the one adaptation before the chains start (default 300).

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"popular": "normal"}  # bi.impute(df, cluster="school", method=method)
    """

    words = Words(
        _equation,
        "Values are normally distributed around a mean that depends linearly on {x}",
        "A missing value is drawn from that distribution.",
        name="a normal linear model",
    )
    kinds = frozenset({Kind.NUMERIC})
    #: What `bayesimpute.fit` calls the model.
    fitted_as = "gaussian"
    #: Of the difference to a number the model is the same.
    around_means = True
    share = VarianceShare(share_normal, "of the values")
    #: One transition of the collapsed sampler is nearly independent of the last.
    forgets_at_once = True
    #: More on which it is calibrated: name -> data of ``make sbc``, arguments.
    calibrated_too: Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]] = MappingProxyType(
        {
            "σ by cluster": (
                ("sporadic", "systematic"),
                {"effects": "intercept", "options": {"heteroscedastic": True}},
            ),
            "an independent slope": (
                ("sporadic", "systematic"),
                {"effects": "independent slope", "predictors": 2},
            ),
        }
    )
    options: Mapping[str, Any] = MappingProxyType(
        {"heteroscedastic": False, "transitions": 4, "tune": 300}
    )
    #: Where all models are one joint distribution, parameters are drawn given those of the others:
    #: no draw has to forget the last one for the chain to be right.
    options_if_joint: Mapping[str, Any] = MappingProxyType({"transitions": 2})

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

        units = Units.of(design)
        eta = linear_predictor(design, units, priors, Defaults())
        sigma = attach(priors.get("sigma", pm.HalfNormal.dist(units.scale_y)), "sigma")
        heteroscedastic = options["heteroscedastic"]
        if heteroscedastic:
            sd_log_sigma = attach(
                priors.get("sd_log_sigma", pm.HalfNormal.dist(0.5)), "sd_log_sigma"
            )
            sigma = sigma * pt.exp(sd_log_sigma * pm.Normal("log_sigma_offset", dims="cluster"))

        def distribution(columns: Columns) -> Any:
            sd = sigma[columns.cluster] if heteroscedastic else sigma
            return pm.Normal.dist(eta(columns), sd)

        return RowModel(distribution, design.random_effects)

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Collapsed kernel, or the plain model's where the priors forbid integration."""
        posterior = gaussian_posterior(design, priors, options)
        if posterior is None:
            return plain_kernel(self, design, priors, options)
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
    if heteroscedastic and design.groupings:
        names = ", ".join([design.grouping, *(each.name for each in design.groupings)])
        raise SpecificationError(
            f"model_options of {design.target!r}: heteroscedastic=True is a residual SD by the "
            f"clusters of one grouping, and its model has {names}. Give it one of them, or leave "
            "heteroscedastic out."
        )
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
        self._effects = design.random_effects

    def _seen(self, design: Design) -> Design:
        """Give the design that the posterior takes; what it learns of the rows is kept with it."""
        seen = self._modelled(design)
        if seen is design or design.base is None:
            return seen
        base = design.base.memo.get((self, "seen"))
        if base is None:
            base = design.base.memo[self, "seen"] = self._modelled(design.base)
        return replace(seen, base=base)

    def _modelled(self, design: Design) -> Design:
        """Take the shift off the live values, which have it, so that all rows have one model."""
        if design.live_shift is None:
            return design
        return replace(design, y=design.y - design.live_shift)

    def adapt(self, design: Design, rng: np.random.Generator) -> Adaptation:
        """Tune on a design."""
        return self._posterior.adapt(self._seen(design), self._options["tune"], rng)

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
            self._seen(design),
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

    @property
    def effects(self) -> GaussianEffects:
        """Effects by cluster, for a model of several groupings."""
        return GaussianEffects(self._posterior, self._seen, self._effects)

    def moved(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Moved:
        """Make a visit that draws no values."""
        given = self._seen(design), adaptation, state, first, self._options["transitions"], rng
        return self._posterior.moved(*given)

    def at(self, state: Array) -> Parameters:
        """Give the SDs and correlations of effects."""
        return self._posterior.parameters_at(state)

    #: The log density is quadratic in value and linear predictor.
    gaussian, measure = True, "density"

    def log_density(self, design: Design, state: Array, rng: np.random.Generator) -> NormalRows:
        """Give the log density of rows; β and b, which no state holds, are drawn given it."""
        drawn = self._posterior.coefficients(self._seen(design), state, rng)
        return NormalRows(self._posterior.units, *drawn)

    def row_draws(self, moment: Moment) -> RowDraws:
        """Give the model of new rows; β and b are drawn given the state."""
        design, posterior = self._seen(moment.design), self._posterior
        nowhere = np.zeros(len(design.y), dtype=bool)
        fitted = posterior.visit(
            design, nowhere, moment.adaptation, moment.state, False, 0, moment.rng
        )
        return NormalDraws.of(posterior.units, fitted)

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
        design = self._seen(design)
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
            statistics=fitted.statistics,
        )
