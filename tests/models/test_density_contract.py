"""What every method with a density promises: a distribution of values, by its linear predictors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from bayesimpute.data.table import Kind
from bayesimpute.method import Design, has_density
from bayesimpute.registry import METHODS, resolve

ROWS, CLUSTERS, GRID = 24, 3, 4001
RNG_SEED = 5
WITHOUT = {"pmm", "sample", "joint"}
#: Method -> kind, values of the target, options.
TARGETS = {
    "normal": (Kind.NUMERIC, None, {}),
    "normal.robust": (Kind.NUMERIC, None, {}),
    "normal.truncated": (Kind.NUMERIC, None, {"lower": -2.5, "upper": 3.0}),
    "normal.censored": (Kind.NUMERIC, "clipped", {"lower": -0.8, "upper": 1.0}),
    "logistic": (Kind.BINARY, 2, {}),
    "ordinal": (Kind.ORDINAL, 3, {}),
    "categorical": (Kind.NOMINAL, 3, {}),
    "poisson": (Kind.NUMERIC, "counts", {}),
    "negative_binomial": (Kind.NUMERIC, "counts", {}),
    "gamma": (Kind.NUMERIC, "positive", {}),
    "beta": (Kind.NUMERIC, "share", {}),
    "weibull": (Kind.NUMERIC, "positive", {}),
    "piecewise": (Kind.NUMERIC, "positive", {}),
    "bart": (Kind.NUMERIC, None, {"trees": 4}),
    "heckman": (Kind.NUMERIC, None, {}),
    "heckman.binary": (Kind.BINARY, 2, {}),
    "heckman.robust": (Kind.NUMERIC, None, {}),
}


def design_of(kind, values):
    rng = np.random.default_rng(11)
    x = rng.normal(size=(ROWS, 6))
    y = np.clip(rng.normal(size=ROWS), -2.4, 2.4)
    if isinstance(values, int):
        y = np.resize(np.arange(float(values)), ROWS)
    elif values is not None:
        y = {
            "clipped": np.clip(y, -0.8, 1.0),
            "counts": rng.poisson(2.0, ROWS).astype(float),
            "positive": rng.gamma(2.0, size=ROWS),
            "share": rng.beta(2.0, 2.0, size=ROWS),
        }[values]
    fit = np.ones(ROWS, dtype=bool)
    fit[::4] = False
    return Design(
        "y",
        kind,
        tuple("abc"[: values if isinstance(values, int) else 0]),
        np.where(fit, y, np.nan),
        x,
        tuple("uvwrst"),
        np.column_stack([np.ones(ROWS), x[:, 0]]),
        ("intercept", "u"),
        np.resize(np.arange(CLUSTERS), ROWS),
        CLUSTERS,
        fit,
        ~fit,
        usable=np.ones(ROWS, dtype=bool),
    )


@pytest.fixture(params=TARGETS, scope="module")
def case(request):
    kind, values, options = TARGETS[request.param]
    design, method = design_of(kind, values), resolve(request.param)
    if request.param == "bart":  # which has no slopes by cluster
        design = replace(design, z=design.z[:, :1], random_effects=("intercept",))
    kernel = method.kernel(design, {}, {**method.options, **options})
    state = 0.3 * np.random.default_rng(3).normal(size=kernel.size)
    return request.param, design, kernel, state


def density_at(case):
    _, design, kernel, state = case
    return kernel.log_density(design, state, np.random.default_rng(RNG_SEED))


def points(name, design):
    """Values that a target can have, and what each counts for in a sum."""
    kind, values, options = TARGETS[name]
    u = (np.arange(GRID) + 0.5) / GRID
    if kind is not Kind.NUMERIC:
        return np.arange(float(values)), np.ones(values)
    if values == "counts":
        return np.arange(float(GRID)), np.ones(GRID)
    if values == "share":
        logit = np.tan(np.pi * (u - 0.5))
        u, logit = u[np.abs(logit) < 30.0], logit[np.abs(logit) < 30.0]
        y = expit(logit)
        return y, y * expit(-logit) * np.pi / np.cos(np.pi * (u - 0.5)) ** 2 / GRID
    if values == "positive":
        return u / (1 - u), (1 - u) ** -2 / GRID
    if "lower" in options:
        width = options["upper"] - options["lower"]
        y, mass = options["lower"] + width * u, np.full(GRID, width / GRID)
        if values == "clipped":
            ends = [options["lower"], options["upper"]]
            return np.append(y, ends), np.append(mass, [1.0, 1.0])
        return y, mass
    return np.tan(np.pi * (u - 0.5)), np.pi / np.cos(np.pi * (u - 0.5)) ** 2 / GRID


def mass(case, row, **known):
    """Total of a row's density over all values."""
    name, design, _, _ = case
    y, each = points(name, design)
    rows = design.rows(np.full(len(y), row))
    given = {key: np.full(len(y), value) for key, value in known.items()}
    return float((np.exp(density_at(case)(replace(rows, y=y, **given))) * each).sum())


def test_every_registered_method_with_a_density_is_tried():
    assert set(TARGETS) == set(METHODS) - WITHOUT


def test_what_matches_donors_has_no_density():
    design = design_of(Kind.NUMERIC, None)
    for name in ("pmm", "sample"):
        method = resolve(name)
        assert not has_density(method.kernel(design, {}, dict(method.options)))


def test_a_row_has_a_distribution(case):
    name, design, kernel, state = case
    assert has_density(kernel) and kernel.log_density(design, state, np.random.default_rng(0))
    for row in (0, 1):  # one whose value is missing, one whose value is not
        if name.startswith("heckman"):
            seen = mass(case, row, fit=True, draw=False)
            drawn = mass(case, row, fit=True, draw=False, live=True)
            nothing = replace(design.rows([row]), fit=np.array([False]), draw=np.array([True]))
            unseen = float(np.exp(density_at(case)(nothing))[0])
            assert seen + unseen == pytest.approx(1.0, abs=2e-3)
            assert drawn == pytest.approx(unseen, abs=2e-3)
        else:
            assert mass(case, row) == pytest.approx(1.0, abs=2e-3)


def test_predictors_count_by_the_linear_predictors_alone(case):
    name, design, kernel, state = case
    if name == "bart":
        pytest.skip("predictors act through trees")
    rows = design.rows(design.fit)
    if name == "normal":
        rng = np.random.default_rng(RNG_SEED)
        beta = kernel._posterior.coefficients(design, state, rng)[0][None]
        units = kernel._posterior.units
    else:
        beta, units = kernel._posterior.point(state).beta, kernel._posterior.units
    slopes = beta[:, 1:] / units.scale_x
    # z holds its own column of u, so that moving x alone is moving the fixed part
    nowhere = np.linalg.svd(slopes)[2][len(slopes) :]
    density = density_at(case)
    before = density(rows)
    np.testing.assert_allclose(density(replace(rows, x=rows.x + nowhere.sum(axis=0))), before)
    for k in range(rows.x.shape[1]):
        moved = density(replace(rows, x=rows.x + 0.5 * np.eye(6)[k]))
        assert np.abs(moved - before).max() > 1e-3


def test_effects_are_those_of_the_rows_cluster(case):
    _, design, _, _ = case
    rows = design.rows(design.fit)
    density = density_at(case)
    other = replace(rows, cluster=(rows.cluster + 1) % CLUSTERS)
    assert np.abs(density(other) - density(rows)).min() > 0.0
