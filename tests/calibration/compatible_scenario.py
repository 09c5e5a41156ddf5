"""Calibration of joint distributions that an analysis and its covariates make.

Parameters come from the priors, data from the parameters, and values go at random given the
outcome. Truths must then rank uniformly among the draws of ``bi.impute(..., analysis=)``.

A prior of an intercept is meant at the means of the predictors, which are not known before the
data. Numbers get a flat one instead, and data whose level is 0: the level of a number changes
nothing but the intercept. Predictors of categories have mean 0, exactly or nearly.

The category to which others are compared is the one seen most often, and the others come as they
appear. Data in which these are not those of the prior are drawn again, with their parameters: given
the data, a truth is a draw from the posterior, whichever data are left out.
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
import pymc as pm
from scipy.special import expit, logit

import bayesimpute as bi
from bayesimpute.simulate.calibration import Calibration
from bayesimpute.simulate.scenario import Scenario

BURN, DRAWS, THIN = 20, 15, 4
CLUSTERS, ROWS = 10, 8
FLAT = ("normal", 0.0, 1000.0)


@dataclass(frozen=True)
class Spec:
    """What is imputed.

    Attributes
    ----------
    analysis
        Formula.
    simulate
        ``simulate(rng)``: true parameters, by ``variable.parameter``, and complete data.
    hidden
        Columns that lose values given the outcome.
    priors
        Of each model: family, and its arguments.
    usable
        Whether incomplete data are kept: those in which what is seen does not identify a term,
        which is then left out, are drawn again.
    thin
        Iterations from one draw to the next.
    whole
        Clusters that lose all values of the hidden columns instead, completely at random.
    """

    analysis: str
    simulate: object
    hidden: tuple[str, ...]
    priors: dict
    family: str | None = None
    arguments: dict = field(default_factory=dict)
    usable: object = staticmethod(lambda frame: True)
    thin: int = THIN
    whole: int = 0


def dists(priors):
    families = {"normal": pm.Normal.dist, "half": pm.HalfNormal.dist}
    families |= {"lognormal": pm.LogNormal.dist, "dirichlet": pm.Dirichlet.dist}
    return {
        variable: {name: families[family](*given) for name, (family, *given) in held.items()}
        for variable, held in priors.items()
    }


def standard(values):
    return (values - values.mean()) / values.std()


def interaction(rng):
    g = np.repeat(np.arange(CLUSTERS), ROWS)
    z = standard(rng.normal(size=len(g)))
    slope, tau, s = rng.normal(0, 0.7), abs(rng.normal(0, 0.7)), abs(rng.normal())
    x = slope * z + (tau * rng.normal(size=CLUSTERS))[g] + s * rng.normal(size=len(g))
    beta, sd, sigma = rng.normal(0, 0.7, 3), abs(rng.normal(0, 0.7)), abs(rng.normal())
    y = np.column_stack([x, z, x * z]) @ beta
    y += (sd * rng.normal(size=CLUSTERS))[g] + sigma * rng.normal(size=len(g))
    truth = {"x.beta": slope, "x.sd_intercept": tau, "x.sigma": s, "y.beta": beta}
    truth |= {"y.sd_intercept": sd, "y.sigma": sigma}
    return truth, pd.DataFrame({"g": g, "z": z, "x": x, "y": y})


def random_slope(rng):
    g = np.repeat(np.arange(CLUSTERS), ROWS)
    s = abs(rng.normal())
    x = s * rng.normal(size=len(g))
    beta, sigma = rng.normal(0, 0.7), abs(rng.normal())
    sd, by = abs(rng.normal(0, 0.7, 2))
    y = (beta + by * rng.normal(size=CLUSTERS))[g] * x
    y += (sd * rng.normal(size=CLUSTERS))[g] + sigma * rng.normal(size=len(g))
    truth = {"x.sigma": s, "y.beta": beta, "y.sd_intercept": sd, "y.sd_x": by, "y.sigma": sigma}
    return truth, pd.DataFrame({"g": g, "x": x, "y": y})


def manifest_mean(rng):
    """The mean of all values of a cluster, missing ones among them, beside the value of a row."""
    g = np.repeat(np.arange(CLUSTERS), ROWS)
    tau, s = abs(rng.normal(0, 0.7)), abs(rng.normal())
    x = (tau * rng.normal(size=CLUSTERS))[g] + s * rng.normal(size=len(g))
    beta, sd, sigma = rng.normal(0, 0.7, 2), abs(rng.normal(0, 0.7)), abs(rng.normal())
    y = np.column_stack([x, (np.bincount(g, x) / ROWS)[g]]) @ beta
    y += (sd * rng.normal(size=CLUSTERS))[g] + sigma * rng.normal(size=len(g))
    truth = {"x.sd_intercept": tau, "x.sigma": s, "y.beta": beta}
    truth |= {"y.sd_intercept": sd, "y.sigma": sigma}
    return truth, pd.DataFrame({"g": g, "x": x, "y": y})


def square(rng):
    z = standard(rng.normal(size=60))
    slope, s = rng.normal(0, 0.7), abs(rng.normal())
    x = slope * z + s * rng.normal(size=z.size)
    beta, sigma = rng.normal(0, 0.7, 3), abs(rng.normal())
    y = np.column_stack([x, x**2, z]) @ beta + sigma * rng.normal(size=z.size)
    truth = {"x.beta": slope, "x.sigma": s, "y.beta": beta, "y.sigma": sigma}
    return truth, pd.DataFrame({"z": z, "x": x, "y": y})


def binary(rng):
    """A binary predictor of a binary outcome; both have ±1 in equal shares as their predictor."""
    z = np.resize([-1.0, 1.0], 100)
    a, slope = rng.normal(0, 0.7, 2)
    b = (rng.random(z.size) < expit(a + slope * z)).astype(float)
    beta = rng.normal(0, 0.7, 3)
    y = rng.random(z.size) < expit(rng.normal(0, 0.7) + np.column_stack([b, z, b * z]) @ beta)
    truth = {"b.intercept": a, "b.beta": slope, "y.beta": beta}
    return truth, pd.DataFrame({"z": z, "b": b, "y": y.astype(float)})


def binary_in_clusters(rng):
    g, z = np.repeat(np.arange(CLUSTERS), ROWS), np.resize([-1.0, 1.0], CLUSTERS * ROWS)
    a, slope, tau = *rng.normal(0, 0.7, 2), abs(rng.normal(0, 0.7))
    b = rng.random(z.size) < expit(a + slope * z + (tau * rng.normal(size=CLUSTERS))[g])
    beta, sd, sigma = rng.normal(0, 0.7, 3), abs(rng.normal(0, 0.7)), abs(rng.normal())
    y = np.column_stack([b, z, b * z]) @ beta
    y += (sd * rng.normal(size=CLUSTERS))[g] + sigma * rng.normal(size=len(g))
    truth = {"b.intercept": a, "b.beta": slope, "b.sd_intercept": tau}
    truth |= {"y.beta": beta, "y.sd_intercept": sd, "y.sigma": sigma}
    return truth, pd.DataFrame({"g": g, "z": z, "b": b.astype(float), "y": y})


def level2(rng):
    clusters, rows = 30, 4
    g = np.repeat(np.arange(clusters), rows)
    x = standard(rng.normal(size=clusters)[g] + rng.normal(size=len(g)))
    slope, s = rng.normal(0, 0.7), abs(rng.normal())
    w = (slope * np.bincount(g, x) / rows + s * rng.normal(size=clusters))[g]
    beta, sd, sigma = rng.normal(0, 0.7, 3), abs(rng.normal(0, 0.7)), abs(rng.normal())
    y = np.column_stack([x, w, x * w]) @ beta
    y += (sd * rng.normal(size=clusters))[g] + sigma * rng.normal(size=len(g))
    truth = {"w.beta": slope, "w.sigma": s, "y.beta": beta}
    truth |= {"y.sd_intercept": sd, "y.sigma": sigma}
    return truth, pd.DataFrame({"g": g, "x": x, "w": w, "y": y})


def outcome_of(codes, z, g, rng):
    """An outcome to which each category gives a level and a slope of its own, and its truth."""
    beta, sd, sigma = rng.normal(0, 0.7, 5), abs(rng.normal(0, 0.7)), abs(rng.normal())
    second, third = codes == 1, codes == 2
    y = np.column_stack([second, third, z, second * z, third * z]) @ beta
    y += (sd * rng.normal(size=CLUSTERS))[g] + sigma * rng.normal(size=len(g))
    return y, {"y.beta": beta, "y.sd_intercept": sd, "y.sigma": sigma}


def ordinal(rng):
    """Three ordered categories by a logistic error."""
    g = np.repeat(np.arange(CLUSTERS), ROWS)
    z = standard(rng.normal(size=len(g)))
    share, slope, tau = rng.dirichlet(SHARES), rng.normal(0, 0.7), abs(rng.normal(0, 0.7))
    latent = slope * z + (tau * rng.normal(size=CLUSTERS))[g] + rng.logistic(size=len(g))
    codes = np.searchsorted(logit(np.cumsum(share)[:2]), latent)
    y, truth = outcome_of(codes, z, g, rng)
    truth |= {"c.share": share, "c.beta": slope, "c.sd_intercept": tau}
    c = pd.Categorical.from_codes(codes, list("pqr"), ordered=True)
    return truth, pd.DataFrame({"g": g, "z": z, "c": c, "y": y})


def nominal(rng):
    """Three kinds, whose effects by cluster are correlated."""
    g = np.repeat(np.arange(CLUSTERS), ROWS)
    z = standard(rng.normal(size=len(g)))
    level, slope = rng.normal(*LEVEL, 2), rng.normal(0, 0.7, 2)
    tau, r = abs(rng.normal(0, 0.7, 2)), 2 * rng.beta(2, 2) - 1
    effect = rng.multivariate_normal(np.zeros(2), [[1, r], [r, 1]], CLUSTERS) * tau
    eta = np.column_stack([np.zeros(len(g)), level + np.outer(z, slope) + effect[g]])
    codes = (eta + rng.gumbel(size=eta.shape)).argmax(axis=1)
    y, truth = outcome_of(codes, z, g, rng)
    truth |= {"c.intercept": level, "c.beta": slope, "c.sd_intercept": tau, "c.correlation": r}
    return truth, pd.DataFrame(
        {"g": g, "z": z, "c": pd.Categorical.from_codes(codes, list("pqr")), "y": y}
    )


def first_is_most_frequent(frame):
    """Whether the first category is, however the others are filled, and the second comes next."""
    codes = frame["c"].cat.codes.to_numpy()
    counts = np.bincount(codes + 1, minlength=4)
    if min(counts[1:]) == 0 or counts[1] <= max(counts[2:]):
        return False
    if not frame["c"].cat.ordered and counts[1] <= max(counts[2:]) + counts[0]:
        return False
    return np.flatnonzero(codes == 1)[0] < np.flatnonzero(codes == 2)[0]


def survival(rng):
    """Follow-up ends at the seventh decile of the times, in whatever unit these are."""
    g = np.repeat(np.arange(CLUSTERS), ROWS)
    z = standard(rng.normal(size=len(g)))
    slope, tau, s = rng.normal(0, 0.7), abs(rng.normal(0, 0.7)), abs(rng.normal())
    x = slope * z + (tau * rng.normal(size=CLUSTERS))[g] + s * rng.normal(size=len(g))
    beta, sd, shape = rng.normal(0, 0.7, 3), abs(rng.normal(0, 0.7)), np.exp(rng.normal(0, 0.5))
    log_ratio = np.column_stack([x, z, x * z]) @ beta + (sd * rng.normal(size=CLUSTERS))[g]
    y = (rng.standard_exponential(len(g)) * np.exp(-log_ratio)) ** (1 / shape)
    end = np.quantile(y, 0.7, method="inverted_cdf")
    truth = {"x.beta": slope, "x.sd_intercept": tau, "x.sigma": s, "y.beta": beta}
    truth |= {"y.sd_intercept": sd, "y.shape": shape}
    died = (y <= end).astype(float)
    return truth, pd.DataFrame({"g": g, "z": z, "x": x, "y": np.minimum(y, end), "died": died})


def selection(rng):
    """Outcomes missing because of what they are, on a predictor that varies by cluster."""
    clusters, rows = CLUSTERS, 2 * ROWS
    g = np.repeat(np.arange(clusters), rows)
    w = np.resize([-1.0, 1.0], len(g))
    s = abs(rng.normal())
    x = s * rng.normal(size=len(g))
    beta, gamma, at, log_sigma, t = (
        *rng.normal(0, 0.7, 2),
        *rng.normal([0.3, 0, 0], [0.5, 0.5, 1]),
    )
    by, sd = abs(rng.normal(0, 0.7)), abs(rng.normal(0, [0.7, 0.7, 0.5, 0.5]))
    factor = pm.draw(pm.LKJCorr.dist(n=4, eta=2.0), random_seed=rng, mode="FAST_COMPILE")
    level, seen, spread, own = ((rng.normal(size=(clusters, 4)) @ (sd[:, None] * factor).T)[g]).T
    u, rho = rng.normal(size=len(g)), np.tanh(t + own)
    e = rho * u + np.sqrt(1 - rho**2) * rng.normal(size=len(g))
    y = (beta + by * rng.normal(size=clusters))[g] * x + level + np.exp(log_sigma + spread) * e
    gone = at + gamma * w + seen + u <= 0
    names = ("intercept", "log_sigma", "atanh_rho")
    truth = {"x.sigma": s, "y.beta": beta, "y.selection_beta": gamma, "y.selection_intercept": at}
    truth |= {"y.sigma": np.exp(log_sigma), "y.rho": np.tanh(t), "y.sd_x": by}
    truth |= {f"y.sd_{name}": value for name, value in zip(names, sd[[0, 2, 3]], strict=True)}
    truth |= {"y.selection_sd_intercept": sd[1]}
    return truth, pd.DataFrame({"g": g, "w": w, "x": x, "y": y, "gone": gone})


def counts(rng):
    """The mean of the predictor, and of its product with ±1, is nearly 0."""
    z = np.resize([-1.0, 1.0], 100)
    s = abs(rng.normal(0, 0.7))
    x = s * rng.normal(size=z.size)
    beta = rng.normal(0, 0.5, 3)
    y = rng.poisson(np.exp(rng.normal(0, 0.7) + np.column_stack([x, z, x * z]) @ beta))
    truth = {"x.sigma": s, "y.beta": beta}
    return truth, pd.DataFrame({"z": z, "x": x, "y": y.astype(float)})


SLOPE = {"beta": ("normal", 0.0, 0.7)}
NUMBER = {"intercept": FLAT, "sigma": ("half", 1.0)}
VARYING = {"sd_intercept": ("half", 0.7)}
#: Priors of categories, of which the first should be the most frequent.
SHARES, LEVEL = np.array([4.0, 2.0, 2.0]), (-1.5, 0.7)

SPECS = {
    "interaction": Spec(
        "y ~ x * z + (1 | g)", interaction, ("x",),
        {name: SLOPE | NUMBER | VARYING for name in ("x", "y")},
    ),
    "random slope": Spec(
        "y ~ x + (1 | g) + (0 + x | g)", random_slope, ("x", "y"),
        {"x": NUMBER, "y": SLOPE | NUMBER | VARYING | {"sd_x": ("half", 0.7)}},
        arguments={"formulas": {"x": "x ~ 1"}},
    ),
    "manifest mean": Spec(
        "y ~ x + cluster_mean(x) + (1 | g)", manifest_mean, ("x",),
        {"x": NUMBER | VARYING, "y": SLOPE | NUMBER | VARYING},
        thin=10,  # cells of a cluster are drawn one after the other, and their mean remembers
    ),
    "square": Spec(
        "y ~ x + I(x**2) + z", square, ("x",), {name: SLOPE | NUMBER for name in ("x", "y")}
    ),
    "binary": Spec(
        "y ~ b * z", binary, ("b",),
        {name: SLOPE | {"intercept": ("normal", 0.0, 0.7)} for name in ("b", "y")}, "binomial",
        usable=lambda frame: (frame.dropna().groupby("z")["b"].nunique() == 2).all(),
    ),
    "whole clusters": Spec(
        "y ~ x * z + (1 | g)", interaction, ("x",),
        {name: SLOPE | NUMBER | VARYING for name in ("x", "y")}, whole=4,
    ),
    "whole clusters, mean": Spec(
        "y ~ x + cluster_mean(x) + (1 | g)", manifest_mean, ("x",),
        {"x": NUMBER | VARYING, "y": SLOPE | NUMBER | VARYING}, thin=10, whole=4,
    ),
    "whole clusters, binary": Spec(
        "y ~ b * z + (1 | g)", binary_in_clusters, ("b",),
        {
            "b": SLOPE | VARYING | {"intercept": ("normal", 0.0, 0.7)},
            "y": SLOPE | NUMBER | VARYING,
        },
        usable=lambda frame: (frame.dropna().groupby("z")["b"].nunique() == 2).all(), whole=4,
    ),
    "whole clusters, ordinal": Spec(
        "y ~ c * z + (1 | g)", ordinal, ("c",),
        {"c": SLOPE | VARYING | {"share": ("dirichlet", SHARES)}, "y": SLOPE | NUMBER | VARYING},
        usable=first_is_most_frequent, whole=3,
    ),
    "whole clusters, nominal": Spec(
        "y ~ c * z + (1 | g)", nominal, ("c",),
        {"c": SLOPE | VARYING | {"intercept": ("normal", *LEVEL)}, "y": SLOPE | NUMBER | VARYING},
        usable=first_is_most_frequent, whole=2,
    ),
    "level 2": Spec(
        "y ~ x * w + (1 | g)", level2, ("w",), {"w": SLOPE | NUMBER, "y": SLOPE | NUMBER | VARYING}
    ),
    "ordinal": Spec(
        "y ~ c * z + (1 | g)", ordinal, ("c",),
        {"c": SLOPE | VARYING | {"share": ("dirichlet", SHARES)}, "y": SLOPE | NUMBER | VARYING},
        usable=first_is_most_frequent,
    ),
    "nominal": Spec(
        "y ~ c * z + (1 | g)", nominal, ("c",),
        {"c": SLOPE | VARYING | {"intercept": ("normal", *LEVEL)}, "y": SLOPE | NUMBER | VARYING},
        usable=first_is_most_frequent,
    ),
    "survival": Spec(
        "Surv(y, died) ~ x * z + (1 | g)", survival, ("x",),
        {
            "x": SLOPE | NUMBER | VARYING,
            "y": SLOPE | VARYING | {"intercept": FLAT, "shape": ("lognormal", 0.0, 0.5)},
        },
        "weibull",
    ),
    "counts": Spec(
        "y ~ x * z", counts, ("x",),
        {
            "x": {"intercept": FLAT, "sigma": ("half", 0.7)},
            "y": {"intercept": ("normal", 0.0, 0.7), "beta": ("normal", 0.0, 0.5)},
        },
        "poisson", {"formulas": {"x": "x ~ 1"}},
    ),
    "selection": Spec(
        "y ~ x + (1 | g) + (0 + x | g)", selection, ("x", "y"),
        {
            "x": NUMBER,
            "y": SLOPE | VARYING | {
                "intercept": FLAT, "sd_x": ("half", 0.7), "log_sigma": ("normal", 0.0, 0.5),
                "selection_intercept": ("normal", 0.3, 0.5), "selection_beta": ("normal", 0.0, 0.7),
                "selection_sd_intercept": ("half", 0.7),
            },
        },
        "heckman",
        {
            "formulas": {"x": "x ~ 1"},
            "model_options": {"y": {"selection_only": ["w"], "outcome_only": ["x"]}},
        },
        lambda frame: 20 < frame["y"].notna().sum() < len(frame) - 20,
    ),
}  # fmt: skip


def hide(spec, frame, rng):
    """Take values away given the outcome, which itself loses some completely at random."""
    y = frame["y"].to_numpy()
    unit = y.std() or 1.0
    out = frame.copy()
    if spec.whole:
        without = rng.choice(frame["g"].unique(), spec.whole, replace=False)
        out.loc[out["g"].isin(without), list(spec.hidden)] = np.nan
        return out
    for name in spec.hidden:
        gone = rng.random(len(y)) < expit(-0.6 + (y - y.mean()) / unit)
        if "gone" in frame:
            gone = frame["gone"] if name == "y" else rng.random(len(y)) < 0.25
        elif name == "y":
            gone = rng.random(len(y)) < 0.2
        if name == "w":
            g = frame["g"].to_numpy()
            mean = np.bincount(g, y) / np.bincount(g)
            gone = (rng.random(len(mean)) < expit(-0.6 + (mean - y.mean()) / unit))[g]
        out[name] = out[name].mask(gone)
    return out.drop(columns="gone", errors="ignore")


def replicate(name, number, draws=DRAWS, thin=None):
    """Rank of each truth among the draws of one data set, and their autocorrelation."""
    spec = SPECS[name]
    thin = thin or spec.thin
    data, ties = (
        np.random.default_rng(stream) for stream in np.random.SeedSequence(number).spawn(2)
    )
    while True:
        truth, complete = spec.simulate(data)
        frame = hide(spec, complete, data)
        if spec.usable(frame):
            break
    imputed = bi.impute(
        frame, analysis=spec.analysis, family=spec.family, m=1, seed=number, cores=1,
        cluster="g" if "g" in frame else None, iterations=BURN + draws * thin, progress=False,
        priors=dists(spec.priors), **spec.arguments,
    )  # fmt: skip
    kept = slice(BURN + thin - 1, None, thin)
    drawn, true = {}, {}
    for key, value in truth.items():
        variable, parameter = key.split(".")
        held = imputed.history.parameters[variable][parameter][0][kept].reshape(draws, -1)
        for k, (column, one) in enumerate(zip(held.T, np.ravel(value), strict=True)):
            drawn[f"{key}[{k}]"], true[f"{key}[{k}]"] = column, one
    for variable in spec.hidden:
        values = complete[variable]
        gone = (1 + values.cat.codes if variable == "c" else values)[frame[variable].isna()]
        for what, quantity in (("mean", gone.mean()), ("SD", gone.std(ddof=1))):
            held = imputed.history.chain_mean if what == "mean" else imputed.history.chain_sd
            drawn[f"imputed {what} {variable}"] = held[variable][0][kept]
            true[f"imputed {what} {variable}"] = quantity
    ranks = {
        key: int(
            (column < true[key] - 1e-9).sum()
            + ties.integers(0, 1 + (abs(column - true[key]) <= 1e-9).sum())
        )
        for key, column in drawn.items()
    }
    lags = {key: pd.Series(column).autocorr() for key, column in drawn.items()}
    return ranks, lags


def calibrate(name, replicates, run=map, draws=DRAWS, thin=None, first=0):
    numbers = range(first, first + replicates)
    found = list(run(partial(replicate, name, draws=draws, thin=thin), numbers))
    return Calibration(
        f"compatible, {name}", Scenario("sporadic"), pd.DataFrame([ranks for ranks, _ in found]),
        draws, pd.DataFrame([lags for _, lags in found]).mean(), 0, 0,
    )  # fmt: skip
