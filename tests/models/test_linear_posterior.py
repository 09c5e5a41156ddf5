"""The kernels of the linear models against the textbook models sampled by PyMC's own NUTS."""

import warnings
from dataclasses import replace

import arviz
import numpy as np
import pymc as pm
import pytest

from bayesimpute.data.table import Kind
from bayesimpute.method import Design
from bayesimpute.registry import resolve

CATEGORIES = ("a", "b", "c")


def make_design(kind, slope, seed=0):
    rng = np.random.default_rng(seed)
    n, clusters = 240, 7  # the last cluster has no rows
    cluster = rng.integers(0, clusters - 1, n)
    x = np.column_stack([rng.normal(2, 3, n), rng.random(n) < 0.4]).astype(float)
    z = np.column_stack([np.ones(n), x[:, 0]])[:, : 1 + slope]
    effects = rng.normal(size=(clusters, 2)) * [0.8, 0.2 * slope]
    centred = x[:, 0] - 2
    eta = 0.3 * centred - x[:, 1] + effects[cluster, 0] + effects[cluster, 1] * centred
    error = rng.logistic(size=n)
    y = {
        "binary": (eta + error > 0).astype(float),
        "ordinal": np.digitize(eta + error, [-1.0, 1.0]).astype(float),
        "nominal": np.argmax(
            np.column_stack([np.zeros(n), 0.5 * eta, -eta]) + rng.gumbel(size=(n, 3)), axis=1
        ).astype(float),
        "count": rng.poisson(np.exp(0.5 * eta) * rng.gamma(2, 0.5, n)).astype(float),
        "number": eta + rng.standard_t(4, n),
        "bounded": np.clip(eta + error, -3, 2.5),
        "positive": np.exp(0.5 * eta) * rng.gamma(3, 1 / 3, n),
        "share": rng.beta(5 / (1 + np.exp(-0.5 * eta)), 5 / (1 + np.exp(0.5 * eta))),
        "time": (rng.standard_exponential(n) * np.exp(-0.5 * eta)) ** 0.7,
    }[kind]
    fit = rng.random(n) < 0.8
    columns = {}
    if kind == "time":
        # some are censored, and none is missing
        limit = rng.exponential(2.0, n)
        fit, columns = np.ones(n, dtype=bool), {"event": (y <= limit).astype(float)}
        y = np.minimum(y, limit)
    kinds = {"binary": Kind.BINARY, "ordinal": Kind.ORDINAL, "nominal": Kind.NOMINAL}
    return Design(
        "y",
        kinds.get(kind, Kind.NUMERIC),
        CATEGORIES if kind in ("ordinal", "nominal") else ("a", "b") if kind == "binary" else (),
        np.where(fit, y, np.nan),
        x,
        ("x1", "x2"),
        z,
        ("intercept", "x1")[: 1 + slope],
        cluster,
        clusters,
        fit,
        ~fit,
        columns=columns,
    )


CASES = {
    "logistic": ("binary", True, {}),
    "ordinal": ("ordinal", False, {}),
    "categorical": ("nominal", False, {}),
    "poisson": ("count", False, {}),
    "negative_binomial": ("count", True, {}),
    "gamma": ("positive", False, {}),
    "beta": ("share", False, {}),
    "weibull": ("time", True, {}),
    "piecewise": ("time", False, {"intervals": 5}),
    "normal.robust": ("number", True, {}),
    "normal.truncated": ("bounded", False, {"lower": -3, "upper": 4}),
    "normal.censored": ("bounded", False, {"lower": -3, "upper": 2.5}),
}
#: Its model is compiled for PyMC's sampler in a minute; the others are calibrated quickly instead.
QUICK = ("poisson",)


def draws_of_kernel(method, design, options, n, seed=1):
    kernel = method.kernel(design, {}, options)
    rng = np.random.default_rng(seed)
    adaptation = kernel.adapt(design, rng)
    visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
    drawn: dict[str, list] = {}
    for _ in range(n):
        visit = kernel.visit(design, adaptation, visit.state, rng, False)
        for name, value in visit.parameters.items():
            drawn.setdefault(name, []).append(np.ravel(value))
    return {name: np.array(values) for name, values in drawn.items()}


def draws_of_model(model, draws):
    with model, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trace = pm.sample(
            draws, tune=min(draws, 1000), chains=2, cores=1 if draws < 1000 else 2,
            nuts_sampler="pymc", target_accept=0.9, progressbar=False, random_seed=3,
            compute_convergence_checks=False,
        )  # fmt: skip
    return trace.posterior


def agreement(ours, theirs):
    """Largest difference of means, and of log SDs, in Monte-Carlo standard errors."""
    worst = {}
    for name, values in ours.items():
        if name not in theirs:
            continue
        other = theirs[name].values
        if name.partition("|")[0] == "correlation":
            other = other[:, :, *np.tril_indices(other.shape[-1], -1)]
        other = other.reshape(*other.shape[:2], -1)
        for k in range(values.shape[1]):
            a, b = values[:, k], other[:, :, k]
            sizes = [float(arviz.ess(v)) for v in (a[None], b)]
            error = np.sqrt(a.var() / sizes[0] + b.var() / sizes[1])
            spread = np.sqrt(0.5 / sizes[0] + 0.5 / sizes[1])
            # heavy tails make SDs noisier than the normal formula says: half the weight
            worst[f"{name}[{k}]"] = max(
                abs(a.mean() - b.mean()) / error, 0.5 * abs(np.log(a.std() / b.std())) / spread
            )
    return worst


def compare(name, n, draws):
    kind, slope, given = CASES[name]
    design = make_design(kind, slope)
    method = resolve(name)
    options = {**method.options, **given}
    ours = draws_of_kernel(method, design, options, n)
    worst = agreement(ours, draws_of_model(method.model(design, {}, options), draws))
    assert set(worst) >= {"beta[0]", "sd_intercept[0]"}
    assert max(worst.values()) < 4.0, worst


@pytest.mark.parametrize("name", QUICK)
def test_the_kernel_draws_from_the_textbook_model(name):
    compare(name, 600, 600)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_kernel_draws_from_its_textbook_model_in_a_long_run(name):
    compare(name, 4000, 4000)


def test_categories_of_one_label_have_scales_of_their_own():
    method, design = resolve("categorical"), make_design("nominal", False)
    mixed = replace(design, categories=(1, "1", "a"))
    plain, same = (draws_of_kernel(method, d, method.options, 2) for d in (design, mixed))
    np.testing.assert_array_equal(plain["sd_intercept"], same["sd_intercept"])


def test_successive_visits_are_nearly_independent():
    kind, slope, _ = CASES["logistic"]
    method = resolve("logistic")
    drawn = draws_of_kernel(method, make_design(kind, slope), method.options, 400)
    for values in drawn.values():
        for column in values.T:
            assert abs(np.corrcoef(column[:-1], column[1:])[0, 1]) < 0.4
