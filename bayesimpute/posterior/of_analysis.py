"""The analysis as the chains drew it, in the words of its formula, beside Rubin's rules.

In imputation compatible with an analysis its parameters are drawn in the chains, so that the
Bayesian answer is there without pooling. The chains have centred predictors and reference
categories of their own; both models span the same columns, and what takes one set of coefficients
to the other is found by least squares on one completed data set, where it is exact.

The chains of such a run can be held against its joint posterior, sampled as one PyMC model by NUTS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.analysis import Fits
from bayesimpute.arguments import Count, CountOrNone, Seed, checked
from bayesimpute.design import DesignBuilder
from bayesimpute.diagnostics import r_hat, summarised
from bayesimpute.engine.adapt import reference_values
from bayesimpute.engine.history import History
from bayesimpute.engine.joint_model import Joint
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import AnalysisError, SpecificationError
from bayesimpute.method import Array, Design
from bayesimpute.pooling.formula_design import (
    INTERCEPT,
    LinearDesign,
    ModelDesign,
    checked_formula,
    model_data,
    with_observed_knots,
)
from bayesimpute.registry import resolve
from bayesimpute.result.run import Run
from bayesimpute.sampling.gaussian import Units
from bayesimpute.sampling.groupings import designs_of, named
from bayesimpute.specification.specification import Analysed, Specification, Target
from bayesimpute.wrappers.base import innermost, layers
from bayesimpute.wrappers.by_group import ByGroup
from bayesimpute.wrappers.fixed_clusters import FixedClusters
from bayesimpute.wrappers.only_where import OnlyWhere

#: Of single clusters, not of their population.
OF_CLUSTERS = "cluster_rho"
#: Columns of the analysis that the model spans leave no more than this of themselves.
SPANNED = 1e-6


def analysis_table(
    specification: Specification,
    history: History,
    analysed: Analysed,
    fit: Callable[[str], Fits | None],
    discard: int,
    ci_prob: float,
) -> pd.DataFrame:
    """Summarise the parameters of an analysis, Rubin's rules beside them.

    Parameters
    ----------
    specification, history
        Of the run.
    analysed
        Which analysis.
    fit
        Fits a formula to each completed data set; gives None where no package does.
    discard
        First iterations to leave out.
    ci_prob
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        A row a parameter: ``estimate`` (posterior mean), ``sd``, ``ci_low``, ``ci_high``
        (quantiles), ``r_hat``, ``ess_bulk``, ``ess_tail``, ``mcse_mean``; and ``pooled``,
        ``std_error``, ``pooled_low``, ``pooled_high`` by Rubin's rules (of SDs, correlations and
        ICCs as ``Pooled.random_effects`` has them, without a standard error: their scales differ).
    """
    drawn = analysis_draws(specification, history, analysed)
    read = checked_formula(analysed.formula, specification.table.frame.columns)
    text, called = with_observed_knots(read, specification.table.frame)
    pooled = {_as_called(k, called): each for k, each in _pooled(fit(text), ci_prob).items()}
    rows = {}
    side = (1.0 - ci_prob) / 2.0
    for name, draws in drawn.items():
        kept = draws[:, discard:]
        summary = summarised(kept)
        low, high = np.quantile(kept, [side, 1.0 - side])
        rows[name] = {
            "estimate": summary["mean"],
            "sd": summary["sd"],
            "ci_low": low,
            "ci_high": high,
            **{key: summary[key] for key in ("r_hat", "ess_bulk", "ess_tail", "mcse_mean")},
            **pooled.get(name, dict.fromkeys(_POOLED, np.nan)),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("term")


def _as_called(name: str, called: Mapping[str, str]) -> str:
    for written, label in called.items():
        name = name.replace(written, label)
    return name


_POOLED = ("pooled", "std_error", "pooled_low", "pooled_high")


def _pooled(fits: Fits | None, ci_prob: float) -> dict[str, dict[str, float]]:
    """Estimate, standard error and interval by term."""
    if fits is None:
        return {}
    pool = fits.pool(ci_prob=ci_prob)
    columns = ["estimate", "std_error", "conf_low", "conf_high"]
    found = {
        str(term): dict(zip(_POOLED, map(float, row), strict=True))
        for term, row in zip(pool.table.index, pool.table[columns].to_numpy(), strict=True)
    }
    for term, row in pool.random_effects.iterrows():
        numbers = (row["estimate"], np.nan, row["conf_low"], row["conf_high"])
        found[str(term)] = dict(zip(_POOLED, map(float, numbers), strict=True))
    return found


def analysis_draws(
    specification: Specification, history: History, analysed: Analysed
) -> dict[str, Array]:
    """Draws of an analysis' parameters as its formula means them: name -> (chain, draw).

    Coefficients have the names that `bayesimpute.fit` gives them, SDs between clusters are
    ``sd((Intercept) | g)``, correlations ``cor((Intercept), x | g)``, intraclass correlations
    ``icc(g)``; what the family has besides keeps its name. Of several equations (unordered
    categories) each name begins with the category; with ``by_group`` it ends with the group.

    Raises
    ------
    AnalysisError
        If the model lacks a column of the analysis, left out because it was an exact combination,
        or has fixed effects of clusters.
    """
    name, table = analysed.outcome, specification.table
    target = specification.targets[name]
    assert isinstance(target, Target)
    builder = DesignBuilder.of(specification, target)
    reference = builder.build(reference_values(specification, history.seed))
    values = dict(specification.known)
    for column, cells in specification.where.items():
        values[column] = values[column].copy()
        values[column][cells] = history.imputed[column][0]
    frame = table.completed(values).iloc[table.rows].reset_index(drop=True)
    frame[name] = frame[name].ffill().bfill()  # an outcome tells nothing of the columns
    model, called = _model_design(analysed.formula, frame, table.frame, target.cluster)
    design, every = builder.build(values), dict[str, Array]()
    for group, part in _parts(target, reference):
        drawn = _Drawn(
            analysed,
            design,
            part,
            model,
            frame,
            _of_group(history.parameters[name], group),
            _of_group(history.labels[name], group),
        )
        found = drawn.all(target)
        every |= {f"{_as_called(term, called)}{group}": each for term, each in found.items()}
    return every


def _parts(target: Target, reference: Design) -> list[tuple[str, Design]]:
    """Rows that have parameters of their own, by the end of these parameters' names.

    Raises
    ------
    AnalysisError
        If the model has other parameters than the analysis.
    """
    parts = [("", reference)]
    for wrapper in layers(target.method):
        if isinstance(wrapper, FixedClusters):
            raise AnalysisError(
                f"analysis: the model of {target.name!r} has fixed effects of clusters, which the "
                "formula has not; imp.datatree has its parameters, and imp.fit() Rubin's rules."
            )
        if isinstance(wrapper, ByGroup | OnlyWhere):
            parts = [
                (group if label is None else f"[{label}]{group}", part.rows(rows))
                for group, part in parts
                for label, rows in wrapper.rows(part).items()
            ]
    return parts


def _of_group[Each](named: Mapping[str, Each], group: str) -> dict[str, Each]:
    """Those of a group, by their names without it."""
    return {k.removesuffix(group): each for k, each in named.items() if k.endswith(group)}


def _shares(found: Mapping[str, Array], model: Any) -> dict[str, Array]:
    """Intraclass correlations, all intercepts in the denominator, as those of a fit.

    Of models whose share needs no more than SDs; on the log scale it depends on the mean, too.
    """
    start = f"sd({INTERCEPT} | "
    sds = {name.removeprefix(start)[:-1]: found[name] for name in found if name.startswith(start)}
    if not sds or not hasattr(model, "share"):
        return {}
    total = sum(sd**2 for sd in sds.values())
    known = {"sd_intercept": np.sqrt(total)}
    if "sigma" in found:
        known["sigma"] = found["sigma"]
    try:
        share = model.share.of_draws(known)
    except KeyError:
        return {}
    return {f"icc({group})": share * sd**2 / total for group, sd in sds.items()}


def _model_design(
    formula: str, frame: pd.DataFrame, data: pd.DataFrame, cluster: str | None
) -> tuple[ModelDesign, Mapping[str, str]]:
    """Columns of the formula, as `bayesimpute.fit` makes them, with the knots of the chains."""
    text, called = with_observed_knots(checked_formula(formula, frame.columns), data)
    read = checked_formula(text, frame.columns)
    return ModelDesign.learn(read, *model_data(read, frame, cluster)), called


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What the chains drew of a model, and the columns of model and formula.

    `reference` is the design that fixed the model's units: its rows alone.
    """

    analysed: Analysed
    design: Design
    reference: Design
    model: ModelDesign
    frame: pd.DataFrame
    parameters: Mapping[str, Array]
    labels: Mapping[str, tuple[str, ...]]

    def all(self, target: Target) -> dict[str, Array]:
        """Coefficients, SDs, correlations and shares of the formula, and what there is besides."""
        found = self.coefficients()
        for design, of in zip(designs_of(self.design), designs_of(self.reference), strict=True):
            found |= self.effects(design, Units.of(of), design.grouping or target.cluster)
        for parameter, each in self.parameters.items():
            if parameter in self.taken or parameter == OF_CLUSTERS:
                continue
            if each.ndim == 2:
                found[parameter] = each
            else:
                labels = enumerate(self.labels.get(parameter, ()))
                found |= {f"{parameter}[{label}]": each[..., k] for k, label in labels}
        return found | _shares(found, resolve(innermost(target.method)))

    @property
    def taken(self) -> set[str]:
        """Parameters that are said in the formula's words."""
        sds = {
            f"sd_{effect}{_suffix(each)}"
            for each in designs_of(self.design)
            for effect in each.random_effects
        }
        correlations = {f"correlation{_suffix(each)}" for each in designs_of(self.design)}
        return {"intercept", "beta", "cutpoints", "log_hazard", *correlations, *sds}

    def coefficients(self) -> dict[str, Array]:
        """Coefficients, and cutpoints and hazards, which hold the intercept, at 0 of predictors."""
        design, intercept = self.design, self.parameters.get("intercept")
        outcome = [label in ("both", "outcome", "") for label in design.equations_x]
        keep = np.array(outcome or [True] * len(design.predictors), dtype=bool)
        centred = (design.x - Units.of(self.reference).centre_x)[:, keep]
        own = np.column_stack([np.ones(len(centred)), centred])
        names, to_formula = self._taking(own, self.model.fixed)
        beta = self.parameters.get("beta")
        shape = next(iter(self.parameters.values())).shape[:2]
        categories = self.labels.get("intercept", ())
        slopes = np.zeros((*shape, 0, max(len(categories), 1)))
        if beta is not None:
            slopes = beta.reshape((*shape, centred.shape[1], -1))
        level = np.zeros(shape) if intercept is None else intercept
        all_own = np.concatenate([level.reshape((*shape, 1, -1)), slopes], axis=2)
        out: dict[str, Array] = {}
        coefficients = np.einsum("ab,mtbk->mtak", to_formula, all_own)
        for k in range(coefficients.shape[3]):
            before = f"{categories[k]}: " if categories else ""
            for a, term in enumerate(names):
                if intercept is None and term == INTERCEPT:
                    continue
                out[before + term] = coefficients[:, :, a, k]
        if "cutpoints" in self.parameters:
            moved = coefficients[:, :, names.index(INTERCEPT), 0]
            for k, label in enumerate(self.labels["cutpoints"]):
                out[f"cutpoint[{label}]"] = self.parameters["cutpoints"][..., k] - moved
        if "log_hazard" in self.parameters:
            moved = out[INTERCEPT] - level
            for k, label in enumerate(self.labels["log_hazard"]):
                out[f"log_hazard[{label}]"] = self.parameters["log_hazard"][..., k] + moved
        return out

    def effects(self, design: Design, units: Units, cluster: str | None) -> dict[str, Array]:
        """SDs between clusters of one grouping and correlations, at 0 of the predictors."""
        effects, of = design.random_effects, _suffix(design)
        if not effects or self.labels.get(f"sd_{effects[0]}{of}") or not self.model.random:
            return {}
        sd = np.stack([self.parameters[f"sd_{effect}{of}"] for effect in effects], axis=-1)
        correlation = np.zeros((*sd.shape, len(effects))) + np.eye(len(effects))
        for k, pair in enumerate(self.labels.get(f"correlation{of}", ())):
            first, _, second = pair.partition("~")
            if first in effects and second in effects:
                a, b = effects.index(first), effects.index(second)
                each = self.parameters[f"correlation{of}"][..., k]
                correlation[..., a, b] = correlation[..., b, a] = each
        covariance = sd[..., :, None] * correlation * sd[..., None, :]
        own = design.z - units.centre_z
        read = self.model.formula.random
        parts = [
            effects
            for part, effects in zip(read, self.model.random, strict=True)
            if not of or ":".join(part.groups) == design.grouping
        ]
        names, to_formula = self._taking(own, *parts)
        moved = to_formula @ covariance @ to_formula.T
        roots = np.sqrt(np.einsum("mtaa->mta", moved))
        out = {f"sd({name} | {cluster})": roots[..., a] for a, name in enumerate(names)}
        for a in range(len(names)):
            for b in range(a):
                each = moved[..., a, b] / (roots[..., a] * roots[..., b])
                if np.ptp(each) > 0.0:
                    out[f"cor({names[b]}, {names[a]} | {cluster})"] = each
        return out

    def _taking(self, own: Array, *designs: LinearDesign) -> tuple[list[str], Array]:
        """Names of the formula's columns, and what takes the model's coefficients to theirs."""
        columns: dict[str, Array] = {}
        for each in designs:
            columns |= each.columns(self.frame)
        made = np.column_stack(list(columns.values()))
        scale = np.maximum(np.abs(made).max(axis=0), np.finfo(float).tiny)
        solved = np.linalg.lstsq(made / scale, own, rcond=None)[0]
        off = np.abs(made / scale @ solved - own).max(initial=0.0)
        if own.shape[1] != made.shape[1] or off > SPANNED * max(np.abs(own).max(initial=0.0), 1.0):
            raise AnalysisError(
                f"The model of {self.analysed.outcome!r} and {self.analysed.formula!r} do not have "
                "the same columns; imp.events says which predictor was left out and why."
            )
        return list(columns), np.asarray(solved / scale[:, None])


def _suffix(design: Design) -> str:
    """End of the names of a grouping's parameters; of a single grouping they have none."""
    return named("", design.grouping) if design.grouping else ""


#: Quantiles that are compared, by their names in the table.
QUANTILES = {"q5": 0.05, "q50": 0.5, "q95": 0.95}
#: Iterations after the burn-in that a comparison needs.
FEWEST = 20


@checked
def compare_joint(
    imp: Run,
    draws: Count = 1000,
    tune: Count = 1000,
    chains: Count = 4,
    seed: Seed | None = None,
    discard: CountOrNone | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Compare the chains' posterior of all population parameters with the joint model's by NUTS.

    Both are the same distribution, reached in two ways: an independent check of a run, and of the
    package. ``imp.joint_model()`` is sampled by ``pm.sample``, which takes much longer.

    Parameters
    ----------
    imp
        Of a run with ``analysis=``; long chains, such as ``m=8, iterations=400``, tell more.
    draws, tune, chains
        Of ``pm.sample``.
    seed
        Of ``pm.sample``; default, from the operating system.
    discard
        Iterations of the imputation chains to leave out as burn-in; default, their first half.
    options
        Passed on to ``pm.sample``, such as ``nuts_sampler="nutpie"`` or ``target_accept=0.95``.

    Returns
    -------
    pandas.DataFrame
        A row a parameter, named as in ``imp.datatree``; columns in three groups. ``chains`` and
        ``joint``: ``mean``, ``sd``, quantiles ``q5, q50, q95``, ``r_hat``, ``ess`` (the bulk's).
        ``difference``: ``mean, q5, q50, q95`` of the chains minus those of the joint model, in
        Monte-Carlo standard errors, which know of autocorrelation: beyond ±4 hardly by chance.

    Raises
    ------
    SpecificationError
        If the models are no joint distribution, or it cannot be written down
        (:meth:`~bayesimpute.Imputations.joint_model`).
    AnalysisError
        If there are too few iterations.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> import numpy as np
    >>> import pandas as pd
    >>> df = pd.DataFrame({"x": [0.1, np.nan, 1.2, 0.4], "y": [0.0, 1.0, 2.1, 0.7]})
    >>> imp = bi.impute(df, m=2, iterations=40, analysis="y ~ x", seed=1)
    >>> quick = {"draws": 20, "tune": 20, "chains": 2, "cores": 1, "progressbar": False}
    >>> bi.compare_joint(imp, seed=1, **quick).columns.levels[0].tolist()
    ['chains', 'difference', 'joint']
    """
    import pymc as pm

    if imp.specification.live is None:
        raise SpecificationError(
            "compare_joint: imp must be a result of bi.impute(..., analysis=...), "
            "whose models are one joint distribution."
        )
    history = imp.history
    left_out = history.iterations // 2 if discard is None else discard
    if history.iterations - left_out < FEWEST:
        raise AnalysisError(
            f"compare_joint: {history.iterations} iterations, {left_out} of them left out, are too "
            f"few to compare; at least {FEWEST} must be left. Go on with imp.extend(iterations=…)."
        )
    joint = Joint.of(imp.specification, imp.seed)
    with joint.model:
        posterior = pm.sample(
            draws=draws,
            tune=tune,
            chains=chains,
            random_seed=fresh_seed() % 2**32 if seed is None else seed,
            **options,
        )["posterior"]
    rows: dict[str, dict[tuple[str, str], float]] = {}
    for name, parameters in history.parameters.items():
        for parameter, values in parameters.items():
            labels = history.labels[name][parameter]
            theirs = joint.draws_of(name, parameter, labels, posterior)
            if theirs is None:
                continue
            ours = values[:, left_out:].reshape(values.shape[0], -1, theirs.shape[-1])
            for k, label in enumerate(labels or ("",)):
                title = f"{name}.{parameter}" + (f"[{label}]" if label else "")
                rows[title] = _compared(ours[:, :, k], theirs[:, :, k])
    columns = pd.MultiIndex.from_tuples(next(iter(rows.values())))
    return pd.DataFrame([list(row.values()) for row in rows.values()], list(rows), columns)


def _compared(ours: Array, theirs: Array) -> dict[tuple[str, str], float]:
    """Summaries of a parameter by both, (chain, draw) each, and their differences."""
    summaries = [_summary(draws) for draws in (ours, theirs)]
    found = {
        (group, key): value
        for group, (values, _) in zip(("chains", "joint"), summaries, strict=True)
        for key, value in values.items()
    }
    (of_chains, error), (of_joint, other) = summaries
    for key in error:
        spread = float(np.hypot(error[key], other[key]))
        found["difference", key] = (of_chains[key] - of_joint[key]) / spread
    return found


def _summary(draws: Array) -> tuple[dict[str, float], dict[str, float]]:
    """Give what is compared, and its Monte-Carlo standard errors."""
    import arviz

    quantiles = {key: float(np.quantile(draws, p)) for key, p in QUANTILES.items()}
    values = {"mean": float(draws.mean()), "sd": float(draws.std(ddof=1)), **quantiles}
    values |= {"r_hat": r_hat(draws), "ess": float(arviz.ess(draws, method="bulk"))}
    errors = {"mean": float(arviz.mcse(draws, method="mean"))}
    for key, p in QUANTILES.items():
        errors[key] = float(arviz.mcse(draws, method="quantile", prob=p))
    return values, errors
